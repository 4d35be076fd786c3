"""A signer of C2PA manifests that nobody vouches for, where a job names none: it binds a manifest to its file, no more."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

DAYS = 3650  # a manifest without a timestamp is valid as long as its certificate


@dataclass(frozen=True, slots=True)
class Signer:
    """PEM: the certificate and those above it, and the private key."""

    chain: str
    key: str
    algorithm: str = "es256"

    def __repr__(self) -> str:
        return f"Signer({self.algorithm})"  # no key in a log


def unvouched() -> Signer:
    """New keys and certificates, to be forgotten after use. Needs `cryptography`, which c2pa-python brings."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)

    def name(common: str) -> x509.Name:
        said = ((NameOID.ORGANIZATION_NAME, "Sparring, not vouched for"), (NameOID.COMMON_NAME, common))
        return x509.Name([x509.NameAttribute(kind, value) for kind, value in said])

    def certificate(subject: str, public: ec.EllipticCurvePublicKey, *, root: bool) -> str:
        usage = x509.KeyUsage(
            digital_signature=not root, key_cert_sign=root, content_commitment=False, key_encipherment=False,
            data_encipherment=False, key_agreement=False, crl_sign=False, encipher_only=False, decipher_only=False,
        )  # fmt: skip
        made = (
            x509.CertificateBuilder()
            .subject_name(name(subject))
            .issuer_name(name("Root"))
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=DAYS))
            .add_extension(x509.BasicConstraints(root, None), True)
            .add_extension(usage, True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), False)
        )
        if not root:  # C2PA asks for it, and e-mail protection is the use that every library knows
            made = made.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), False)
        return made.sign(root_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()

    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    leaf, root = certificate("Signer", key.public_key(), root=False), certificate("Root", root_key.public_key(), root=True)
    return Signer(leaf + root, secret)
