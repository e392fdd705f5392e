"""What the store remembers beside its files: answers, alarms, the queue of missing proofs, and traffic."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from p2pmods.errors import StoreError
from p2pmods.store import fs, keeping
from p2pmods.store.core import QUARANTINED
from p2pmods.store.stored import Alarm, Answer, StoreStatistics, Traffic
from p2pmods.trust.evidence import SourceKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from p2pmods.gomod.module import FileKey, ModuleVersion
    from p2pmods.store.core import Core

FLUSH_EVERY: Final = 5.0  # seconds between writes of the counters
_GIVEN: Final = "given"
_SOURCES: Final = frozenset(kind.value for kind in SourceKind)


class Ledger:
    """The part of `Store` that is about records rather than files. Quick; may be called from any thread."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._requested: dict[FileKey, float] = {}
        self._flushed_at = core.clock()
        self._totals: tuple[int, tuple[int, int, int]] = (-1, (0, 0, 0))

    # Answers of upstreams

    def remember(self, path: str, query: str, answer: Answer) -> None:
        """Keep what was said to `query` ("list", "@latest", "main", …) about module `path`. Raises StoreError."""
        self._core.memory.remember(path, query, answer)

    def recall(self, path: str, query: str) -> Answer | None:
        """What was last said, however old. Raises StoreError."""
        return self._core.memory.recall(path, query)

    def saw(self, path: str, versions: Iterable[str]) -> None:
        """Canonical versions that an upstream named for `path`: the highest ever is never forgotten.

        Raises StoreError.
        """
        if self._core.memory.saw(path, versions):
            with self._core.stripe(path):
                self._core.publish(path)

    def highest(self, path: str) -> str | None:
        """The version that go would take as the latest of all that were ever seen. Raises StoreError."""
        return self._core.memory.highest(path)

    # Alarms

    def keep_contradiction(
        self, key: FileKey, statement: Mapping[str, Any], blobs: Mapping[str, bytes | Path]
    ) -> str | None:
        """Blocks: keep both sides of a contradiction about `key` for ever; the directory's name below evidence/.

        `blobs` maps file names to contents, or to files to link or copy. The same contradiction is kept once; None
        when evidence/ is full. Raises StoreError.
        """
        core = self._core
        try:
            return keeping.keep_contradiction(core.layout, key, statement, blobs, core.clock())
        except OSError as error:
            raise fs.store_error("keep evidence in", core.layout.evidence, error) from error

    def raise_alarm(self, alarm_id: str, text: str, evidence: str | None = None) -> None:
        """Tell a person, until they acknowledge it; raised again it is unacknowledged again. Raises StoreError."""
        self._core.audit.alarm("alarm", alarm_id, text, evidence)
        self._core.notes.put_alarm(Alarm(alarm_id, self._core.clock(), text, evidence, acknowledged=False))

    def acknowledge(self, alarm_id: str) -> bool:
        """False when there is no such alarm. Raises StoreError."""
        known = self._core.notes.acknowledge(alarm_id)
        if known:
            self._core.audit.alarm("acknowledged", alarm_id)
        return known

    def alarms(self) -> list[Alarm]:
        """All that were ever raised, oldest first. Raises StoreError."""
        return self._core.notes.alarms()

    # The queue of missing proofs: not a table of its own, but every row without a proof

    def unproven_due(self, limit: int, wanted: Callable[[str], bool] = lambda _path: True) -> list[ModuleVersion]:
        """At most `limit` module versions of paths that are `wanted`, with a file that lacks a proof.

        Files in the module cache count once they are verified. Raises StoreError.
        """
        return self._core.rows.unproven_due(limit, self._core.clock(), wanted)

    def postpone_proof(self, module: ModuleVersion, *, seconds: float, reason: str = "") -> None:
        """Leave `module` out of `unproven_due` for a while. Raises StoreError."""
        self._core.rows.postpone(module, self._core.clock() + seconds)

    def unproven_by_path(self) -> dict[str, int]:
        """For each module path, how many `.mod`s and zips in the store or the module cache have no proof.

        The caller leaves out the private ones. Raises StoreError.
        """
        return self._core.rows.unproven_by_path()

    # Traffic

    def count(self, kind: SourceKind, size: int, files: int = 1) -> None:
        """`files` answers, `size` bytes together, came from `kind`."""
        self._core.counters.add(kind.value, files, size)
        self._flush_now_and_then()

    def count_given(self, size: int, files: int = 1) -> None:
        """Files that were given to peers."""
        self._core.counters.add(_GIVEN, files, size)
        self._flush_now_and_then()

    def flush(self) -> None:
        """Save the counters and the times of requests. Raises StoreError."""
        self._flushed_at = self._core.clock()
        self._core.counters.flush()
        requested = self._requested.copy()
        if requested:
            self._core.rows.touch(requested)
        for key, at in requested.items():  # not before their rows say it: see `Evictor`
            if self._requested.get(key) == at:
                self._requested.pop(key, None)

    def _flush_now_and_then(self) -> None:
        if abs(self._core.clock() - self._flushed_at) > FLUSH_EVERY:  # abs: the clock may be set back
            try:
                self.flush()
            except StoreError as error:
                self._core.trouble = str(error)

    def statistics(self) -> StoreStatistics:
        """What is held and what went on. Never raises: a broken index shows as `trouble`."""
        core = self._core
        alarms: tuple[Alarm, ...] = ()
        try:
            alarms = tuple(core.notes.alarms())
            if self._totals[0] != core.database.writes:
                self._totals = (core.database.writes, core.rows.totals())
        except StoreError as error:
            core.trouble = str(error)
        modules, files, size = self._totals[1]
        total, now = core.counters.total(), core.counters.now()
        return StoreStatistics(
            modules=modules,
            files=files,
            bytes=size,
            quarantined=total.get(QUARANTINED, Traffic()).files,
            alarms=alarms,
            traffic={name: total.get(name, Traffic()) for name in sorted(_SOURCES)},
            given=total.get(_GIVEN, Traffic()),
            traffic_now={name: now.get(name, Traffic()) for name in sorted(_SOURCES)},
            given_now=now.get(_GIVEN, Traffic()),
            trouble=core.trouble,
        )

    def close(self) -> None:
        with suppress(StoreError):
            self.flush()
        self._core.database.close()
