"""Reading what a zip's entries hold: one pass over the file, in windows, everything exact."""

from __future__ import annotations

import hashlib
from struct import Struct
from typing import TYPE_CHECKING

from p2pmods.errors import ZipRefused, printable
from p2pmods.gomod.inflate import Inflater, crc32
from p2pmods.gomod.zipdirectory import FLAG_DESCRIPTOR, STORED, check_extra, read_exact

if TYPE_CHECKING:
    from collections.abc import Callable

WINDOW = 1 << 18  # bytes read at once; a name and an extra field together are half of that at most
STEP = 1 << 16  # packed bytes that are inflated at once
PIECE = 1 << 18  # bytes of inflated content that are held at once

# Of a directory header: flags, method, CRC, packed, size, offset.
_HEADER = Struct("<8xHH4xIII14xI")
_LOCAL_SIGNATURE = b"PK\x03\x04"
_LOCAL_SIZE = 30
_DESCRIPTOR_SIGNATURE = b"PK\x07\x08"
_DESCRIPTOR_SIZE = 16
_NOTHING_YET = bytes(12)  # a local header's CRC and sizes, where a descriptor will state them
_WRONG_CRC = "a wrong CRC"
_WRONG_LENGTH = "deflate data of another length than its header says"


class PackedReader:
    """The bytes before the directory, read in order and once; `sha256` has seen all that was read."""

    __slots__ = ("_end", "_pread", "_view", "_window_at", "at", "inflater", "sha256", "window")

    def __init__(self, pread: Callable[[int, int], bytes], end: int, inflater: Inflater) -> None:
        self._pread = pread
        self._end = end
        self._window_at = 0  # the offset of the window's first byte
        self.window = b""
        self._view = memoryview(self.window)
        self.at = 0  # the offset of the next byte
        self.inflater = inflater
        self.sha256 = hashlib.sha256()

    def find(self, length: int) -> int:
        """Where in `window` the next bytes stand: `length` of them or WINDOW, unless the directory comes before."""
        start = self.at - self._window_at
        if start + length > len(self.window) and self.at + length <= self._end:
            self._refill()
            start = 0
        return start

    def take(self, length: int) -> int:
        """The same for at most WINDOW bytes, which must all be there; the next ones are those behind them."""
        start = self.find(length)
        if start + length > len(self.window):
            raise ZipRefused("an entry that reaches into the directory")
        self.at += length
        return start

    def part(self, start: int, end: int) -> memoryview:
        """Of `window`, without a copy."""
        return self._view[start:end]

    def _refill(self) -> None:
        """Let the window begin at `at`."""
        read_to = self._window_at + len(self.window)
        rest = self.window[self.at - self._window_at :]
        self.window, self._view = b"", memoryview(b"")
        fresh = read_exact(self._pread, read_to, min(WINDOW, self._end - read_to))
        self.sha256.update(fresh)
        self.window = rest + fresh
        self._view = memoryview(self.window)
        self._window_at = self.at


def read_entries(reader: PackedReader, names: list[bytes], headers: list[bytes]) -> list[bytes]:
    """The SHA-256 of each entry's content. The headers are the directory's; the local ones must say the same."""
    return [
        _read_ordinary(reader, name, header) or _read_any(reader, name, header)
        for name, header in zip(names, headers, strict=True)
    ]


def _read_ordinary(reader: PackedReader, name: bytes, header: bytes) -> bytes | None:
    """What `_read_any` does, in less time, for an entry as Go writes it that fits into memory as a whole.

    None for any other, with nothing taken yet.
    """
    flags, method, crc, packed, size, offset = _HEADER.unpack(header)
    data_at = _LOCAL_SIZE + len(name)
    length = data_at + packed + _DESCRIPTOR_SIZE
    if offset != reader.at or not flags & FLAG_DESCRIPTOR or method == STORED or size > PIECE:
        return None
    start = reader.find(length)
    window = reader.window
    data_at += start
    end = data_at + packed
    local = _LOCAL_SIGNATURE + header[6:16] + _NOTHING_YET + header[28:30] + b"\0\0" + name
    if not window.startswith(local, start) or not window.startswith(_DESCRIPTOR_SIGNATURE + header[16:28], end):
        return None
    data = reader.part(data_at, end)
    content = reader.inflater.whole(data, crc, size) or _inflate(reader.inflater, data, name, crc, size)
    reader.take(length)
    return hashlib.sha256(content).digest()


