"""What a picture file holds beside its pixels: text chunks, Exif, XMP, comments, and whatever follows its end.

Files are walked from chunk to chunk by their lengths; no pixel is decoded. PNG as ISO/IEC 15948 has it, JPEG as ITU-T T.81,
WebP as RFC 9649; a file of another kind counts as a whole.
"""

from __future__ import annotations

import contextlib
import re
import struct
import zlib
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

MOST = 1 << 20  # bytes of a file's text, and of a packed chunk when it is unpacked
CHUNKS = 16  # of a PNG that are looked at beside those of others; a file of more is walked by itself
_PNG, _PNG_TEXT = b"\x89PNG\r\n\x1a\n", {b"tEXt", b"zTXt", b"iTXt", b"eXIf"}
_SAY = np.array([int.from_bytes(name) for name in sorted(_PNG_TEXT)])
_WEBP_TEXT = {b"EXIF", b"XMP "}
_JPEG_TEXT = {0xFE, *range(0xE1, 0xF0)} - {0xE2, 0xEE}  # comments and applications' own; not colour profiles
_PACKED = re.compile(rb"\x78[\x01\x5e\x9c\xda]")  # how a zlib stream begins


def texts(pictures: pa.ChunkedArray) -> pa.Array:
    """(n,) strings of a column of pictures (`bytes`, `path`): what each file says, Latin-1 without NUL; null where nothing."""
    found: list[str | None] = []
    for value in pc.struct_field(pictures, ["bytes"]):
        said = b"\n".join(pieces(memoryview(value.as_buffer()).cast("B"))) if value.is_valid else b""
        found.append(said[:MOST].replace(b"\0", b"").decode("latin-1") or None)
    return pa.array(found, pa.string())


def count(pictures: pa.ChunkedArray) -> int:
    """How many of them say anything."""
    if pictures.null_count == len(pictures):
        return 0
    return sum(
        next(pieces(memoryview(value.as_buffer()).cast("B")), None) is not None
        for chunk in pc.struct_field(pictures, ["bytes"]).chunks
        for value in chunk.filter(_may_say(chunk))
        if value.is_valid
    )


def _may_say(files: pa.BinaryArray) -> pa.BooleanArray:
    """False for a PNG whose few chunks are none that say anything and end with the file: many are looked at in one go."""
    _, offsets, data = files.buffers()
    if data is None:
        return pa.array(np.ones(len(files), bool))
    ends = np.frombuffer(offsets, np.int32, len(files) + 1, files.offset * 4).astype(np.int64)
    body = np.frombuffer(data, np.uint8)
    may, at, last = np.ones(len(files), bool), ends[:-1].copy(), ends[1:]
    rows = np.flatnonzero(last - at >= len(_PNG))
    rows = rows[(body[at[rows, None] + np.arange(len(_PNG))] == np.frombuffer(_PNG, np.uint8)).all(1)]
    at += len(_PNG)
    for _ in range(CHUNKS):
        rows = rows[at[rows] + 12 <= last[rows]]
        if not len(rows):
            break
        size, name = body[at[rows, None] + np.arange(8)].view(">u4").astype(np.int64).T
        at[rows] += size + 12
        over = name == int.from_bytes(b"IEND")
        may[rows[over & (at[rows] == last[rows])]] = False
        rows = rows[~over & (name[:, None] != _SAY).all(1)]
    return pa.array(may)


def pieces(file: memoryview) -> Iterator[bytes]:
    """The bytes that are no picture, packed ones unpacked; a file that is cut short is read as far as it goes."""
    head = bytes(file[:12])
    if head.startswith(_PNG):
        yield from _png(file)
    elif head.startswith(b"\xff\xd8"):
        yield from _jpeg(file)
    elif head[:4] == b"RIFF" and head[8:] == b"WEBP":
        yield from _webp(file)
    elif head:
        yield bytes(file)


def _png(file: memoryview) -> Iterator[bytes]:
    at, end = len(_PNG), False
    while not end and at + 8 <= len(file):
        size, name = struct.unpack_from(">I4s", file, at)
        if name in _PNG_TEXT:
            body = bytes(file[at + 8 : at + 8 + size])
            yield body
            if name in (b"zTXt", b"iTXt") and (packed := _PACKED.search(body)):
                with contextlib.suppress(zlib.error):
                    yield zlib.decompressobj().decompress(body[packed.start() :], MOST)
        at, end = at + 12 + size, name == b"IEND"
    if at < len(file):
        yield bytes(file[at:])


def _jpeg(file: memoryview) -> Iterator[bytes]:
    at = 2
    while at + 4 <= len(file) and file[at] == 0xFF and file[at + 1] != 0xDA:
        (size,) = struct.unpack_from(">H", file, at + 2)
        if file[at + 1] in _JPEG_TEXT:
            yield bytes(file[at + 4 : at + 2 + size])
        at += 2 + size
    body = bytes(file[at:])
    if (end := body.rfind(b"\xff\xd9")) >= 0 and end + 2 < len(body):
        yield body[end + 2 :]


def _webp(file: memoryview) -> Iterator[bytes]:
    (whole,) = struct.unpack_from("<I", file, 4)
    at, last = 12, min(len(file), 8 + whole)
    while at + 8 <= last:
        name, size = struct.unpack_from("<4sI", file, at)
        if name in _WEBP_TEXT:
            yield bytes(file[at + 8 : at + 8 + size])
        at += 8 + size + size % 2
    if 8 + whole < len(file):
        yield bytes(file[8 + whole :])
