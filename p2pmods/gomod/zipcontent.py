"""Reading what a zip's entries hold: one pass over the file, in windows, everything exact."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from p2pmods.errors import ZipRefused, printable
from p2pmods.gomod import inflate
from p2pmods.gomod.zipdirectory import FLAG_DESCRIPTOR, STORED, Entry, check_extra, read_exact

if TYPE_CHECKING:
    from collections.abc import Callable

WINDOW = 1 << 20  # bytes read at once, and the most that an entry may have to be held as a whole
STEP = 1 << 18  # bytes of a larger entry that are inflated at once
PIECE = 1 << 20  # bytes of inflated content held at once

_LOCAL_SIGNATURE = b"PK\x03\x04"
_LOCAL_SIZE = 30
_DESCRIPTOR_SIGNATURE = b"PK\x07\x08"
_DESCRIPTOR_SIZE = 16


class PackedReader:
    """The bytes before the directory, read in order and once; `sha256` has seen all that was read."""

    __slots__ = ("_end", "_pread", "_read", "_window", "at", "sha256")

    def __init__(self, pread: Callable[[int, int], bytes], end: int) -> None:
        self._pread = pread
        self._end = end
        self._read = 0  # how far the file was read
        self._window = memoryview(b"")
        self.at = 0  # the offset of the next byte that take() gives
        self.sha256 = hashlib.sha256()

    def take(self, length: int) -> memoryview:
        """The next `length` bytes, at most WINDOW and none of the directory."""
        start = len(self._window) - (self._read - self.at)
        if start + length > len(self._window):
            self._refill(length)
            start = 0
        self.at += length
        return self._window[start : start + length]

    def _refill(self, length: int) -> None:
        rest = bytes(self._window[len(self._window) - (self._read - self.at) :])
        if self.at + length > self._end:
            raise ZipRefused("an entry that reaches into the directory")
        self._window = memoryview(b"")
        fresh = read_exact(self._pread, self._read, min(WINDOW, self._end - self._read))
        self.sha256.update(fresh)
        self._read += len(fresh)
        self._window = memoryview(rest + fresh if rest else fresh)


def read_entry(reader: PackedReader, entry: Entry, header: bytes) -> bytes:
    """The SHA-256 of an entry's content. `header` is the directory's; the local one must say the same.

    `reader` stands at the entry's first byte and is left behind its last.
    """
    descriptor = entry.flags & FLAG_DESCRIPTOR
    _read_local_header(reader, entry, header, filled=not descriptor)
    if entry.method == STORED:
        digest, crc = _read_stored(reader, entry)
    elif entry.packed <= STEP and entry.size <= PIECE:
        digest, crc = _inflate_at_once(reader, entry)
    else:
        digest, crc = _inflate_in_pieces(reader, entry)
    if crc != entry.crc:
        raise _refused(entry, "a wrong CRC")
    if descriptor and reader.take(_DESCRIPTOR_SIZE) != _DESCRIPTOR_SIGNATURE + header[16:28]:
        raise _refused(entry, "a data descriptor that is not the directory's")
    return digest


def _read_local_header(reader: PackedReader, entry: Entry, header: bytes, *, filled: bool) -> None:
    """needed … date, CRC and sizes, the name's length and the name: byte for byte the directory's."""
    local = reader.take(_LOCAL_SIZE + len(entry.name))
    start = _LOCAL_SIGNATURE + header[6:16]
    sizes = header[16:28]
    if local[:14] != start or local[26:28] != header[28:30] or local[_LOCAL_SIZE:] != entry.name:
        raise _refused(entry, "a local header that is not the directory's")
    if local[14:26] != sizes and (filled or local[14:26] != bytes(12)):
        raise _refused(entry, "a local header with another CRC or size than the directory's")
    extra = local[28] | local[29] << 8
    if extra:
        check_extra(bytes(reader.take(extra)))


def _read_stored(reader: PackedReader, entry: Entry) -> tuple[bytes, int]:
    if entry.packed != entry.size:
        raise _refused(entry, "stored, with two sizes")
    sha256 = hashlib.sha256()
    crc = 0
    left = entry.size
    while left:
        content = reader.take(min(left, STEP))
        sha256.update(content)
        crc = inflate.crc32(content, crc)
        left -= len(content)
    return sha256.digest(), crc


def _inflate_at_once(reader: PackedReader, entry: Entry) -> tuple[bytes, int]:
    stream = inflate.decompressor()
    try:
        # One byte more than it may be, so that the stream can come to its end; 0 would mean without a cap.
        content = stream.decompress(reader.take(entry.packed), entry.size + 1)
    except inflate.InflateError as error:
        raise _refused(entry, f"malformed deflate data ({error})") from error
    if len(content) != entry.size or not stream.eof or stream.unused_data:
        raise _refused(entry, "deflate data of another length than its header says")
    return hashlib.sha256(content).digest(), inflate.crc32(content, 0)


def _inflate_in_pieces(reader: PackedReader, entry: Entry) -> tuple[bytes, int]:
    stream = inflate.decompressor()
    sha256 = hashlib.sha256()
    crc = 0
    left = entry.size
    packed = entry.packed
    data: bytes | memoryview = b""
    while not stream.eof and (packed or data):
        if not data:
            data = reader.take(min(packed, STEP))
            packed -= len(data)
        try:
            content = stream.decompress(data, min(left + 1, PIECE))
        except inflate.InflateError as error:
            raise _refused(entry, f"malformed deflate data ({error})") from error
        left -= len(content)
        if left < 0:
            break
        sha256.update(content)
        crc = inflate.crc32(content, crc)
        data = stream.unconsumed_tail
    if left or packed or not stream.eof or stream.unused_data:
        raise _refused(entry, "deflate data of another length than its header says")
    return sha256.digest(), crc


def _refused(entry: Entry, reason: str) -> ZipRefused:
    return ZipRefused(f"{printable(entry.name)!r}: {reason}")