def _read_any(reader: PackedReader, name: bytes, header: bytes) -> bytes:
    """`reader` stands behind the entry before this one, and is left behind this one."""
    flags, method, crc, packed, size, offset = _HEADER.unpack(header)
    if offset != reader.at:
        raise ZipRefused("entries that overlap, leave a gap or stand in another order than in the directory")
    _read_local_header(reader, name, header, flags)
    read = _read_stored if method == STORED else _inflate_in_pieces
    digest, got = read(reader, name, packed, size)
    if got != crc:
        raise _refused(name, _WRONG_CRC)
    if flags & FLAG_DESCRIPTOR:
        start = reader.take(_DESCRIPTOR_SIZE)
        if not reader.window.startswith(_DESCRIPTOR_SIGNATURE + header[16:28], start):
            raise _refused(name, "a data descriptor that is not the directory's")
    return digest


def _read_local_header(reader: PackedReader, name: bytes, header: bytes, flags: int) -> None:
    """needed … date, CRC and sizes, the name's length and the name: byte for byte the directory's."""
    start = reader.take(_LOCAL_SIZE + len(name))
    window = reader.window
    stated = window[start + 14 : start + 26]
    if stated != header[16:28] and not (flags & FLAG_DESCRIPTOR and stated == _NOTHING_YET):
        raise _refused(name, "a local header with another CRC or size than the directory's")
    extra = window[start + 28 : start + 30]
    if not window.startswith(_LOCAL_SIGNATURE + header[6:16] + stated + header[28:30] + extra + name, start):
        raise _refused(name, "a local header that is not the directory's")
    if extra != b"\0\0":
        length = int.from_bytes(extra, "little")
        start = reader.take(length)
        check_extra(reader.window[start : start + length])


def _read_stored(reader: PackedReader, name: bytes, packed: int, size: int) -> tuple[bytes, int]:
    if packed != size:
        raise _refused(name, "stored, with two sizes")
    sha256 = hashlib.sha256()
    crc = 0
    while size:
        length = min(size, STEP)
        start = reader.take(length)
        content = reader.window[start : start + length]
        sha256.update(content)
        crc = crc32(content, crc)
        size -= length
    return sha256.digest(), crc


def _inflate(inflater: Inflater, data: memoryview, name: bytes, crc: int, size: int) -> bytes:
    stream = inflater.start()
    try:
        # One byte more than it may be, so that the stream can come to its end; 0 would mean without a cap.
        content = stream.decompress(data, size + 1)
    except inflater.error as error:
        raise _refused(name, f"malformed deflate data ({error})") from error
    if len(content) != size or not stream.eof or stream.unused_data:
        raise _refused(name, _WRONG_LENGTH)
    if crc32(content, 0) != crc:
        raise _refused(name, _WRONG_CRC)
    return content


def _inflate_in_pieces(reader: PackedReader, name: bytes, packed: int, size: int) -> tuple[bytes, int]:
    stream = reader.inflater.start()
    sha256 = hashlib.sha256()
    crc = 0
    data = b""
    while size >= 0 and not stream.eof:
        if not data and packed:
            length = min(packed, STEP)
            start = reader.take(length)
            data = reader.window[start : start + length]
            packed -= length
        try:
            content = stream.decompress(data, min(size + 1, PIECE))
        except reader.inflater.error as error:
            raise _refused(name, f"malformed deflate data ({error})") from error
        sha256.update(content)
        crc = crc32(content, crc)
        size -= len(content)
        # With nothing left to feed there may still be output held back, so only a call without effect is the end.
        if not content and len(stream.unconsumed_tail) == len(data):
            break
        data = stream.unconsumed_tail
    if size or packed or not stream.eof or stream.unused_data:
        raise _refused(name, _WRONG_LENGTH)
    return sha256.digest(), crc


def _refused(name: bytes, reason: str) -> ZipRefused:
    return ZipRefused(f"{printable(name)!r}: {reason}")
