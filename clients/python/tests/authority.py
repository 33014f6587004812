"""An authority that vouches for servers and workloads, for as long as the tests run."""

from __future__ import annotations

import json
import sys
from datetime import datetime, timedelta, timezone

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


class Authority:
    """Makes certificates (PEM) that it vouches for."""

    def __init__(self, trust_domain: str) -> None:
        self.trust_domain = trust_domain
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests")])
        uri = x509.UniformResourceIdentifier(f"spiffe://{trust_domain}")
        made = (
            self._builder(self.key.public_key(), self.name, uri)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .sign(self.key, hashes.SHA256())
        )
        self.certificate = made.public_bytes(serialization.Encoding.PEM)

    def server(self, name: str) -> tuple[bytes, bytes]:
        return self._leaf(x509.DNSName(name), ExtendedKeyUsageOID.SERVER_AUTH)

    def workload(self, path: str) -> tuple[bytes, bytes]:
        uri = x509.UniformResourceIdentifier(f"spiffe://{self.trust_domain}/{path}")
        return self._leaf(uri, ExtendedKeyUsageOID.CLIENT_AUTH)

    def _leaf(self, name: x509.GeneralName, purpose: x509.ObjectIdentifier) -> tuple[bytes, bytes]:
        key = ec.generate_private_key(ec.SECP256R1())
        made = (
            self._builder(key.public_key(), x509.Name([]), name)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        return made.public_bytes(serialization.Encoding.PEM), key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def _builder(
        self, key: ec.EllipticCurvePublicKey, subject: x509.Name, name: x509.GeneralName
    ) -> x509.CertificateBuilder:
        now = datetime.now(timezone.utc)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(x509.SubjectAlternativeName([name]), critical=not subject.rdns)
        )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def main() -> None:
    """Print an authority, a server and a workload as JSON, for tests in other languages."""
    authority = Authority(sys.argv[1])
    server, workload = authority.server(sys.argv[2]), authority.workload(sys.argv[3])
    made = {"authority": authority.certificate, "server": server[0], "server_key": server[1]}
    made |= {"workload": workload[0], "workload_key": workload[1]}
    sys.stdout.write(json.dumps({name: pem.decode() for name, pem in made.items()}))


if __name__ == "__main__":
    main()
