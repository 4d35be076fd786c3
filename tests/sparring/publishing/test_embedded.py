"""What a picture file says beside its pixels is read, wherever it stands in the file; pixels are not."""

from __future__ import annotations

import io

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from sparring.errors import DataError
from sparring.publishing import embedded
from sparring.publishing.push import Options
from sparring.record import real

SECRET = "ghp_" + "aB3dE5gH7jK9mN1pQ2sT4vW6xY8zA0cD1eF2"
XMP = f"<x:xmpmeta xmlns:x='adobe:ns:meta/'>{SECRET}</x:xmpmeta>".encode()


def picture(kind: str, after: bytes = b"", size: int = 40, **options) -> bytes:
    out = io.BytesIO()
    Image.effect_noise((size, size), 60).save(out, kind, **options)
    return out.getvalue() + after


def chunk(zip: bool, international: bool = False) -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    (info.add_itxt if international else info.add_text)("Comment", SECRET, zip=zip)
    return info


def exif() -> Image.Exif:
    found = Image.Exif()
    found[0x010E] = SECRET  # ImageDescription
    return found


SAYING = {
    "PNG, text": lambda: picture("PNG", pnginfo=chunk(False)),
    "PNG, packed text": lambda: picture("PNG", pnginfo=chunk(True)),
    "PNG, international text": lambda: picture("PNG", pnginfo=chunk(False, True)),
    "PNG, packed international text": lambda: picture("PNG", pnginfo=chunk(True, True)),
    "PNG, Exif": lambda: picture("PNG", exif=exif()),
    "PNG, after its end": lambda: picture("PNG", SECRET.encode()),
    "JPEG, comment": lambda: picture("JPEG", comment=SECRET),
    "JPEG, Exif": lambda: picture("JPEG", exif=exif()),
    "JPEG, XMP": lambda: picture("JPEG", xmp=XMP),
    "JPEG, after its end": lambda: picture("JPEG", SECRET.encode()),
    "WebP, Exif": lambda: picture("WEBP", exif=exif()),
    "WebP, XMP": lambda: picture("WEBP", xmp=XMP),
    "WebP, after its end": lambda: picture("WEBP", SECRET.encode()),
    "GIF, comment": lambda: picture("GIF", comment=SECRET.encode()),
}


def column(*files: bytes | None) -> pa.ChunkedArray:
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    return pa.chunked_array([pa.array([None if file is None else {"bytes": file, "path": None} for file in files], kind)])


@pytest.mark.parametrize("where", SAYING)
def test_it_is_found_wherever_it_stands(where):
    (said,) = embedded.texts(column(SAYING[where]())).to_pylist()
    assert SECRET in said


def test_a_file_of_pixels_alone_says_nothing_whatever_its_size():
    pictures = column(None, *(picture(kind, size=size) for kind in ("PNG", "WEBP", "JPEG") for size in (1, 40, 400)))
    assert embedded.texts(pictures).to_pylist() == [None] * 10
    assert embedded.count(pictures) == 0
    assert embedded.count(column(None, SAYING["PNG, text"](), picture("PNG"))) == 1


def test_a_chunk_that_unpacks_without_end_is_read_to_a_limit():
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "x" * (20 << 20), zip=True)
    (said,) = embedded.texts(column(picture("PNG", pnginfo=info))).to_pylist()
    assert len(said) <= embedded.MOST


@given(st.sampled_from(sorted(SAYING)), st.integers(0, 4000), st.binary(max_size=8))
def test_a_damaged_file_ends_no_scan(where, at, other):
    whole = SAYING[where]()
    for file in (whole[:at], whole[: at % len(whole)] + other + whole[at % len(whole) + len(other) :], other):
        embedded.texts(column(file))


PLAIN = {
    "PNG": lambda: picture("PNG"),
    "PNG of many chunks": lambda: picture("PNG", size=400, compress_level=0),
    "PNG without an end": lambda: picture("PNG")[:-12],
    "nothing": lambda: b"",
    "null": lambda: None,
}


@given(st.lists(st.tuples(st.sampled_from(sorted(SAYING | PLAIN)), st.integers(0, 60)), max_size=12), st.integers(0, 4))
def test_many_files_are_counted_as_one_after_the_other(mixed, start):
    files = [(file := (SAYING | PLAIN)[name]()) and file[: len(file) - max(0, cut - 40)] for name, cut in mixed]
    alone = [file is not None and next(embedded.pieces(memoryview(file)), None) is not None for file in files]
    assert embedded.count(column(*files).slice(start)) == sum(alone[start:])


def test_a_push_of_it_is_refused_and_a_rewritten_shard_keeps_the_others(hub, written, rules):
    shared = {"policy": rules.name, "policy_version": rules.version, "split": "train", "label_name": "benign"}
    files = [picture("PNG"), SAYING["JPEG, Exif"](), picture("WEBP")]
    folder = written(records=[real(source="i", key=str(i), image=file, **shared) for i, file in enumerate(files)])
    with pytest.raises(DataError, match=r"1 with a GitHub token \(i#1\)\. Nothing was pushed") as caught:
        hub.push(folder)
    assert SECRET not in str(caught.value)
    assert hub.commits == 0
    hub.push(folder, options=Options(leave_out=True))
    assert all(SECRET.encode() not in data for data in hub.files.values())
    assert sum(path.endswith(".parquet") for path in hub.files) == 1
