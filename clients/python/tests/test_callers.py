"""Who asks: TLS both ways, bearer tokens, and what is never shown."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterator

import jwt
import pytest
from asking_twice import asker
from authority import Authority
from cryptography.hazmat.primitives.asymmetric import ec
from questions import look_around
from service import Service, small_service

from mandate_client import Options, Question, Tls, action, tool
from mandate_client.options import Address

ANYBODY = '@id("anybody") permit (principal, action, resource);'


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority("example.org")


@pytest.fixture(scope="module")
def secured(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A server that speaks TLS and knows callers by their certificates."""
    folder = tmp_path_factory.mktemp("tls")
    (folder / "bundle.pem").write_bytes(authority.certificate)
    certificate, key = authority.server("pdp.example.org")
    (folder / "tls.crt").write_bytes(certificate)
    (folder / "tls.key").write_bytes(key)
    served = small_service(
        f"""
        [tls]
        certificate = "{folder}/tls.crt"
        key = "{folder}/tls.key"
        [[callers.spiffe]]
        trust_domain = "example.org"
        bundle = "{folder}/bundle.pem"
        """,
        pep=ANYBODY,
    )
    yield served
    served.stop()


def test_both_sides_show_certificates(secured: Service, authority: Authority, kind: str) -> None:
    certificate, key = authority.workload("gateways/mcp")
    shown = Tls(authorities=authority.certificate, certificate=certificate, key=key, server_name="pdp.example.org")
    client = asker(kind, secured.url, Options(tls=shown, deadline=30))
    decision = client.authorize(look_around())
    client.close()
    assert decision, decision.reason


def test_a_caller_that_shows_nothing_is_denied(secured: Service, authority: Authority, kind: str) -> None:
    nothing = Tls(authorities=authority.certificate, server_name="pdp.example.org")
    client = asker(kind, secured.url, Options(tls=nothing, deadline=30))
    decision = client.authorize(look_around())
    client.close()
    assert decision.reason is not None
    assert decision.reason.code == "caller_unauthenticated"


def test_a_server_that_is_not_vouched_for_or_has_another_name_is_not_believed(
    secured: Service, authority: Authority, kind: str
) -> None:
    certificate, key = authority.workload("gateways/mcp")
    another = Authority("example.org").certificate
    for authorities, name in ((another, "pdp.example.org"), (authority.certificate, "other.example.org")):
        shown = Tls(authorities=authorities, certificate=certificate, key=key, server_name=name)
        client = asker(kind, secured.url, Options(tls=shown, deadline=5))
        decision = client.authorize(look_around())
        client.close()
        assert decision.reason is not None
        assert decision.reason.code in ("unavailable", "deadline_exceeded")


@pytest.fixture(scope="module")
def signer() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture(scope="module")
def known(signer: ec.EllipticCurvePrivateKey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A server on this host that knows callers by their tokens."""
    folder = tmp_path_factory.mktemp("jwks")
    public = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(signer.public_key()))
    (folder / "jwks.json").write_text(json.dumps({"keys": [public | {"kid": "k", "use": "sig", "alg": "ES256"}]}))
    served = small_service(
        f"""
        [[callers.issuers]]
        issuer = "https://idp.example"
        audience = "mandate"
        profile = "rfc8693"
        jwks_file = "{folder}/jwks.json"
        """,
        pep=ANYBODY,
    )
    yield served
    served.stop()


def token(signer: ec.EllipticCurvePrivateKey) -> str:
    now = int(time.time())
    claims = {"iss": "https://idp.example", "aud": "mandate", "sub": "gateway", "client_id": "gateway"}
    times = {"iat": now, "nbf": now, "exp": now + 600, "jti": str(now)}
    return jwt.encode(claims | times, signer, algorithm="ES256", headers={"typ": "at+jwt", "kid": "k"})


def test_a_callers_token_is_shown_with_each_call(known: Service, signer: ec.EllipticCurvePrivateKey, kind: str) -> None:
    right = token(signer)
    for given in (right, lambda: right):
        client = asker(kind, known.url, Options(token=given, deadline=30))
        decision = client.authorize(look_around())
        assert decision, decision.reason
        assert all(client.authorize_batch([look_around()]))
        client.close()


def test_a_caller_without_a_token_or_with_a_wrong_one_is_denied(known: Service, kind: str) -> None:
    def broken() -> str:
        raise OSError("no token today")

    wrong = token(ec.generate_private_key(ec.SECP256R1()))
    codes = []
    for given in (None, wrong, "bad\ntoken", broken):
        client = asker(kind, known.url, Options(token=given, deadline=30))
        decision = client.authorize(look_around())
        client.close()
        assert not decision
        assert decision.reason is not None
        codes.append(decision.reason.code)
        assert "today" not in repr(decision)
        assert wrong not in repr(decision)
    assert codes[:2] == ["caller_unauthenticated", "caller_unauthenticated"]


def test_tokens_and_keys_are_never_shown() -> None:
    secret = "s3cr3t-t0ken"
    shown = Tls(authorities=b"a", certificate=b"c", key=secret.encode())
    question = Question(action=action("call_tool"), resource=tool("fetch", "fetch"), credentials=secret)
    for one in (Options(token=secret), Options(tls=shown), shown, question):
        assert secret not in repr(one)
        assert secret not in str(one)


def test_an_address_is_secured_or_of_this_host() -> None:
    plain = Options()
    for url, target in {
        "http://127.0.0.1:1": "127.0.0.1:1",
        "http://localhost": "localhost:4466",
        "http://[::1]:5": "[::1]:5",
        "https://pdp.example:7": "pdp.example:7",
        "https://10.0.0.1": "10.0.0.1:4466",
    }.items():
        assert Address.parse(url, plain).target == target
    for url in (
        "http://pdp.example:4466", "http://10.0.0.1", "http://0.0.0.0", "127.0.0.1:4466", "ftp://127.0.0.1", "",
        "http://", "http://127.0.0.1/path", "http://me:pw@127.0.0.1", "http://127.0.0.1?x=1",
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r"address|another host"):
            Address.parse(url, plain)
    assert not Address.parse("http://10.0.0.1", Options(insecure_plaintext=True)).secured
    with pytest.raises(ValueError, match="https"):
        Address.parse("http://127.0.0.1", Options(tls=Tls(authorities=b"a")))


def test_options_that_mean_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="go together"):
        Tls(certificate=b"c")
    with pytest.raises(TypeError):
        Options(fulfils="redact")
    assert dataclasses.replace(Options(), deadline=2).deadline == 2
