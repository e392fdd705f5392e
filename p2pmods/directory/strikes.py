"""Nodes that cost time: one strike takes a node out of this node's rankings for ten minutes."""

from __future__ import annotations

import math
from typing import Final

STRUCK_FOR: Final = 600.0  # seconds
PARDON: Final = 10.0  # seconds after a change of this node's network in which nothing counts
_MOST: Final = 256  # nodes; the oldest strike goes first


class Strikes:
    """Against homes that do not answer or mislead, or against fetchers that send nothing; never against `own`."""

    def __init__(self, own: str) -> None:
        self._own = own
        self._until: dict[str, float] = {}
        self._pardoned_until = -math.inf

    def strike(self, node: str, *, now: float) -> None:
        """Count one against `node`."""
        if node == self._own or now < self._pardoned_until:
            return
        self._until.pop(node, None)
        if len(self._until) >= _MOST:
            del self._until[next(iter(self._until))]
        self._until[node] = now + STRUCK_FOR

    def pardon(self, *, now: float) -> None:
        """This node slept, or its network changed: who did not answer it lately was not to blame."""
        self._until.clear()
        self._pardoned_until = now + PARDON

    def struck(self, *, now: float) -> frozenset[str]:
        """The nodes to leave out."""
        while self._until and next(iter(self._until.values())) <= now:
            del self._until[next(iter(self._until))]
        return frozenset(self._until)
