"""Who holds what, as a home keeps it: for every key a few providers, for no provider more than its share."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from p2pmods.directory.messages import MAX_AGE, MAX_HOLDERS, Holder

if TYPE_CHECKING:
    from p2pmods.directory.messages import Holding
    from p2pmods.wire.entropy import Entropy

MAX_KEYS: Final = 32_768  # the one not asked for or added to for longest goes first
MAX_OF_NODE: Final = 8_192  # keys of one provider: a flood of adverts cannot drive everyone else out
GRACE: Final = 60.0  # seconds for which a dead node's entries are kept, in case it comes back
_RECENT: Final = 8  # newest providers of a key, which a newer one does not displace


@dataclass(frozen=True, slots=True)
class _Held:
    sha256: bytes
    size: int
    at: float  # when we heard of it


@dataclass(frozen=True, slots=True)
class ProviderStatistics:
    """How much the table holds."""

    keys: int
    providers: int
    entries: int


class ProviderTable:
    """One object per key and provider; of a key at most 32 providers, some random ones and the most recent."""

    def __init__(self, entropy: Entropy) -> None:
        self._entropy = entropy
        self._keys: OrderedDict[bytes, dict[str, _Held]] = OrderedDict()
        self._nodes: dict[str, set[bytes]] = {}
        self._dead: dict[str, float] = {}  # until when their entries are kept

    def add(self, node: str, holding: Holding, *, now: float) -> bool:
        """`node` holds it. False when the node has its share of entries already."""
        keys = self._nodes.setdefault(node, set())
        if holding.key not in keys and len(keys) >= MAX_OF_NODE:
            return False
        held = self._keys.setdefault(holding.key, {})
        held.pop(node, None)  # so that the dict is in order of hearing
        if len(held) >= MAX_HOLDERS:
            oldest = list(held)[: MAX_HOLDERS - _RECENT]
            self.remove(oldest[int(self._entropy.random() * len(oldest))], holding.key)
        held[node] = _Held(holding.sha256, holding.size, now)
        keys.add(holding.key)
        self._keys.move_to_end(holding.key)
        while len(self._keys) > MAX_KEYS:
            self._drop(next(iter(self._keys)))
        return True

    def remove(self, node: str, key: bytes) -> None:
        """`node` holds it no more, or never did."""
        keys = self._nodes.get(node)
        if keys is None or key not in keys:
            return
        keys.discard(key)
        if not keys:
            del self._nodes[node]
        held = self._keys[key]
        del held[node]
        if not held:
            del self._keys[key]

    def forget(self, node: str) -> None:
        """Nothing that `node` said counts any more."""
        self._dead.pop(node, None)
        for key in tuple(self._nodes.get(node, ())):
            self.remove(node, key)

    def died(self, node: str, *, now: float) -> None:
        """Name it to nobody, and forget it unless it is back within a minute."""
        if node in self._nodes:
            self._dead.setdefault(node, now + GRACE)

    def is_back(self, node: str) -> None:
        """It lives after all, and holds what it held."""
        self._dead.pop(node, None)

    def holders(
        self, key: bytes, most: int, *, now: float, without: frozenset[str] = frozenset()
    ) -> tuple[Holder, ...]:
        """At most `most` of those who hold it, in random order."""
        held = self._keys.get(key)
        if held is None:
            return ()
        self._keys.move_to_end(key)
        nodes = [node for node in held if node not in without and node not in self._dead]
        nodes.sort(key=lambda _: self._entropy.random())
        return tuple([self._holder(node, held[node], now) for node in nodes[:most]])

    def next_timer(self) -> float:
        """When to call `handle_timer`; math.inf while nobody is dead."""
        return min(self._dead.values(), default=math.inf)

    def handle_timer(self, *, now: float) -> None:
        """Forget those whose time is over."""
        for node in [node for node, until in self._dead.items() if until <= now]:
            self.forget(node)

    def clear(self) -> None:
        """Forget everything."""
        self._keys.clear()
        self._nodes.clear()
        self._dead.clear()

    def statistics(self) -> ProviderStatistics:
        """Of this moment."""
        entries = sum(len(keys) for keys in self._nodes.values())
        return ProviderStatistics(len(self._keys), len(self._nodes), entries)

    def _holder(self, node: str, held: _Held, now: float) -> Holder:
        return Holder(node, held.sha256, held.size, min(max(int(now - held.at), 0), MAX_AGE))

    def _drop(self, key: bytes) -> None:
        for node in tuple(self._keys[key]):
            self.remove(node, key)
