"""What a generated file says of itself: text in the file, and a signed C2PA manifest. Pixels are not touched.

Re-encoding strips both, so the columns of a record stay the source of truth; a file that says nothing proves nothing.
"""

from __future__ import annotations

import io
import json
import pathlib
import struct
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

import sparring

from . import refs
from .errors import DataError, MissingExtra

ASSERTION = "org.sparring.record"
# What made it, in the terms of IPTC, https://cv.iptc.org/newscodes/digitalsourcetype
Source = Literal["trainedAlgorithmicMedia", "algorithmicMedia", "compositeWithTrainedAlgorithmicMedia"]
_IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"
_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8"
_SOFTWARE, _DESCRIPTION = 0x0131, 0x010E  # EXIF
_PREFIX = "sparring:"


@dataclass(frozen=True, slots=True)
class Note:
    """What stands in a file's text: that it is synthetic, what made it, and the id of its record."""

    generator: str
    record: str
    synthetic: bool = True


@dataclass(frozen=True, slots=True)
class Manifest:
    """A C2PA manifest as it was read. `state`: "Trusted", "Valid" (signed, by whom is not vouched for) or "Invalid"."""

    state: str
    note: Note | None
    source: str  # IPTC's term, "" where the manifest has none
    issuer: str


def noted(image: bytes, note: Note) -> bytes:
    """A PNG or JPEG file with `note` in its text chunks or its EXIF; what an earlier note said is replaced. Raises `DataError`
    for a file of another kind, or one whose structure is broken."""
    if image.startswith(_PNG):
        said = {"Software": f"sparring {sparring.__version__}"} | {_PREFIX + k: json.dumps(v) for k, v in asdict(note).items()}
        chunks = [
            (kind, body)
            for kind, body in _chunks(image)
            if kind != b"iTXt" or body.split(b"\0")[0].decode("latin-1") not in said
        ]
        texts = [(b"iTXt", k.encode() + b"\0\0\0\0\0" + v.encode()) for k, v in said.items()]
        return _PNG + b"".join(_chunk(*part) for part in [*chunks[:1], *texts, *chunks[1:]])
    if image.startswith(_JPEG):
        return _with_exif(image, note)
    raise DataError(f"expected a PNG or JPEG file to note its origin in, got one that begins with {image[:4]!r}")


def note_of(image: bytes) -> Note | None:
    """The note in a file's text, None where there is none."""
    from PIL import Image

    with Image.open(io.BytesIO(image)) as file:
        text = {k.removeprefix(_PREFIX): v for k, v in file.info.items() if isinstance(k, str) and k.startswith(_PREFIX)}
        found = {k: json.loads(v) for k, v in text.items()} or _said(file.getexif().get(_DESCRIPTION))
    try:
        return Note(**found) if found else None
    except TypeError:
        return None


def signed(
    image: bytes, note: Note, *, chain: str, key: str, source: Source = "trainedAlgorithmicMedia", algorithm: str = "es256",
) -> bytes:  # fmt: skip
    """The file with a C2PA manifest of about 3 KB, without thumbnails: created by software, `note`, bound to its bytes.

    `chain`: the signer's certificate and those above it, PEM; `key`: its private key, PEM. Signs without a network: no
    timestamp. Raises `MissingExtra` without c2pa-python and `DataError` for what it can't sign with or in.
    """
    c2pa = _library()
    definition = {
        "claim_generator_info": [{"name": "sparring", "version": sparring.__version__}],
        "title": note.record,
        "assertions": [
            {"label": "c2pa.actions", "data": {"actions": [{"action": "c2pa.created", "digitalSourceType": _IPTC + source}]}},
            {"label": ASSERTION, "data": asdict(note)},
        ],
    }
    context = _context({"builder": {"thumbnail": {"enabled": False}}, "verify": {"verify_after_sign": False}})
    held = io.BytesIO()
    try:
        signer = c2pa.Signer.from_info(c2pa.C2paSignerInfo(algorithm.encode(), chain.encode(), key.encode(), None))
        c2pa.Builder.from_json(json.dumps(definition), context).sign(signer, _mime(image), io.BytesIO(image), held)
    except c2pa.C2paError as error:
        raise DataError(f"expected a file, a certificate chain and a key that C2PA can sign with; it says: {error}") from error
    return held.getvalue()


