"""When a node that just started knows whether it is alone.

Before its first fetch from upstream it waits until nobody new was met for half a second, counted from the start of
its process, and two seconds at most. Machines that start together would otherwise each fetch what one needs to.
"""

from __future__ import annotations

from typing import Final

QUIET: Final = 0.5  # seconds
LONGEST: Final = 2.0  # seconds


class Settling:
    """Settled once, settled for good. `started` and `now` are of one monotonic clock, in seconds."""

    def __init__(self, *, started: float, quiet: float = QUIET, longest: float = LONGEST) -> None:
        """`quiet` 0.0 for no wait at all."""
        self._last = started
        self._quiet = quiet
        self._end = started + (longest if quiet else 0.0)
        self._members: set[str] = set()

    @property
    def members(self) -> int:
        """How many were met until it settled."""
        return len(self._members)

    @property
    def at(self) -> float:
        """When it is settled, if nobody else is met until then."""
        return min(self._last + self._quiet, self._end)

    def met(self, node_id: str, *, now: float) -> None:
        """A member is known; one that was known before does not count."""
        if node_id not in self._members and now < self.at:
            self._members.add(node_id)
            self._last = now
