"""Module zips as golang.org/x/mod/zip.Create makes them, and zips with one thing wrong.

Everything but the deflated bytes is what Go's archive/zip writes: data descriptors with signature, no CRC and no
sizes in local headers, no time, no attributes.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from struct import pack
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from p2pmods.gomod.module import ModuleVersion

_DESCRIPTOR = 0x0008
_UTF8 = 0x0800
_DEFLATED = 8
_ZIP64_FROM = 0xFFFF  # entries; archive/zip.uint16max


def make_module_zip(module: ModuleVersion, files: Mapping[str, bytes]) -> bytes:
    """The zip of `module` with `files` (names below the module's root) in their order."""
    return craft_zip(Crafted(f"{module}/{name}".encode(), content) for name, content in files.items())


@dataclass(frozen=True, slots=True)
class Crafted:
    """One entry, right unless told otherwise.

    `local` and `central` change single fields of the two headers: needed, flags, method, time, date, crc, packed,
    size, name, extra; in `central` also made, comment, disk, external, offset. `raw` stands in place of the deflated
    content, `descriptor` in place of the right one, `before` in front of the local header. `streamed` is Go's way:
    CRC and sizes follow the content.
    """

    name: bytes
    content: bytes = b""
    method: int = _DEFLATED
    streamed: bool = True
    raw: bytes | None = None
    descriptor: bytes | None = None
    before: bytes = b""
    local: Mapping[str, int | bytes] = field(default_factory=dict)
    central: Mapping[str, int | bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ending:
    """What is wrong with a zip as a whole: bytes where none belong, and fields of the end records.

    `before` is put in front of the finished zip, as self-extracting archives do; `shift` is added to the directory's
    offset; `locator` stands in place of the offset of the zip64 record.
    """

    before: bytes = b""
    before_directory: bytes = b""
    after_directory: bytes = b""
    comment: bytes = b""
    after: bytes = b""
    zip64: bool | None = None
    count: int | None = None
    shift: int = 0
    locator: int | None = None


def craft_zip(entries: Iterable[Crafted], ending: Ending | None = None) -> bytes:
    """The bytes of a zip with these entries and this ending."""
    ending = ending or Ending()
    out = bytearray()
    directory = bytearray()
    count = 0
    for entry in entries:
        out += entry.before
        directory += _add(out, entry)
        count += 1
    out += ending.before_directory
    offset = len(out) + ending.shift
    out += directory + ending.after_directory
    count = count if ending.count is None else ending.count
    end = _end(len(out), count, len(directory), offset, ending)
    return bytes(ending.before + out + end + ending.comment + ending.after)


def _add(out: bytearray, entry: Crafted) -> bytes:
    """Append the entry to `out`; its directory header."""
    packed = entry.raw
    if packed is None:
        packed = deflate(entry.content) if entry.method == _DEFLATED else entry.content
    needs_utf8 = not entry.name.isascii() or b"~" in entry.name  # as archive/zip.detectUTF8 sees it
    fields: dict[str, int | bytes] = {
        "made": 20,
        "needed": 20,
        "flags": (_DESCRIPTOR if entry.streamed else 0) | (_UTF8 if needs_utf8 else 0),
        "method": entry.method,
        "time": 0,
        "date": 0,
        "crc": zlib.crc32(entry.content),
        "packed": len(packed),
        "size": len(entry.content),
        "name": entry.name,
        "extra": b"",
        "comment": b"",
        "disk": 0,
        "external": 0,
        "offset": len(out),
    }
    blank = {"crc": 0, "packed": 0, "size": 0} if entry.streamed else {}
    out += _local_header(fields | blank | dict(entry.local)) + packed
    if entry.descriptor is not None:
        out += entry.descriptor
    elif entry.streamed:
        out += pack("<4sIII", b"PK\x07\x08", fields["crc"], fields["packed"], fields["size"])
    return _central_header(fields | dict(entry.central))


def deflate(content: bytes) -> bytes:
    """`content` as a raw deflate stream."""
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return stream.compress(content) + stream.flush()


def _local_header(f: Mapping[str, int | bytes]) -> bytes:
    name, extra = f["name"], f["extra"]
    assert isinstance(name, bytes)
    assert isinstance(extra, bytes)
    numbers = (f[key] for key in ("needed", "flags", "method", "time", "date", "crc", "packed", "size"))
    return pack("<4s5H3I2H", b"PK\x03\x04", *numbers, len(name), len(extra)) + name + extra


def _central_header(f: Mapping[str, int | bytes]) -> bytes:
    name, extra, comment = f["name"], f["extra"], f["comment"]
    assert isinstance(name, bytes)
    assert isinstance(extra, bytes)
    assert isinstance(comment, bytes)
    numbers = (f[key] for key in ("made", "needed", "flags", "method", "time", "date", "crc", "packed", "size"))
    lengths = (len(name), len(extra), len(comment), f["disk"], 0, f["external"], f["offset"])
    return pack("<4s6H3I5H2I", b"PK\x01\x02", *numbers, *lengths) + name + extra + comment


def _end(at: int, count: int, length: int, offset: int, ending: Ending) -> bytes:
    """The end record, behind a zip64 record and its locator where they are needed."""
    comment = len(ending.comment)
    if not (count >= _ZIP64_FROM if ending.zip64 is None else ending.zip64):
        return pack("<4s4H2IH", b"PK\x05\x06", 0, 0, count, count, length, offset, comment)
    record = pack("<4sQ2H2I4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, length, offset)
    locator = pack("<4sIQI", b"PK\x06\x07", 0, at if ending.locator is None else ending.locator, 1)
    short = pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, comment)
    return record + locator + short
