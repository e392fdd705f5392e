"""Who is home to a key: every director has a score for every key, and the first three by score are its homes.

Nodes that know the same directors agree on the homes of every key without a word between them, and a director that
comes or goes changes the homes of those keys only that it is a home of.
"""

from __future__ import annotations

import hashlib
import heapq
from bisect import insort
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

HOMES: Final = 3
_CACHED: Final = 16_384  # keys, about 6 MB
_FEW: Final = 8  # directors that come at once, up to which known rankings are corrected instead of made again

Scored = tuple[bytes, str]


def score(key: bytes, node_id: str) -> Scored:
    """What `node_id` is ranked by for `key`, the least first: a hash, the same in everybody's view."""
    return hashlib.blake2b(node_id.encode(), digest_size=8, key=key).digest(), node_id


def homes(key: bytes, directors: Iterable[str], count: int = HOMES) -> tuple[str, ...]:
    """The first `count` of the directors for `key`, the best first."""
    return tuple(node for _, node in _best(key, directors, count))


def _best(key: bytes, directors: Iterable[str], count: int) -> list[Scored]:
    return heapq.nsmallest(count, [score(key, node) for node in directors])


class Rendezvous:
    """The directors that this node knows, itself included when it is one, and the homes that follow."""

    def __init__(self, directors: Iterable[str] = ()) -> None:
        self.directors: frozenset[str] = frozenset(directors)
        self.generation = 0  # grows with every change
        self._cache: dict[bytes, list[Scored]] = {}

    def homes(self, key: bytes, without: frozenset[str] = frozenset()) -> tuple[str, ...]:
        """At most three node ids, the best first, as if the directors in `without` did not exist."""
        best = self._cache.get(key) or self._remember(key)
        if without and any(node in without for _, node in best):
            return homes(key, self.directors - without)
        return tuple([node for _, node in best])

    def update(self, directors: Iterable[str]) -> None:
        """From now on these are the directors."""
        new = frozenset(directors)
        if new == self.directors:
            return
        gone, come = self.directors - new, new - self.directors
        self.directors = new
        self.generation += 1
        if len(come) > _FEW:
            self._cache.clear()
            return
        stale = [key for key, best in self._cache.items() if any(node in gone for _, node in best)]
        for key in stale:
            del self._cache[key]
        for key, best in self._cache.items():
            for node in come:
                insort(best, score(key, node))
            del best[HOMES:]

    def _remember(self, key: bytes) -> list[Scored]:
        if len(self._cache) >= _CACHED:
            del self._cache[next(iter(self._cache))]
        best = self._cache[key] = _best(key, self.directors, HOMES)
        return best
