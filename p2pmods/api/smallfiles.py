"""Ready-made answers for small files that were served before: the hot path of a warm build."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from p2pmods.fetch.outcome import Served

MAX_BYTES: Final = 16 << 20  # of answers in memory: the .mod and .info files of some ten large builds
MAX_ONE: Final = 64 << 10


@dataclass(frozen=True, slots=True)
class Ready:
    """A whole answer to a plain GET, and the file it answers with."""

    answer: bytes
    served: Served


class SmallFiles:
    """Answers by target, the least recently used go first; all go when something that was served became invalid."""

    def __init__(self, generation: Callable[[], int]) -> None:
        self._generation = generation
        self._seen = generation()
        self._held: OrderedDict[bytes, Ready] = OrderedDict()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._held)

    def get(self, target: bytes) -> Ready | None:
        if self._seen != self._generation():
            self.clear()
        ready = self._held.get(target)
        if ready is not None:
            self._held.move_to_end(target)
        return ready

    def put(self, target: bytes, ready: Ready) -> None:
        if len(ready.answer) > MAX_ONE or self._seen != self._generation():
            return
        old = self._held.pop(target, None)
        self._held[target] = ready
        self.bytes += len(ready.answer) - (len(old.answer) if old else 0)
        while self.bytes > MAX_BYTES:
            _, oldest = self._held.popitem(last=False)
            self.bytes -= len(oldest.answer)

    def clear(self) -> None:
        self._held.clear()
        self.bytes = 0
        self._seen = self._generation()
