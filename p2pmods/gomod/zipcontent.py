"""Reading what a zip's entries hold: one pass over the file, in windows, everything exact."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from p2pmods.errors import ZipRefused, printable
from p2pmods.gomod import inflate
from p2pmods.gomod.zipdirectory import FLAG_DESCRIPTOR, STORED, Entry, check_extra, read_exact

if TYPE_CHECKING:
    from collections.abc import Callable

WINDOW = 1 << 20  # bytes read at once; a name with an extra field is 128 KiB at most
STEP = 1 << 18  # packed bytes that are inflated at once
PIECE = 1 << 20  # bytes of inflated content that are held at once

_LOCAL_SIGNATURE = b"PK\x03\x04"
_LOCAL_SIZE = 30
_DESCRIPTOR_SIGNATURE = b"PK\x07\x08"
_DESCRIPTOR_SIZE = 16
_NOTHING_YET = bytes(12)  # a local header's CRC and sizes, where a descriptor will state them


class PackedReader:
    """The bytes before the directory, read in order and once; `sha256` has seen all that was read."""

    __slots__ = ("_end", "_pread", "_window_at", "at", "sha256", "window")

    def __init__(self, pread: Callable[[int, int], bytes], end: int) -> None:
        self._pread = pread
        self._end = end
        self._window_at = 0  # the offset of the window's first byte
        self.window = b""
        self.at = 0  # the offset of the next byte
        self.sha256 = hashlib.sha256()

    def take(self, length: int) -> int:
        """Where in `window` the next `length` bytes stand, at most WINDOW and none of them of the directory."""
        start = self.at - self._window_at
        if start + length > len(self.window):
            self._refill(length)
            start = 0
        self.at += length
        return start

    def _refill(self, length: int) -> None:
        """Let the window begin at `at`."""
        if self.at + length > self._end:
            raise ZipRefused("an entry that reaches into the directory")
        read_to = self._window_at + len(self.window)
        rest = self.window[self.at - self._window_at :]
        self.window = b""
        fresh = read_exact(self._pread, read_to, min(WINDOW, self._end - read_to))
        self.sha256.update(fresh)
        self.window = rest + fresh
        self._window_at = self.at


def read_entry(reader: PackedReader, entry: Entry, header: bytes) -> bytes:
    """The SHA-256 of an entry's content. `header` is the directory's; the local one must say the same.

    `reader` stands at the entry's first byte and is left behind its last.
    """
    name, _, flags, method, crc, packed, size, _ = entry
    _read_local_header(reader, entry, header)
    if method == STORED:
        digest, got = _read_stored(reader, entry)
    elif packed <= STEP and size <= PIECE:
        start = reader.take(packed)
        content = _inflate(memoryview(reader.window)[start : start + packed], entry)
        digest, got = hashlib.sha256(content).digest(), inflate.crc32(content, 0)
    else:
        digest, got = _inflate_in_pieces(reader, entry)
    if got != crc:
        raise ZipRefused(f"{printable(name)!r}: a wrong CRC")
    if flags & FLAG_DESCRIPTOR:
        start = reader.take(_DESCRIPTOR_SIZE)
        if not reader.window.startswith(_DESCRIPTOR_SIGNATURE + header[16:28], start):
            raise ZipRefused(f"{printable(name)!r}: a data descriptor that is not the directory's")
    return digest


def _read_local_header(reader: PackedReader, entry: Entry, header: bytes) -> None:
    """needed … date, CRC and sizes, the name's length and the name: byte for byte the directory's."""
    start = reader.take(_LOCAL_SIZE + len(entry.name))
    filled = header[16:28]
    stated = reader.window[start + 14 : start + 26]
    if stated != filled and not (entry.flags & FLAG_DESCRIPTOR and stated == _NOTHING_YET):
        raise _refused(entry, "a local header with another CRC or size than the directory's")
    extra = reader.window[start + 28 : start + 30]
    if not reader.window.startswith(
        _LOCAL_SIGNATURE + header[6:16] + stated + header[28:30] + extra + entry.name, start
    ):
        raise _refused(entry, "a local header that is not the directory's")
    if extra != b"\0\0":
        length = int.from_bytes(extra, "little")
        start = reader.take(length)
        check_extra(reader.window[start : start + length])


def _read_stored(reader: PackedReader, entry: Entry) -> tuple[bytes, int]:
    if entry.packed != entry.size:
        raise _refused(entry, "stored, with two sizes")
    sha256 = hashlib.sha256()
    crc = 0
    left = entry.size
    while left:
        length = min(left, STEP)
        start = reader.take(length)
        content = reader.window[start : start + length]
        sha256.update(content)
        crc = inflate.crc32(content, crc)
        left -= length
    return sha256.digest(), crc


def _inflate(data: memoryview, entry: Entry) -> bytes:
    stream = inflate.decompressor()
    try:
        # One byte more than it may be, so that the stream can come to its end; 0 would mean without a cap.
        content = stream.decompress(data, entry.size + 1)
    except inflate.InflateError as error:
        raise _refused(entry, f"malformed deflate data ({error})") from error
    if len(content) != entry.size or not stream.eof or stream.unused_data:
        raise _refused(entry, "deflate data of another length than its header says")
    return content


def _inflate_in_pieces(reader: PackedReader, entry: Entry) -> tuple[bytes, int]:
    stream = inflate.decompressor()
    sha256 = hashlib.sha256()
    crc = 0
    left = entry.size
    packed = entry.packed
    data = b""
    while not stream.eof and left >= 0 and (packed or data):
        if not data:
            length = min(packed, STEP)
            start = reader.take(length)
            data = reader.window[start : start + length]
            packed -= length
        try:
            content = stream.decompress(data, min(left + 1, PIECE))
        except inflate.InflateError as error:
            raise _refused(entry, f"malformed deflate data ({error})") from error
        sha256.update(content)
        crc = inflate.crc32(content, crc)
        left -= len(content)
        data = stream.unconsumed_tail
    if left or packed or not stream.eof or stream.unused_data:
        raise _refused(entry, "deflate data of another length than its header says")
    return sha256.digest(), crc


def _refused(entry: Entry, reason: str) -> ZipRefused:
    return ZipRefused(f"{printable(entry.name)!r}: {reason}")
