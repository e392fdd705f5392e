"""Nodes that cost time: one strike takes a node out of this node's rankings for ten minutes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

STRUCK_FOR: Final = 600.0  # seconds
_MOST: Final = 256  # nodes; the oldest strike goes first


class Strikes:
    """Against homes that do not answer or mislead, or against fetchers that send nothing; never against `own`.

    `apart` gives those that this node does not reach, and others do: they are left out too, and nobody is to blame.
    """

    def __init__(self, own: str, apart: Callable[[], frozenset[str]] = frozenset) -> None:
        self._own = own
        self._apart = apart
        self._until: dict[str, float] = {}

    def strike(self, node: str, *, now: float) -> None:
        """Count one against `node`."""
        if node == self._own or self.is_apart(node):
            return
        self._until.pop(node, None)
        if len(self._until) >= _MOST:
            del self._until[next(iter(self._until))]
        self._until[node] = now + STRUCK_FOR

    def is_apart(self, node: str) -> bool:
        """Whether this node does not reach `node`."""
        return node in self._apart()

    def struck(self, *, now: float) -> frozenset[str]:
        """The nodes to leave out."""
        return self.blamed(now=now) | self._apart()

    def blamed(self, *, now: float) -> frozenset[str]:
        """Those of them that others should leave out for this node, too."""
        while self._until and next(iter(self._until.values())) <= now:
            del self._until[next(iter(self._until))]
        return frozenset(self._until)
