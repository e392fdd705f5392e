"""The few operations on files that the store is made of, each with its errors turned into a StoreError.

Everything that touches the disk on the way of a commit goes through here, so a test can fail each step in turn.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, BinaryIO, Final

from p2pmods.errors import StoreError, printable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WINDOW: Final = 1 << 20  # bytes read at once when a whole file is read
_AT_ONCE: Final = getattr(os, "O_NONBLOCK", 0)  # opening a FIFO must not block us
_READ_FLAGS: Final = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0) | _AT_ONCE
_NO_LINK: Final = getattr(os, "O_NOFOLLOW", 0)
_APPEND_FLAGS: Final = (
    os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | _NO_LINK | _AT_ONCE
)  # fmt: skip
_CREATE_FLAGS: Final = (
    os.O_RDWR
    | os.O_CREAT
    | os.O_EXCL
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_BINARY", 0)
)
_CAUSES: Final = {
    errno.ENOSPC: "the disk is full (bytes or inodes): free some space",
    errno.EDQUOT: "the disk quota is used up: free some space",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "permission denied",
    errno.EPERM: "the operation is not permitted",
    errno.EIO: "the disk reports an I/O error",
    errno.EMFILE: "too many open files: raise the limit (ulimit -n)",
    errno.ENFILE: "too many open files on this machine",
    errno.ENAMETOOLONG: "the name is too long for this file system",
}


def store_error(doing: str, path: Path, error: OSError) -> StoreError:
    """One line: what could not be done with `path`, and why."""
    cause = _CAUSES.get(error.errno or 0) or error.strerror or str(error)
    return StoreError(f"cannot {doing} {printable(str(path))}: {cause}")


def fingerprint(status: os.stat_result) -> str:
    """What tells, without reading, that a file is the one that was verified.

    Text, because an inode number may exceed SQLite's 64 signed bits.
    """
    return f"{status.st_ino}:{status.st_size}:{status.st_mtime_ns}:{status.st_ctime_ns}"


def is_regular(status: os.stat_result) -> bool:
    return stat.S_ISREG(status.st_mode)


def create(path: Path) -> int:
    """A descriptor to write and read a file that did not exist. Raises OSError."""
    return os.open(path, _CREATE_FLAGS, 0o600)


def open_to_append(path: Path) -> int:
    """A descriptor to add to a file, which is made when there is none. Raises OSError."""
    return os.open(path, _APPEND_FLAGS, 0o600)


def open_regular(path: Path | str, *, follow_links: bool = False) -> tuple[int, os.stat_result]:
    """A descriptor to read `path` and its status. Raises OSError, also (ELOOP) when it is not a regular file."""
    descriptor = os.open(path, _READ_FLAGS if follow_links else _READ_FLAGS | _NO_LINK)
    try:
        status = os.fstat(descriptor)
        if not is_regular(status):
            raise OSError(errno.ELOOP, "not a regular file", str(path))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor, status


def stream_regular(path: Path | str) -> BinaryIO:
    """The regular file that `path` leads to, over links too, to be read. Raises OSError."""
    return os.fdopen(open_regular(path, follow_links=True)[0], "rb")


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of `data`, however short the single writes are. Raises OSError."""
    view = memoryview(data)
    while view:
        written = os.write(descriptor, view)
        if written <= 0:
            raise OSError(errno.EIO, "the disk took no bytes")
        view = view[written:]


def pread(descriptor: int, offset: int, length: int) -> bytes:
    """At most `length` bytes from `offset`, fewer only at the end of the file. Raises OSError."""
    parts = []
    while length > 0:
        part = _pread_once(descriptor, offset, length)
        if not part:
            break
        parts.append(part)
        offset += len(part)
        length -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _pread_once(descriptor: int, offset: int, length: int) -> bytes:
    if hasattr(os, "pread"):
        return os.pread(descriptor, length, offset)
    os.lseek(descriptor, offset, os.SEEK_SET)  # Windows: each reader has a descriptor of its own
    return os.read(descriptor, length)


def windows(descriptor: int) -> Iterator[bytes]:
    """The whole file behind `descriptor`, in order, in pieces of at most WINDOW bytes. Raises OSError."""
    offset = 0
    while part := pread(descriptor, offset, WINDOW):
        offset += len(part)
        yield part


def sync(descriptor: int) -> None:
    """Force the file's bytes to the disk. Raises OSError; the bytes must then be discarded, never synced again."""
    os.fsync(descriptor)


def sync_directory(path: Path) -> None:
    """Make renames in `path` survive a power cut. Windows has no such thing and needs none. Raises OSError."""
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0))
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(path: Path) -> bool:
    """Remove the file; False when there was none, or when it could not be removed."""
    try:
        os.unlink(path)  # noqa: PTH108 (one way for all, so that tests can fail it)
    except OSError:
        return False
    return True


def make_directories(root: Path, directory: Path) -> None:
    """Make `directory` below `root`, each level durable and none of them a symbolic link. Raises OSError."""
    level = root
    for name in directory.relative_to(root).parts:
        parent, level = level, level / name
        try:
            os.mkdir(level, 0o700)  # noqa: PTH102
        except FileExistsError:
            if not stat.S_ISDIR(os.lstat(level).st_mode):
                raise OSError(errno.ELOOP, "a symbolic link or file stands where a directory must be") from None
        else:
            sync_directory(parent)


def write_derived(path: Path, temporary: Path, data: bytes) -> None:
    """Put `data` at `path` in one step, without a promise to survive a power cut. Raises OSError."""
    descriptor = create(temporary)
    try:
        try:
            write_all(descriptor, data)
        finally:
            os.close(descriptor)
        os.replace(temporary, path)  # noqa: PTH105
    except BaseException:
        remove(temporary)
        raise
