"""What is set aside: damaged files in DATA/quarantine, contradictions in DATA/evidence.

Quarantine is for looking at and is bounded, the oldest go first. Evidence is kept for ever: one directory for each
contradiction, named by what it holds, so the same one is kept once. To bound what it can be made to hold, blobs are
left out (their hashes stay in evidence.json) once evidence/ has MAX_EVIDENCE_BYTES, and nothing more is kept once it
has MAX_CONTRADICTIONS: only authenticated statements get this far, so that is a person's problem, not a stranger's.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from p2pmods.store import fs
from p2pmods.store.adopting import adopt

if TYPE_CHECKING:
    from collections.abc import Mapping

    from p2pmods.gomod.module import FileKey
    from p2pmods.store.layout import Layout

MAX_QUARANTINE_FILES: Final = 100
MAX_QUARANTINE_BYTES: Final = 1 << 30
MAX_EVIDENCE_BYTES: Final = 4 << 30
MAX_CONTRADICTIONS: Final = 10_000
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9@._+-]")


def set_aside(layout: Layout, key: FileKey, path: Path, now: float) -> str | None:
    """Move the file at `path` into quarantine; its new name, or None when it could only be removed.

    Raises OSError when it can be neither moved nor removed.
    """
    name = f"{int(now)}-{_slug(str(key))}-{os.lstat(path).st_ino:x}"
    try:
        os.replace(path, layout.quarantine / name)  # noqa: PTH105
    except OSError:
        os.unlink(path)  # noqa: PTH108
        return None
    _prune(layout.quarantine)
    return name


def _prune(directory: Path) -> None:
    """Keep the youngest files within both bounds."""
    found = sorted(directory.iterdir(), key=lambda path: path.lstat().st_ctime_ns, reverse=True)
    total = 0
    for count, path in enumerate(found, 1):
        total += path.lstat().st_size
        if count > MAX_QUARANTINE_FILES or (total > MAX_QUARANTINE_BYTES and count > 1):
            fs.remove(path)


def keep_contradiction(
    layout: Layout, key: FileKey, statement: Mapping[str, Any], blobs: Mapping[str, bytes | Path], now: float
) -> str | None:
    """Keep `blobs` (file name → content) and `statement` below evidence/; the directory's name.

    None when there are MAX_CONTRADICTIONS already. Raises OSError.
    """
    hashes = {name: _sha256(blob) for name, blob in sorted(blobs.items())}
    digest = hashlib.sha256(json.dumps([str(key), hashes]).encode()).hexdigest()[:16]
    name = f"{_slug(str(key))}-{digest}"
    final = layout.evidence / name
    if final.exists():
        return name
    held = list(layout.evidence.iterdir())
    if len(held) >= MAX_CONTRADICTIONS:
        return None
    used = sum(path.lstat().st_size for directory in held if directory.is_dir() for path in directory.iterdir())
    working = layout.tmp / f"{name}.evidence"
    shutil.rmtree(working, ignore_errors=True)
    working.mkdir(mode=0o700)
    if used < MAX_EVIDENCE_BYTES:
        for file, blob in blobs.items():
            _put(working / _slug(file), blob)
    facts = {"file": str(key), "at": now, "sha256": hashes, **statement}
    _put(working / "evidence.json", json.dumps(facts, indent=1, sort_keys=True).encode())
    fs.sync_directory(working)
    working.rename(final)
    fs.sync_directory(layout.evidence)
    return name


def _put(path: Path, blob: bytes | Path) -> None:
    if isinstance(blob, Path):
        adopt(blob, path)
        return
    descriptor = fs.create(path)
    try:
        fs.write_all(descriptor, blob)
        fs.sync(descriptor)
    finally:
        os.close(descriptor)


def _sha256(blob: bytes | Path) -> str:
    if not isinstance(blob, Path):
        return hashlib.sha256(blob).hexdigest()
    descriptor, _ = fs.open_regular(blob)
    try:
        return hash_file(descriptor)
    finally:
        os.close(descriptor)


def hash_file(descriptor: int) -> str:
    """SHA-256 in hex of all that is behind `descriptor`. Raises OSError."""
    running = hashlib.sha256()
    for part in fs.windows(descriptor):
        running.update(part)
    return running.hexdigest()


def _slug(text: str) -> str:
    return _UNSAFE.sub("_", text)[-100:]
