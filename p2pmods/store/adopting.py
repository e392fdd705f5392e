"""Taking a file that lies elsewhere, in the user's module cache, into DATA/tmp without writing to its place.

A hard link costs nothing, and is safe although both names then lead to one inode: the go command puts `.info`,
`.mod` and `.zip` there by rename and never writes into them again; `go clean -modcache` only takes its own name away;
and should anything else write into the inode, its fingerprint changes, and the file is verified again before it is
served. Where a link is not possible (another file system, another owner) the blocks are shared (reflink), or copied.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

from p2pmods.store import fs

if TYPE_CHECKING:
    from pathlib import Path

_FICLONE: Final = 0x40049409  # linux/fs.h: _IOW(0x94, 9, int)


def adopt(source: Path, target: Path) -> None:
    """Make `target` (which does not exist) hold what the regular file `source` holds, synced. Raises OSError."""
    descriptor, status = fs.open_regular(source)
    try:
        if not _link(source, target, status):
            _copy(descriptor, target)
    except BaseException:
        fs.remove(target)
        raise
    finally:
        os.close(descriptor)


def _link(source: Path, target: Path, status: os.stat_result) -> bool:
    try:
        os.link(source, target, follow_symlinks=False)
    except (OSError, NotImplementedError):
        return False
    linked = os.lstat(target)
    if (linked.st_ino, linked.st_dev) != (status.st_ino, status.st_dev):
        fs.remove(target)  # another file took the name between our open and the link
        return False
    if os.name != "nt":  # there a file that is open for reading only cannot be flushed
        again, _ = fs.open_regular(target)
        try:
            fs.sync(again)
        finally:
            os.close(again)
    return True


def _copy(descriptor: int, target: Path) -> None:
    copy = fs.create(target)
    try:
        if not _reflink(descriptor, copy):
            for part in fs.windows(descriptor):
                fs.write_all(copy, part)
        fs.sync(copy)
    finally:
        os.close(copy)


def _reflink(source: int, target: int) -> bool:
    if sys.platform != "linux":
        return False
    import fcntl  # there is none on Windows

    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError:
        return False
    return True
