"""What a node keeps of a checksum database, and how it gets to disk.

`DATA/modules/sumdb/<name>/` is for readers, `GOPROXY=file://DATA/modules` among them: `supported`, `latest`,
`lookup/`, `tile/`. A lookup file carries the head that was newest when it was written, and is never rewritten: that
head stays in H, and the right-edge tiles of every head in H stay on disk for ever.

`DATA/sumdb/<name>/` is the node's own: `heads.json`, the commit point of every step, with all of H, and
`frozen.json`, which exists once the database was caught signing two different logs. Nothing here ever removes that:
a person who has read the evidence deletes it while no node runs.

Every file is written beside its place and renamed, tiles before the lookups and heads that need them, so a kill
between any two writes leaves the old state or the new one. When the disk is full, what could not be written is kept
in memory and tried again with the next write.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import re
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from p2pmods.errors import MalformedData, StoreError, printable
from p2pmods.store.sumdb_directory import SumdbDirectory
from p2pmods.sumdb.note import MAX_NOTE
from p2pmods.sumdb.tlog import Head, open_head

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from p2pmods.errors import SumdbSecurityError
    from p2pmods.gomod.module import ModuleVersion
    from p2pmods.sumdb.note import Verifier
    from p2pmods.sumdb.tiles import Tile

MAX_HEADS: Final = 1024  # of H that are listed; the tiles of all others stay, so no client notices
MAX_HEADS_FILE: Final = 16 << 20
MAX_UNSAVED: Final = 32 << 20  # bytes kept in memory while the disk takes none

# A host, perhaps with a port, and perhaps a path, as cmd/go demands. No single letter before a colon: a drive.
_NAME: Final = re.compile(
    r"[A-Za-z0-9](?:[A-Za-z0-9._-]+(?::[0-9]+)?)?(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Alarm:
    """Why the database is frozen, since when (Unix time), and the names of the evidence files."""

    reason: str
    at: float
    evidence: tuple[str, ...]


class ChecksumFiles(SumdbDirectory):
    """The files of the database `name` below `data`. Methods that write block, and may be called in a thread."""

    def __init__(self, data: Path, name: str, *, clock: Callable[[], float] = time.time) -> None:
        if not _NAME.fullmatch(name):
            raise StoreError(f"a checksum database cannot be called {printable(name)!r}")
        super().__init__(data / "modules" / "sumdb" / name)
        self._private = data / "sumdb" / name
        self._evidence = data / "evidence"
        self._temporary = data / "tmp"
        self._clock = clock
        self._counter = itertools.count()
        self._waiting = threading.Lock()
        self._unsaved: dict[Path, bytes] = {}
        self.problem: str | None = None

    def read(self, path: Path | str, limit: int) -> bytes | None:
        """As for any directory, what waits for the disk included."""
        waiting = self._unsaved.get(Path(path)) if self._unsaved else None
        return waiting or super().read(path, limit)

    def load_heads(self, verifier: Verifier) -> list[Head]:
        """All kept heads whose signature is good, the smallest first. What is damaged is left out."""
        heads: dict[int, Head] = {}
        for note in (*self._listed_notes(), self.read(self.root / "latest", MAX_NOTE) or b""):
            with contextlib.suppress(MalformedData):
                head = open_head(note, verifier)
                heads.setdefault(head.size, head)
        return [heads[size] for size in sorted(heads)]

    def save_tiles(self, tiles: Mapping[Tile, bytes]) -> None:
        """Write proven tiles; those that are there already are left alone."""
        wanted = {self.tile_path(tile): data for tile, data in tiles.items()}
        self._save({path: data for path, data in wanted.items() if self.read(path, len(data)) != data})

    def save_heads(self, heads: Sequence[Head]) -> None:
        """Commit H, the smallest first; the last one is S. Its tiles must have been saved before."""
        notes = [head.note.decode() for head in heads[-MAX_HEADS:]]
        state = json.dumps({"format": 1, "heads": notes}, ensure_ascii=False, indent=1).encode()
        self._save(
            {
                self._private / "heads.json": state,
                self.root / "latest": heads[-1].note,
                self.root / "supported": b"",
            }
        )

    def save_lookup(self, module: ModuleVersion, answer: bytes) -> None:
        """Write a verified lookup answer, whose head is in H and whose tiles are saved."""
        self._save({self.lookup_path(module): answer})

    def load_alarm(self) -> Alarm | None:
        """Why the database is frozen. A damaged file freezes as well as a whole one."""
        path = self._private / "frozen.json"
        if not path.exists():
            return None
        try:
            data: dict[str, Any] = json.loads(path.read_bytes())
            return Alarm(str(data["reason"]), float(data["at"]), tuple(map(str, data["evidence"])))
        except (OSError, ValueError, KeyError, TypeError):
            return Alarm("frozen before; the details are no longer readable", 0.0, ())

    def freeze(self, error: SumdbSecurityError, tiles: Mapping[Tile, bytes]) -> Alarm:
        """Keep both notes and the tiles that show the contradiction as evidence, then the alarm itself.

        The first alarm stays. It is returned even when the disk takes nothing.
        """
        stem = "sumdb-" + hashlib.sha256(error.ours + b"\0" + error.theirs).hexdigest()[:16]
        tiles_json = json.dumps({tile.path: data.hex() for tile, data in sorted(tiles.items())}, indent=1)
        evidence = {
            f"{stem}-ours.note": error.ours,
            f"{stem}-theirs.note": error.theirs,
            f"{stem}-tiles.json": tiles_json.encode(),
            f"{stem}-reason.txt": f"{error}\n".encode(),
        }
        # Evidence is append-only: what was kept about this very pair stays as it was.
        new = {self._evidence / n: data for n, data in evidence.items() if not (self._evidence / n).exists()}
        with contextlib.suppress(StoreError):
            self._save(new)
        known = self.load_alarm()
        if known is not None:
            return known
        alarm = Alarm(error.reason, self._clock(), tuple(evidence))
        state = {"reason": alarm.reason, "at": alarm.at, "evidence": alarm.evidence}
        with contextlib.suppress(StoreError):
            self._save({self._private / "frozen.json": json.dumps(state, indent=1).encode()})
        return alarm

    def flush(self) -> None:
        """Try again to write what the disk did not take."""
        if self._unsaved:
            self._save({})

    def _listed_notes(self) -> list[bytes]:
        data = self.read(self._private / "heads.json", MAX_HEADS_FILE)
        if data is None:
            return []
        try:
            return [str(note).encode() for note in json.loads(data)["heads"]]
        except (ValueError, KeyError, TypeError):
            return []  # damaged: `latest` still says S, and the tiles of every head in H are there

    def _save(self, files: Mapping[Path, bytes]) -> None:
        """Write in order; from the first failure on, everything waits in memory. StoreError when that is full."""
        left = dict(files)
        # As long as nothing waits, threads write side by side: what a file needs was saved before it was asked for.
        if not self._unsaved and self._write(left) is None:
            return
        with self._waiting:
            for path, data in left.items():
                self._unsaved.pop(path, None)  # a newer state waits behind the tiles that it needs
                self._unsaved[path] = data
            error = self._write(self._unsaved)
            self.problem = f"cannot write {error.filename or self.root}: {error.strerror}" if error else None
            if error and sum(map(len, self._unsaved.values())) > MAX_UNSAVED:
                raise StoreError(f"the checksum database: {self.problem}; make room on the disk") from error

    def _write(self, files: dict[Path, bytes]) -> OSError | None:
        """Write `files` in order and take each one out of the mapping; stop at the first failure and return it."""
        for path in list(files):
            try:
                self._replace(path, files[path])
            except OSError as error:
                return error
            del files[path]
            # The states, and what must be kept for ever. A tile or record that a power cut takes is fetched again.
            if path.parent in (self._private, self._evidence):
                _sync_directory(path.parent)
        return None

    def _replace(self, path: Path, data: bytes) -> None:
        self._temporary.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._temporary / f"sumdb-{os.getpid()}-{next(self._counter)}"
        try:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise


def _sync_directory(directory: Path) -> None:
    """Make renames in `directory` last through a power cut, where the system can (Windows opens no directories)."""
    with contextlib.suppress(OSError):
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
