"""Where are these keys? One round trip: keys of one home in one request, the second home when the first is slow."""

from __future__ import annotations

import itertools
import math
from collections import deque
from typing import TYPE_CHECKING, Final

from p2pmods.directory.actions import Ask
from p2pmods.directory.messages import MAX_BATCH, Found, Location, Lookup

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from p2pmods.directory.rendezvous import Rendezvous
    from p2pmods.directory.strikes import Strikes

TIMEOUT: Final = 1.0  # seconds; what is not answered by then is not known
LEAST_HEDGE: Final = 0.15
_SAMPLES: Final = 64


class Latency:
    """How long lookups took, the last 64 of them."""

    def __init__(self) -> None:
        self._took: deque[float] = deque(maxlen=_SAMPLES)

    def took(self, seconds: float) -> None:
        """One answer more."""
        self._took.append(seconds)

    def hedge_after(self) -> float:
        """The 90th percentile, at least 0.15 s: after that another home is asked as well."""
        ordered = sorted(self._took)
        return max(LEAST_HEDGE, ordered[len(ordered) * 9 // 10]) if ordered else LEAST_HEDGE


class LookupRound:
    """One search for the keys of `modules` (key → path@version). `found` fills; it is over when `is_done`."""

    def __init__(
        self,
        modules: Mapping[bytes, str],
        rendezvous: Rendezvous,
        strikes: Strikes,
        latency: Latency,
        *,
        now: float,
    ) -> None:
        self.found: dict[bytes, Location] = {}
        self.records: list[bytes] = []
        self._modules = modules
        self._strikes = strikes
        self._latency = latency
        struck = strikes.struck(now=now)
        self._homes = {key: list(rendezvous.homes(key, struck)) for key in modules}
        self._hedge_at = now + latency.hedge_after()
        self._ends = now + TIMEOUT
        self._asks: dict[int, tuple[str, tuple[bytes, ...], float]] = {}
        self._numbers = itertools.count(1)
        self._over = False

    @property
    def is_done(self) -> bool:
        """Whether waiting longer would bring nothing."""
        nothing_left = not self._asks and not any(self._homes[key] for key in self._open())
        return self._over or nothing_left or len(self.found) == len(self._modules)

    def start(self, *, now: float) -> list[Ask]:
        """Ask the first home of every key."""
        return self._ask(self._modules, now)

    def answered(self, ask: int, message: Found, *, now: float) -> list[Ask]:
        """A home answered; one that does not answer the question is struck."""
        node, keys, asked = self._asks.pop(ask, ("", (), 0.0))
        if not keys:
            return []
        if len(message.locations) != len(keys):
            return self._failed(node, keys, now, is_silence=False)
        self._latency.took(now - asked)
        for key, location in zip(keys, message.locations, strict=True):
            self.found.setdefault(key, location)
        self.records += message.records
        return []

    def unanswered(self, ask: int, *, now: float) -> list[Ask]:
        """A home did not answer."""
        node, keys, _ = self._asks.pop(ask, ("", (), 0.0))
        return self._failed(node, keys, now, is_silence=True) if keys else []

    def next_timer(self) -> float:
        """When to call `handle_timer`; math.inf when it is done."""
        return math.inf if self.is_done else min(self._hedge_at, self._ends)

    def handle_timer(self, *, now: float) -> list[Ask]:
        """Ask the second home for what the first has not answered, or end."""
        if now >= self._ends:
            self._over = True
        if self.is_done or now < self._hedge_at:
            return []
        self._hedge_at = math.inf
        return self._ask(self._open(), now)

    def _open(self) -> list[bytes]:
        return [key for key in self._modules if key not in self.found]

    def _failed(self, node: str, keys: Iterable[bytes], now: float, *, is_silence: bool) -> list[Ask]:
        self._strikes.strike(node, now=now, is_silence=is_silence)
        waiting = {key for _, others, _ in self._asks.values() for key in others}
        return self._ask([key for key in keys if key not in self.found and key not in waiting], now)

    def _ask(self, keys: Iterable[bytes], now: float) -> list[Ask]:
        batches: dict[str, list[bytes]] = {}
        for key in keys:
            if self._homes[key]:
                batches.setdefault(self._homes[key].pop(0), []).append(key)
        return [
            self._request(home, tuple(batch[start : start + MAX_BATCH]), now)
            for home, batch in batches.items()
            for start in range(0, len(batch), MAX_BATCH)
        ]

    def _request(self, home: str, keys: tuple[bytes, ...], now: float) -> Ask:
        ask = next(self._numbers)
        self._asks[ask] = (home, keys, now)
        return Ask(ask, home, Lookup(tuple([self._modules[key] for key in keys])), TIMEOUT)
