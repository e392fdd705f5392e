"""What a seed was asked to keep copies of and does not have yet: a bounded queue, which outlives the node."""

from __future__ import annotations

import heapq
import itertools
import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from p2pmods.gomod.module import FileKey, FileKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from p2pmods.gomod.module import ModuleVersion

MAX_WAITING: Final = 16_384  # module versions
MAX_OF_PEER: Final = 4_096  # of them named by one node: ids cost nothing, but the queue of a seed is not one node's
SETTLE: Final = 1.0  # seconds: the builds of the moment go first, and what belongs together comes together
FIRST_RETRY: Final = 5.0  # seconds; doubles
LAST_RETRY: Final = 900.0
KEPT: Final = 7 * 86400.0  # seconds for which a version that nobody gives is waited for: its owner is on leave


@dataclass(frozen=True, slots=True)
class Copy:
    """A module version to copy: its small files, and the zip when it is wanted too."""

    module: ModuleVersion
    with_zip: bool

    @property
    def names(self) -> tuple[FileKey, ...]:
        """The files whose holders have what is wanted."""
        mod, archive = FileKey(self.module, FileKind.MOD), FileKey(self.module, FileKind.ZIP)
        return (mod, archive) if self.with_zip else (mod,)


@dataclass(slots=True)
class _Waiting:
    with_zip: bool
    peer: str
    since: float  # Unix time
    retry: float = FIRST_RETRY


class CopyQueue:
    """`now` is monotonic; `at` is Unix time, by which what outlived a restart is dated."""

    def __init__(self) -> None:
        self._waiting: dict[ModuleVersion, _Waiting] = {}
        self._due: list[tuple[float, int, ModuleVersion]] = []  # those that are not being copied, as a heap
        self._of_peer: Counter[str] = Counter()
        self._numbers = itertools.count()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, key: FileKey, peer: str, *, now: float, at: float) -> bool:
        """`peer` names a `.mod` or zip. False when there is no room for it."""
        with_zip = key.kind is FileKind.ZIP
        known = self._waiting.get(key.module)
        if known is not None:
            known.with_zip |= with_zip
            return True
        if len(self._waiting) >= MAX_WAITING or self._of_peer[peer] >= MAX_OF_PEER:
            return False
        self._waiting[key.module] = _Waiting(with_zip, peer, at)
        self._of_peer[peer] += 1
        self._push(key.module, now + SETTLE)
        return True

    def next(self, *, now: float) -> Copy | None:
        """One that is due; until `done` or `failed` it is not named again."""
        if not self._due or self._due[0][0] > now:
            return None
        _, _, module = heapq.heappop(self._due)
        return Copy(module, self._waiting[module].with_zip)

    def done(self, copy: Copy, *, now: float) -> None:
        """It is here, or is not wanted; unless more of it was asked for meanwhile it leaves the queue."""
        waiting = self._waiting[copy.module]
        if waiting.with_zip and not copy.with_zip:
            self._push(copy.module, now)
            return
        del self._waiting[copy.module]
        self._of_peer[waiting.peer] -= 1
        self._of_peer += Counter()  # nobody is kept for nothing

    def failed(self, copy: Copy, *, now: float, at: float) -> None:
        """Nobody gave it this time: later, unless that has gone on for a week."""
        waiting = self._waiting[copy.module]
        if at - waiting.since > KEPT:
            self.done(Copy(copy.module, with_zip=True), now=now)
            return
        self._push(copy.module, now + waiting.retry)
        waiting.retry = min(waiting.retry * 2, LAST_RETRY)

    def next_timer(self) -> float:
        """When one is due; math.inf when none is."""
        return self._due[0][0] if self._due else math.inf

    def entries(self) -> list[tuple[FileKey, float]]:
        """All that waits, with the Unix time since when: what `restore` takes."""
        kinds = {True: FileKind.ZIP, False: FileKind.MOD}
        return [(FileKey(module, kinds[one.with_zip]), one.since) for module, one in self._waiting.items()]

    def restore(self, entries: Iterable[tuple[FileKey, float]], *, now: float) -> None:
        """What waited when the node stopped, in nobody's name."""
        for key, since in itertools.islice(entries, MAX_WAITING):
            if key.module not in self._waiting:
                self._waiting[key.module] = _Waiting(key.kind is FileKind.ZIP, "", since)
                self._push(key.module, now + SETTLE)

    def _push(self, module: ModuleVersion, at: float) -> None:
        heapq.heappush(self._due, (at, next(self._numbers), module))
