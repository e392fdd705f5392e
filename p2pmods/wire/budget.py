"""How much of bodies may be on the way to this node or wait in it, over all its links."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from p2pmods.wire.frames import MAX_SLICE

if TYPE_CHECKING:
    from collections.abc import Callable

TOTAL: Final = 16 << 20  # bytes


class Budget:
    """Room for received bodies. What is taken is promised to a peer as credit, so it counts from then on."""

    def __init__(self, total: int = TOTAL) -> None:
        self.total = total
        self.free = total
        self._waiting: dict[object, Callable[[], None]] = {}  # in the order of their coming

    def take(self, wanted: int) -> int:
        """At most `wanted` bytes: less as room gets scarce, so that latecomers get some too; 0 when there is none."""
        share = min(wanted, max(MAX_SLICE, self.free // 16))
        if share > self.free:
            return 0
        self.free -= share
        return share

    def give(self, amount: int) -> None:
        """Back what was taken. Whoever waits for room is told."""
        self.free += amount
        while self._waiting and self.free >= MAX_SLICE:
            self._waiting.pop(next(iter(self._waiting)))()

    def wait(self, who: object, told: Callable[[], None]) -> None:
        """Calls `told` once when there is room, in turn; it then takes something. Not twice for the same `who`."""
        self._waiting.setdefault(who, told)

    def forget(self, who: object) -> None:
        """`who` needs no room any more."""
        self._waiting.pop(who, None)
