"""The strict reader of module zips: what passes is read alike by Go, and by everyone else.

One sequential pass over the file, through `pread` windows, so that memory does not grow with the zip. The rules are
those of golang.org/x/mod/zip (checkZip, Unzip) and dirhash.HashZip, and above them: one meaning for every byte.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from p2pmods.errors import InvalidPath, InvalidVersion, ZipRefused, printable
from p2pmods.gomod.h1 import hash1
from p2pmods.gomod.inflate import EXACT, Inflater
from p2pmods.gomod.module import ModuleVersion
from p2pmods.gomod.zipcontent import PackedReader, read_entries
from p2pmods.gomod.zipdirectory import MAX_ZIP, parse_entries, read_directory
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


def check_module_zip(
    module: ModuleVersion | None, size: int, pread: Callable[[int, int], bytes], *, inflater: Inflater = EXACT
) -> ZipSummary:
    """Read the zip of `size` bytes behind `pread(offset, length)`; raises ZipRefused with the reason.

    `inflater` FAST is for a file that go itself would have been given, had we not been here (see inflate.py).

    Without a module, the first entry's name says which one it is. No read is longer than 8 MiB, and but for the
    directory they are 256 KiB and in order. Errors of `pread` pass through.
    """
    directory = read_directory(size, pread)
    names, headers, sizes = parse_entries(directory)
    if not names:
        raise ZipRefused("no files")
    prefix = _prefix(names[0]) if module is None else f"{module}/".encode()
    _check_names(prefix, names)
    unpacked = _check_sizes(prefix, names, sizes)
    reader = PackedReader(pread, directory.offset, inflater)
    digests = read_entries(reader, names, headers)
    if reader.at != directory.offset:
        raise ZipRefused("bytes between the last entry and the directory")
    reader.sha256.update(directory.data)
    reader.sha256.update(directory.tail)
    return ZipSummary(hash1(zip(names, digests, strict=True)), reader.sha256.hexdigest(), len(names), unpacked)


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


def _check_names(prefix: bytes, names: list[bytes]) -> None:
    add = NameChecker().add
    length = len(prefix)
    for name in names:
        if not name.startswith(prefix):
            raise ZipRefused(f"{printable(name)!r}: not below {prefix.decode()}")
        add(name[length:])


def _check_sizes(prefix: bytes, names: list[bytes], sizes: list[int]) -> int:
    """All sizes together, before anything is inflated: what the directory states is a cap for what comes out."""
    unpacked = sum(sizes)
    if unpacked > MAX_UNPACKED:
        raise ZipRefused(f"{unpacked} bytes unpacked, more than the {MAX_UNPACKED} that Go allows")
    for name, size in zip(names, sizes, strict=True):
        if size and name.endswith(b"/"):
            raise ZipRefused(f"{printable(name)!r}: a directory with content")
        if size > MAX_GO_MOD and name in (prefix + b"go.mod", prefix + b"LICENSE"):
            raise ZipRefused(f"{printable(name)!r}: more than {MAX_GO_MOD} bytes")
    return unpacked
