"""Nodes that cost time: one strike takes a node out of this node's rankings for ten minutes.

A first silence does so for seconds, for many a packet is lost and many a network changes.
Who was only out of reach, and is back, is pardoned; but once in that time, or a liar would come back for ever.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from p2pmods.directory.lately import remember

if TYPE_CHECKING:
    from collections.abc import Callable

STRUCK_FOR: Final = 600.0  # seconds
SILENT_FOR: Final = 20.0  # seconds for a first silence: a packet was lost, say, or the network is about to change
PARDON: Final = 10.0  # seconds after a change of this node's network in which nothing counts
_MOST: Final = 256  # nodes; the oldest strike goes first


class Strikes:
    """Against homes that do not answer or mislead, or against fetchers that send nothing; never against `own`.

    `apart` gives those that this node does not reach, and others do: they are left out too, and nobody is to blame.
    """

    def __init__(self, own: str, apart: Callable[[], frozenset[str]] = frozenset) -> None:
        self._own = own
        self._apart = apart
        self._until: dict[str, float] = {}
        self._silent: dict[str, float] = {}  # until when another silence is no first one
        self._unpardonable: dict[str, float] = {}  # until when
        self._pardoned_until = -math.inf

    def strike(self, node: str, *, now: float, is_a_lie: bool = False, is_silence: bool = False) -> None:
        """Count one against `node`. `is_a_lie`: no pardon for what it said or gave; `is_silence`: it said nothing."""
        is_excused = self.is_apart(node) or now < self._pardoned_until
        if node == self._own or (is_excused and not is_a_lie):
            return
        is_first = is_silence and self._silent.get(node, now) <= now
        if is_silence:
            remember(self._silent, node, now + STRUCK_FOR, most=_MOST)
        until = now + (SILENT_FOR if is_first else STRUCK_FOR)
        remember(self._until, node, max(until, self._until.get(node, now)), most=_MOST)
        if is_a_lie:
            remember(self._unpardonable, node, now + STRUCK_FOR, most=_MOST)

    def pardon(self, node: str, *, now: float) -> None:
        """It is back, from wherever it was."""
        if self._unpardonable.get(node, now) <= now and self._until.pop(node, None) is not None:
            remember(self._unpardonable, node, now + STRUCK_FOR, most=_MOST)
            self._silent.pop(node, None)

    def is_apart(self, node: str) -> bool:
        """Whether this node does not reach `node`."""
        return node in self._apart()

    def pardon_all(self, *, now: float) -> None:
        """This node slept, or its network changed: who did not answer it lately was not to blame. Liars were."""
        self._until = {node: end for node, end in self._until.items() if self._unpardonable.get(node, now) > now}
        self._silent.clear()
        self._pardoned_until = now + PARDON

    def struck(self, *, now: float) -> frozenset[str]:
        """The nodes to leave out."""
        return self.blamed(now=now) | self._apart()

    def blamed(self, *, now: float) -> frozenset[str]:
        """Those of them that others should leave out for this node, too."""
        for node in [node for node, until in self._until.items() if until <= now]:
            del self._until[node]
        return frozenset(self._until)
