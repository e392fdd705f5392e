"""The end record and the central directory of a module zip, read strictly: one meaning for every reader.

Go's archive/zip looks for the end record backwards, shifts offsets by what stands before the archive, trusts counts
modulo 65536 and follows zip64 locators. A file that uses any of that can show two readers two trees, so all of it is
refused here: the end record is the last thing in the file, the directory ends where it begins, and the entries fill
the directory exactly.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from p2pmods.errors import ZipRefused

if TYPE_CHECKING:
    from collections.abc import Callable

    PRead = Callable[[int, int], bytes]

MAX_ZIP = 500 << 20  # bytes of the zip itself; x/mod/zip.MaxZipFile
MAX_ENTRIES = 1 << 17  # our own: a toolchain has 15,000
MAX_DIRECTORY = 16 << 20  # bytes; our own: it is held in memory as a whole
MAX_READ = 8 << 20  # bytes read at once

# signature, disk, disk of the directory, entries on this disk, entries, size, offset, comment length
_END = Struct("<IHHHHIIH")
_END_SIGNATURE = 0x06054B50
# signature, disk of the record, offset of the record, number of disks
_LOCATOR = Struct("<IIQI")
_LOCATOR_SIGNATURE = 0x07064B50
# signature, length of the rest, made by, needed, disk, disk of the directory, entries here, entries, size, offset
_END64 = Struct("<IQHHIIQQQQ")
_END64_SIGNATURE = 0x06064B50
# signature, needed, flags, method, size, name length, extra length, comment length, disk;
# passed over: made by, time, date, CRC, packed size, internal and external attributes, offset
_HEADER = Struct("<I2xHHH12xIHHHH10x")
_HEADER_SIGNATURE = 0x02014B50
_EXTRA = Struct("<HH")

FLAG_DESCRIPTOR = 0x0008  # CRC and sizes follow the data
_FLAGS_KNOWN = FLAG_DESCRIPTOR | 0x0006 | 0x0800  # descriptor, how hard deflate tried, name is UTF-8
_NEEDED = 20  # version 2.0: deflate and directories, no zip64
STORED = 0
DEFLATED = 8
_EXTRAS_HARMLESS = {0x5455, 0x7875}  # times, and owner: neither changes what a reader extracts


class Directory(NamedTuple):
    """Where the central directory stands, its bytes, how many entries it should hold, and the bytes behind it."""

    offset: int
    data: bytes
    entries: int
    tail: bytes


class Entries(NamedTuple):
    """The entries in order: raw names, 46-byte headers, sizes. Nothing that the garbage collector has to follow:
    an object for each entry would cost more than the rest of the reading."""

    names: list[bytes]
    headers: list[bytes]
    sizes: list[int]


def read_exact(pread: PRead, offset: int, length: int) -> bytes:
    """`length` bytes at `offset`; a file that has become shorter is refused."""
    data = pread(offset, length)
    if len(data) != length:
        raise ZipRefused(f"truncated: {len(data)} of {length} bytes at offset {offset}")
    return data


def read_directory(size: int, pread: PRead) -> Directory:
    """Find the directory of a zip of `size` bytes and read it; it is then in memory, at most MAX_DIRECTORY bytes."""
    if size > MAX_ZIP:
        raise ZipRefused(f"{size} bytes, more than the {MAX_ZIP} that Go allows")
    if size < _END.size:
        raise ZipRefused("too short to be a zip")
    tail = read_exact(pread, max(0, size - _END.size - _LOCATOR.size), min(size, _END.size + _LOCATOR.size))
    end = tail[-_END.size :]
    signature, disk, dir_disk, here, entries, length, offset, comment = _END.unpack(end)
    if signature != _END_SIGNATURE or comment:
        raise ZipRefused("no end record at the very end (a comment, trailing bytes, or a cut file)")
    if disk or dir_disk or here != entries:
        raise ZipRefused("spread over several disks")
    at = size - len(end)
    locator = tail[: -_END.size]
    if len(locator) == _LOCATOR.size and _LOCATOR.unpack(locator)[0] == _LOCATOR_SIGNATURE:
        at, entries, length, offset, end = _read_zip64(pread, at, locator, (entries, length, offset), end)
    if offset + length != at:
        raise ZipRefused("bytes before the archive, or between the directory and its end record")
    if entries > MAX_ENTRIES:
        raise ZipRefused(f"{entries} entries, more than {MAX_ENTRIES}")
    if length > MAX_DIRECTORY:
        raise ZipRefused(f"a directory of {length} bytes, more than {MAX_DIRECTORY}")
    data = b"".join(read_exact(pread, offset + at, min(MAX_READ, length - at)) for at in range(0, length, MAX_READ))
    return Directory(offset, data, entries, end)


def _read_zip64(
    pread: PRead, end_at: int, locator: bytes, short: tuple[int, int, int], end: bytes
) -> tuple[int, int, int, int, bytes]:
    """(where the record is, entries, length, offset, the record and all behind it); needed from 65,535 entries."""
    at = end_at - _LOCATOR.size - _END64.size
    _, disk, record_at, disks = _LOCATOR.unpack(locator)
    if disk or disks != 1 or record_at != at:
        raise ZipRefused("a zip64 locator that does not point at the record just before it")
    record = read_exact(pread, at, _END64.size)
    signature, rest, _, _, disk, dir_disk, here, entries, length, offset = _END64.unpack(record)
    if signature != _END64_SIGNATURE or rest != _END64.size - 12 or disk or dir_disk or here != entries:
        raise ZipRefused("a malformed zip64 end record")
    if entries < 0xFFFF:
        raise ZipRefused("zip64 where nothing needs it")
    # As archive/zip writes it, all three say "look at the zip64 record".
    if short != (0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF):
        raise ZipRefused("an end record that does not defer to the zip64 one")
    return at, entries, length, offset, record + locator + end


def parse_entries(directory: Directory) -> Entries:
    """The entries, each checked by itself; they fill the directory exactly."""
    data, end = directory.data, len(directory.data)
    unpack, length = _HEADER.unpack, _HEADER.size  # what a loop over all entries asks for often
    names, headers, sizes = entries = Entries([], [], [])
    at = 0
    for _ in range(directory.entries):
        header = data[at : at + length]
        if len(header) != length:
            raise ZipRefused("the directory is shorter than its entries")
        signature, needed, flags, method, size, name_length, extra_length, comment_length, disk = unpack(header)
        name_at = at + length
        extra_at = name_at + name_length
        at = extra_at + extra_length
        if signature != _HEADER_SIGNATURE or at > end:
            raise ZipRefused("a malformed directory header")
        if flags & ~_FLAGS_KNOWN or (method and method != DEFLATED) or needed > _NEEDED or disk or comment_length:
            _refuse_header(flags, method, needed, disk)
        if extra_length:
            check_extra(data[extra_at:at])
        names.append(data[name_at:extra_at])
        headers.append(header)
        sizes.append(size)
    if at != end:
        raise ZipRefused("the directory is longer than its entries")
    return entries


def _refuse_header(flags: int, method: int, needed: int, disk: int) -> None:
    if flags & 0x2041:
        raise ZipRefused("an encrypted entry")
    if flags & ~_FLAGS_KNOWN:
        raise ZipRefused(f"an entry with flags {flags:#06x}")
    if method not in (STORED, DEFLATED):
        raise ZipRefused(f"an entry with compression method {method}")
    if needed > _NEEDED:
        raise ZipRefused(f"an entry that needs version {needed / 10} of the format")
    if disk:
        raise ZipRefused("spread over several disks")
    raise ZipRefused("an entry with a comment")


def check_extra(extra: bytes) -> None:
    """Whole fields only, and only those that no reader takes a size, an offset or a name from."""
    at = 0
    while at < len(extra):
        if at + _EXTRA.size > len(extra):
            raise ZipRefused("a malformed extra field")
        tag, length = _EXTRA.unpack_from(extra, at)
        if tag not in _EXTRAS_HARMLESS:
            raise ZipRefused(f"an extra field {tag:#06x}")
        at += _EXTRA.size + length
    if at != len(extra):
        raise ZipRefused("a malformed extra field")
