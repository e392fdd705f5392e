"""How much went to, or came from, each peer: bounded, the peers that were busy last."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

MAX_PEERS: Final = 1024  # counted; whoever was idle longest is forgotten


@dataclass(frozen=True, slots=True)
class Tally:
    """Since the start. `files` are whole ones; `bytes` are of files, those that broke off too, and not of proofs."""

    files: int = 0
    bytes: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.files + other.files, self.bytes + other.bytes)


class Tallies:
    """One direction, by node id."""

    def __init__(self) -> None:
        self.total = Tally()  # of those that are forgotten too
        self._peers: OrderedDict[str, Tally] = OrderedDict()

    def add(self, node: str, size: int, files: int = 0) -> None:
        """`size` bytes more, and `files` that are complete with them."""
        more = Tally(files, size)
        self.total += more
        self._peers[node] = self.of(node) + more
        self._peers.move_to_end(node)
        if len(self._peers) > MAX_PEERS:
            self._peers.popitem(last=False)

    def of(self, node: str) -> Tally:
        """Of one peer; nothing for one that is not known."""
        return self._peers.get(node, Tally())
