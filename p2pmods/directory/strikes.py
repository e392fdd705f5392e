"""Nodes that cost time: one strike takes a node out of this node's rankings for ten minutes.

Who was only out of reach, and is back, is pardoned; but once in that time, or a liar would come back for ever.
"""

from __future__ import annotations

from typing import Final

STRUCK_FOR: Final = 600.0  # seconds
_MOST: Final = 256  # nodes; the oldest strike goes first


class Strikes:
    """Against homes that do not answer or mislead, or against fetchers that send nothing; never against `own`."""

    def __init__(self, own: str) -> None:
        self._own = own
        self._until: dict[str, float] = {}
        self._unpardonable: dict[str, float] = {}  # until when

    def strike(self, node: str, *, now: float, is_a_lie: bool = False) -> None:
        """Count one against `node`. `is_a_lie`: no pardon for what it said or gave."""
        if node == self._own:
            return
        _keep(self._until, node, now + STRUCK_FOR)
        if is_a_lie:
            _keep(self._unpardonable, node, now + STRUCK_FOR)

    def pardon(self, node: str, *, now: float) -> None:
        """It is back, from wherever it was."""
        if self._unpardonable.get(node, now) <= now and self._until.pop(node, None) is not None:
            _keep(self._unpardonable, node, now + STRUCK_FOR)

    def struck(self, *, now: float) -> frozenset[str]:
        """The nodes to leave out."""
        while self._until and next(iter(self._until.values())) <= now:
            del self._until[next(iter(self._until))]
        return frozenset(self._until)


def _keep(times: dict[str, float], node: str, until: float) -> None:
    """The latest last; the oldest goes when they are too many."""
    times.pop(node, None)
    if len(times) >= _MOST:
        del times[next(iter(times))]
    times[node] = until
