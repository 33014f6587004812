"""A primary and a follower with the configuration, the certificates' names and the policy that the chart asks for: the follower
becomes ready and answers what its primary answers."""

import shutil
import ssl
import subprocess
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

from .render import CHART, Render, config_map, must
from .server import lay_out, serving, wait, write_config

PEP = """
@id("follower") permit (principal == Mandate::Pep::Caller::"spiffe://example.org/pdp/follower", action == Mandate::Pep::Action::"watch", resource);
@id("gateway") permit (principal == Mandate::Pep::Caller::"spiffe://example.org/gateway", action in Mandate::Pep::Action::"question", resource);
"""
KEY = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"


def check(helm, mandate):
    objects = Render(helm, ["--values", CHART / "ci" / "followers-values.yaml"]).objects()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        certify(root)
        primary = place(objects, root / "primary", "x-mandate")
        lay_out(objects, primary)
        with serving(mandate, primary) as first:
            follower = place(objects, root / "follower", "x-mandate-follower")
            follow(follower, first["control"])
            with serving(mandate, follower) as second:
                wait(120, "the follower is never ready", lambda: True if ready(second) else None)
                said = [ask(root, at) for at in [first, second]]
                must(said == [True, True], f"primary and follower say {said}")
    print("  a follower with the chart's configuration follows a primary with the chart's, and answers the same")


def openssl(root, command):
    subprocess.run(["openssl", *command.split()], cwd=root, check=True, capture_output=True)


def certify(root):
    """An authority, and what cert-manager would make of the chart's Certificates; the gateway is a caller."""
    openssl(root, f"req -x509 {KEY} -keyout ca.key -out ca.crt -subj /CN=authority -days 2 -addext keyUsage=critical,keyCertSign")
    for name, names, usage in [
        ("server", "DNS:localhost", "serverAuth"),
        ("follower", "URI:spiffe://example.org/pdp/follower", "clientAuth"),
        ("gateway", "URI:spiffe://example.org/gateway", "clientAuth"),
    ]:
        (root / "extensions").write_text(f"subjectAltName={names}\nkeyUsage=critical,digitalSignature\nextendedKeyUsage={usage}\n")
        openssl(root, f"req {KEY} -keyout {name}.key -out {name}.csr -subj /CN={name}")
        openssl(root, f"x509 -req -in {name}.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out {name}.crt -days 1 -extfile extensions")


def place(objects, folder, name):
    """The volumes of Secrets and of the ConfigMaps that the chart does not make."""
    for path, certificate in [("tls", "server"), ("follow", "follower")]:
        (folder / path).mkdir(parents=True)
        for file, origin in [("tls.crt", f"{certificate}.crt"), ("tls.key", f"{certificate}.key"), ("ca.crt", "ca.crt")]:
            shutil.copy(folder.parent / origin, folder / path / file)
    (folder / "bundles" / "example.org").mkdir(parents=True)
    shutil.copy(folder.parent / "ca.crt", folder / "bundles" / "example.org" / "bundle.crt")
    (folder / "pep").mkdir()
    (folder / "pep" / "pep.cedar").write_text(PEP)
    must(config_map(objects, name) is not None, f"there is no ConfigMap {name}")
    write_config(objects, folder, name)
    return folder


def follow(folder, control):
    """The Service's name leads here."""
    written = (folder / "mandate.toml").read_text()
    service = "https://x-mandate-control.agents.svc:4469"
    must(service in written, "the follower follows somebody else")
    (folder / "mandate.toml").write_text(written.replace(service, f"https://localhost:{control.rpartition(':')[2]}"))


def ready(at):
    try:
        return urllib.request.urlopen(f"http://{at['ops']}/readyz", timeout=30).status == 200
    except urllib.error.HTTPError:
        return False


def ask(root, at):
    """What the gateway is told."""
    shown = ssl.create_default_context(cafile=root / "ca.crt")
    shown.load_cert_chain(root / "gateway.crt", root / "gateway.key")
    url = f"https://localhost:{at['http'].rpartition(':')[2]}/access/v1/evaluation"
    request = urllib.request.Request(url, (CHART / "files" / "authzen.json").read_bytes(), {"content-type": "application/json"})
    with urllib.request.urlopen(request, context=shown, timeout=30) as response:
        return b'"decision":true' in response.read()
