"""The strict reader of module zips: what passes is read alike by Go, and by everyone else.

One sequential pass over the file, through `pread` windows, so that memory does not grow with the zip. The rules are
those of golang.org/x/mod/zip (checkZip, Unzip) and dirhash.HashZip, and above them: one meaning for every byte.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from p2pmods.errors import InvalidPath, InvalidVersion, ZipRefused, printable
from p2pmods.gomod.h1 import hash1
from p2pmods.gomod.module import ModuleVersion
from p2pmods.gomod.zipcontent import PackedReader, read_entry
from p2pmods.gomod.zipdirectory import MAX_ZIP, Entry, entries_of, read_directory
from p2pmods.gomod.zipnames import NameChecker

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_UNPACKED = MAX_ZIP  # bytes of all files together; x/mod/zip.MaxZipFile
MAX_GO_MOD = 16 << 20  # bytes of go.mod, and of LICENSE; x/mod/zip.MaxGoMod, MaxLICENSE


@dataclass(frozen=True, slots=True)
class ZipSummary:
    """A module zip that passed: its `h1:`, the SHA-256 (hex) of its own bytes, entries and their size together."""

    h1: str
    sha256: str
    files: int
    unpacked: int


def check_module_zip(module: ModuleVersion | None, size: int, pread: Callable[[int, int], bytes]) -> ZipSummary:
    """Read the zip of `size` bytes behind `pread(offset, length)`; raises ZipRefused with the reason.

    Without a module, the first entry's name says which one it is. The reads are at most 16 MiB long (the directory)
    and else 1 MiB; errors of `pread` pass through.
    """
    directory = read_directory(size, pread)
    entries = list(entries_of(directory))
    if not entries:
        raise ZipRefused("no files")
    prefix = _prefix(entries[0].name) if module is None else f"{module}/".encode()
    _check_names(prefix, entries)
    unpacked = _check_sizes(prefix, entries)
    reader = PackedReader(pread, directory.offset)
    digests: list[tuple[bytes, bytes]] = []
    for entry in entries:
        if entry.offset != reader.at:
            raise ZipRefused("entries that overlap, leave a gap or stand in another order than in the directory")
        digests.append((entry.name, read_entry(reader, entry, directory.data[entry.header : entry.header + 30])))
    if reader.at != directory.offset:
        raise ZipRefused("bytes between the last entry and the directory")
    reader.sha256.update(directory.data)
    reader.sha256.update(directory.tail)
    return ZipSummary(hash1(digests), reader.sha256.hexdigest(), len(entries), unpacked)


def _prefix(name: bytes) -> bytes:
    """The `path@version/` that `name` begins with."""
    path, _, rest = name.partition(b"@")
    version, slash, _ = rest.partition(b"/")
    try:
        module = ModuleVersion(path.decode(), version.decode())
    except (UnicodeDecodeError, InvalidPath, InvalidVersion) as error:
        raise ZipRefused(f"{printable(name)!r}: not below a module's path@version/") from error
    if not slash:
        raise ZipRefused(f"{printable(name)!r}: not below a module's path@version/")
    return f"{module}/".encode()


def _check_names(prefix: bytes, entries: list[Entry]) -> None:
    add = NameChecker().add
    for entry in entries:
        name = entry.name
        if not name.startswith(prefix):
            raise ZipRefused(f"{printable(name)!r}: not below {prefix.decode()}")
        add(name[len(prefix) :])


def _check_sizes(prefix: bytes, entries: list[Entry]) -> int:
    """All sizes together, before anything is inflated: what the directory states is a cap for what comes out."""
    unpacked = 0
    for entry in entries:
        unpacked += entry.size
        if entry.size and entry.name.endswith(b"/"):
            raise ZipRefused(f"{printable(entry.name)!r}: a directory with content")
        if entry.size > MAX_GO_MOD and entry.name in (prefix + b"go.mod", prefix + b"LICENSE"):
            raise ZipRefused(f"{printable(entry.name)!r}: more than {MAX_GO_MOD} bytes")
    if unpacked > MAX_UNPACKED:
        raise ZipRefused(f"{unpacked} bytes unpacked, more than the {MAX_UNPACKED} that Go allows")
    return unpacked
