"""The data directory: made, checked and locked before anything else touches it. Every failure says the cure."""

from __future__ import annotations

import json
import os
import shutil
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import filelock

from p2pmods.errors import StoreError, StoreInUse
from p2pmods.store import fs

if TYPE_CHECKING:
    from pathlib import Path

    from p2pmods.store.layout import Layout

_LOCK: Final = "lock"
_OWNER: Final = "lock.pid"  # beside the lock: Windows lets nobody read a locked file
_OURS: Final = frozenset(
    {"modules", "index.sqlite", "audit.jsonl", "evidence", "node.json", "identity.key", "config.toml", _LOCK}
)
MAX_NODE_JSON: Final = 64 << 10


def prepare(layout: Layout) -> None:
    """Make and check the directories. Raises StoreError."""
    try:
        layout.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_directory(layout.data)
        names = set(os.listdir(layout.data))  # noqa: PTH208
        if not names or names & _OURS:
            _make_private(layout.data)
        for directory in (layout.modules, layout.tmp, layout.quarantine, layout.evidence):
            with suppress(FileExistsError):
                directory.mkdir(mode=0o700)
            _check_directory(directory)
        if layout.tmp.stat().st_dev != layout.modules.stat().st_dev:
            raise StoreError(f"{layout.tmp} and {layout.modules} must be on one file system")
    except OSError as error:
        cure = "; choose another directory with --data"
        raise StoreError(f"{fs.store_error('use the data directory', layout.data, error)}{cure}") from error


def _check_directory(path: Path) -> None:
    status = os.lstat(path)
    if stat.S_ISLNK(status.st_mode):
        target = os.path.realpath(path)
        raise StoreError(
            f"{path} is a symbolic link: name the directory itself (--data {target}), or remove the link"
        )
    if not stat.S_ISDIR(status.st_mode):
        raise StoreError(f"{path} is not a directory: remove it, or choose another --data directory")
    if hasattr(os, "geteuid") and status.st_uid != os.geteuid():
        raise StoreError(
            f"{path} belongs to user {status.st_uid}, not to you ({os.geteuid()}):"
            " run as that user, or choose another --data directory"
        )


def _make_private(path: Path) -> None:
    if os.name != "nt" and stat.S_IMODE(path.stat().st_mode) & 0o077:
        path.chmod(0o700)


def lock(layout: Layout) -> filelock.BaseFileLock:
    """The lock that keeps a second node off this store. Raises StoreError, naming the process that holds it.

    The system lets go of it when its process ends in any way, so a stale lock file is no obstacle.
    """
    held = filelock.FileLock(layout.data / _LOCK, timeout=0, mode=0o600, thread_local=False)
    try:
        held.acquire()
    except filelock.Timeout:
        owner = _owner(layout)
        raise StoreInUse(
            f"{layout.data} is in use by {owner}: stop it first, or choose another --data directory"
        ) from None
    except OSError as error:
        raise fs.store_error("write into", layout.data, error) from error
    except NotImplementedError as error:
        raise StoreError(f"cannot lock {layout.data}: {error}; choose a --data directory on a local disk") from error
    try:
        fs.write_derived(layout.data / _OWNER, layout.tmp / _OWNER, f"{os.getpid()}\n".encode())
    except OSError as error:
        held.release()
        raise fs.store_error("write into", layout.data, error) from error
    return held


def _owner(layout: Layout) -> str:
    for read in (_pid_of_lock, _pid_of_node):
        with suppress(OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError):
            return f"the p2pmods process {read(layout)}"
    return "another p2pmods process"


def _pid_of_lock(layout: Layout) -> int:
    return int((layout.data / _OWNER).read_bytes()[:20])


def _pid_of_node(layout: Layout) -> int:
    with (layout.data / "node.json").open("rb") as stream:
        return int(json.loads(stream.read(MAX_NODE_JSON))["pid"])


def sweep(layout: Layout) -> None:
    """Remove what a crash left in tmp/. Only for the holder of the lock."""
    for path in list(layout.tmp.iterdir()):
        if not fs.remove(path):
            shutil.rmtree(path, ignore_errors=True)
