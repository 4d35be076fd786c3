from __future__ import annotations

import builtins
import datetime
import io

import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from PIL import Image

from sparring import provenance, vision
from sparring.errors import DataError, MissingExtra
from sparring.provenance import Note

NOTE = Note("tiny", "0123abcd")


def picture() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 30, 3), np.uint8))


def file(format: str, **options) -> bytes:
    held = io.BytesIO()
    picture().save(held, format, **options)
    return held.getvalue()


def pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


@pytest.fixture(scope="module")
def identity() -> tuple[str, str, str]:
    """A signer's chain and key, and the root above it; made here, trusted by nobody."""
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)

    def name(common: str) -> x509.Name:
        return x509.Name(
            [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Tests"), x509.NameAttribute(NameOID.COMMON_NAME, common)]
        )

    def certificate(subject: str, public, *, root: bool) -> x509.Certificate:
        usage = dict.fromkeys(
            "digital_signature content_commitment key_encipherment data_encipherment key_agreement key_cert_sign crl_sign "
            "encipher_only decipher_only".split(),
            False,
        )  # fmt: skip
        usage["key_cert_sign" if root else "digital_signature"] = True
        made = (
            x509.CertificateBuilder().subject_name(name(subject)).issuer_name(name("Root")).public_key(public)
            .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=2))
            .add_extension(x509.BasicConstraints(root, None), True).add_extension(x509.KeyUsage(**usage), True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), False)
        )  # fmt: skip
        if not root:
            made = made.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), False)
        return made.sign(root_key, hashes.SHA256())

    root = certificate("Root", root_key.public_key(), root=True)
    leaf = certificate("Signer", key.public_key(), root=False)
    plain = serialization.NoEncryption()
    secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain).decode()
    return pem(leaf) + pem(root), secret, pem(root)


@pytest.mark.parametrize("format", ["PNG", "JPEG"])
def test_a_note_is_read_back_and_no_pixel_changes(format):
    image = file(format)
    out = provenance.noted(image, NOTE)
    assert provenance.note_of(image) is None
    assert provenance.note_of(out) == NOTE
    assert np.array_equal(vision.decoded(out), vision.decoded(image))
    assert len(out) - len(image) < 400
    assert provenance.noted(out, NOTE) == out
    assert provenance.note_of(provenance.noted(out, Note("flyer", "é ü 한"))) == Note("flyer", "é ü 한")


def test_other_text_and_the_rotation_stay():
    image = provenance.noted(vision.png(np.zeros((4, 4), np.uint8), {"title": "seven"}), NOTE)
    assert Image.open(io.BytesIO(image)).text["title"] == "seven"
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    turned = provenance.noted(file("JPEG", exif=exif), NOTE)
    assert Image.open(io.BytesIO(turned)).getexif()[0x0112] == 6
    assert vision.decoded(turned).shape == (30, 40, 3)
    assert provenance.note_of(turned) == NOTE


def test_what_somebody_else_wrote_is_no_note():
    exif = Image.Exif()
    for text in ("a holiday", '{"generator": 3}', "[1]"):
        exif[0x010E] = text
        assert provenance.note_of(file("JPEG", exif=exif)) is None


@pytest.mark.parametrize("format", ["PNG", "JPEG"])
def test_a_manifest_is_small_says_what_made_the_file_and_is_bound_to_its_bytes(identity, format):
    chain, key, root = identity
    image = provenance.noted(file(format), NOTE)
    out = provenance.signed(image, NOTE, chain=chain, key=key)
    assert 1000 < len(out) - len(image) < 4500
    assert np.array_equal(vision.decoded(out), vision.decoded(image))
    found = provenance.manifest_of(out)
    assert found == provenance.Manifest("Valid", NOTE, "trainedAlgorithmicMedia", "Tests")
    assert provenance.manifest_of(out, anchors=root).state == "Trusted"
    assert provenance.note_of(out) == NOTE
    changed = bytearray(out)
    changed[-40] ^= 1
    assert provenance.manifest_of(bytes(changed)).state == "Invalid"


def test_a_renderer_is_no_trained_model_and_encoding_again_strips_all(identity):
    chain, key, _ = identity
    out = provenance.signed(provenance.noted(file("PNG"), NOTE), NOTE, chain=chain, key=key, source="algorithmicMedia")
    assert provenance.manifest_of(out).source == "algorithmicMedia"
    again = vision.png(vision.decoded(out))
    assert provenance.manifest_of(again) is None
    assert provenance.note_of(again) is None


def test_what_cannot_be_done_is_said(identity, monkeypatch):
    chain, key, _ = identity
    with pytest.raises(DataError, match="expected a PNG or JPEG file to note its origin in, got one that begins with b'GIF8'"):
        provenance.noted(file("GIF"), NOTE)
    with pytest.raises(DataError, match="expected a whole PNG file, got one that ends early"):
        provenance.noted(file("PNG")[:-20], NOTE)
    with pytest.raises(DataError, match="a certificate chain and a key that C2PA can sign with; it says"):
        provenance.signed(file("PNG"), NOTE, chain="no certificate", key=key)
    with pytest.raises(DataError, match="no image that can be read"):
        provenance.signed(b"text", NOTE, chain=chain, key=key)
    real = builtins.__import__

    def without(name, *rest):
        if name == "c2pa":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtra, match=r"c2pa-python.*pip install 'sparring\[images\]'"):
        provenance.manifest_of(file("PNG"))