def signable(chain: str, key: str) -> None:
    """Raises what a person can mend: c2pa-python is missing, or a file of the references is."""
    _library()
    for reference, holds in ((chain, "CERTIFICATE"), (key, "PRIVATE KEY")):
        if f"{holds}-----" not in pem(reference):
            raise DataError(f"{reference}: expected PEM with a {holds.lower()}, found none")


def pem(reference: str) -> str:
    """The text of a file that a reference names."""
    return pathlib.Path(refs.resolve(reference)).read_text(encoding="ascii", errors="replace")


def manifest_of(image: bytes, *, anchors: str = "") -> Manifest | None:
    """The C2PA manifest of a file, checked against its bytes; None where there is none. `anchors`: PEM, to trust."""
    c2pa = _library()
    settings: dict[str, Any] = {"verify": {"remote_manifest_fetch": False}}
    if anchors:
        settings["trust"] = {"user_anchors": anchors}
    try:
        reader = c2pa.Reader(_mime(image), io.BytesIO(image), context=_context(settings))
    except c2pa.C2paError.ManifestNotFound:
        return None
    except c2pa.C2paError as error:
        raise DataError(f"expected a readable C2PA manifest; C2PA says: {error}") from error
    active = reader.get_active_manifest() or {}
    said = {part["label"]: part.get("data", {}) for part in active.get("assertions", ())}
    actions: list[Any] = next((data.get("actions", []) for name, data in said.items() if name.startswith("c2pa.actions")), [])
    source = next((a["digitalSourceType"] for a in actions if "digitalSourceType" in a), "")
    note = said.get(ASSERTION)
    issuer = active.get("signature_info", {}).get("issuer") or ""
    return Manifest(str(reader.get_validation_state()), Note(**note) if note else None, source.removeprefix(_IPTC), issuer)


def _library() -> Any:
    try:
        import c2pa
    except ImportError:
        raise MissingExtra("C2PA manifests", "c2pa-python", "images") from None
    return c2pa


def _context(settings: dict[str, Any]) -> Any:
    return _library().Context.from_dict(settings)


def _mime(image: bytes) -> str:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(image)) as file:
            return Image.MIME[file.format or ""]
    except UnidentifiedImageError:
        raise DataError("expected an image, got no image that can be read") from None


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(type, body) of each chunk of a PNG file."""
    at = len(_PNG)
    while at + 12 <= len(png):
        (length,) = struct.unpack_from(">I", png, at)
        if at + 12 + length > len(png):
            break
        kind = png[at + 4 : at + 8]
        yield kind, png[at + 8 : at + 8 + length]
        if kind == b"IEND":
            return
        at += 12 + length
    raise DataError("expected a whole PNG file, got one that ends early")


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _with_exif(jpeg: bytes, note: Note) -> bytes:
    """A JPEG file whose EXIF has the note; its other tags, such as the rotation, stay."""
    from PIL import Image

    with Image.open(io.BytesIO(jpeg)) as file:
        exif = file.getexif()
    exif[_SOFTWARE], exif[_DESCRIPTION] = f"sparring {sparring.__version__}", json.dumps(asdict(note))
    body = exif.tobytes()
    kept, at = [], 2
    while at + 4 <= len(jpeg) and jpeg[at] == 0xFF and jpeg[at + 1] not in (0xDA, 0xD9):
        end = at + 2 + struct.unpack_from(">H", jpeg, at + 2)[0]
        if not (jpeg[at + 1] == 0xE1 and jpeg[at + 4 : at + 10] == b"Exif\0\0"):
            kept.append(jpeg[at:end])
        at = end
    head = 1 if kept and kept[0][1] == 0xE0 else 0  # JFIF wants to be first
    exif_segment = b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body
    return _JPEG + b"".join([*kept[:head], exif_segment, *kept[head:]]) + jpeg[at:]


def _said(description: Any) -> dict[str, Any]:
    """The note in an EXIF description; empty where somebody else wrote it."""
    try:
        found = json.loads(description or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) and set(found) == set(Note.__slots__) else {}
