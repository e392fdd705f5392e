"""A provider's side of the adverts: for every home a numbered log of what is held, sent in paced batches."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Final

from p2pmods.directory.actions import Ask
from p2pmods.directory.feed import Feed

if TYPE_CHECKING:
    from collections.abc import Callable

    from p2pmods.directory.messages import Advertised, Holding
    from p2pmods.directory.rendezvous import Rendezvous

TIMEOUT: Final = 5.0  # seconds; nobody waits for an advert
PER_SECOND: Final = 20.0  # adverts of at most 256 deltas: 300 KB/s while a full list is told
BURST: Final = 8.0  # adverts


class Advertiser:
    """Tells the homes of every key that this node holds it. `record` is the node's own signed record.

    `on_back` is told of a home that answers again after it did not.
    """

    def __init__(self, session: bytes, record: bytes, rendezvous: Rendezvous, *, now: float) -> None:
        self.record = record
        self.on_back: Callable[[str], None] = lambda _home: None
        self._session = session
        self._rendezvous = rendezvous
        self._holdings: dict[bytes, Holding] = {}
        self._homes: dict[bytes, tuple[str, ...]] = {}  # who was told, or will be
        self._feeds: dict[str, Feed] = {}
        self._asks: dict[int, Feed] = {}
        self._numbers = itertools.count(1)
        self._allowance = BURST
        self._counted = now

    def hold(self, holding: Holding) -> None:
        """This node holds it, proven. Told once; holding it in another form replaces it."""
        if self._holdings.get(holding.key) == holding:
            return
        self._holdings[holding.key] = holding
        homes = self._homes[holding.key] = self._rendezvous.homes(holding.key)
        for home in homes:
            self._feed(home).put(holding.key, holding)

    def withdraw(self, key: bytes) -> None:
        """This node holds it no more."""
        if self._holdings.pop(key, None) is not None:
            for home in self._homes.pop(key):
                self._feed(home).put(key, None)

    def directors_changed(self) -> None:
        """The rendezvous was updated: tell keys whose homes changed, and those alone."""
        for home in self._feeds.keys() - self._rendezvous.directors:
            del self._feeds[home]
        for key, holding in self._holdings.items():
            before, after = self._homes[key], self._rendezvous.homes(key)
            if before == after:
                continue
            self._homes[key] = after
            for home in set(after).difference(before):
                self._feed(home).put(key, holding)
            for home in set(before).difference(after) & self._rendezvous.directors:
                self._feed(home).put(key, None)

    def answered(self, ask: int, answer: Advertised, *, now: float) -> None:
        """A home took an advert, or wants the log from its beginning."""
        feed = self._asks.pop(ask, None)
        if feed is None:
            return
        if feed.is_unheard:
            self.on_back(feed.home)
        if not feed.took(answer, now=now):
            feed.begin_again({key: self._holdings[key] for key, homes in self._homes.items() if feed.home in homes})

    def unanswered(self, ask: int, *, now: float) -> None:
        """A home did not answer; it is told again later."""
        feed = self._asks.pop(ask, None)
        if feed is not None:
            feed.failed(now=now)

    def due(self, *, now: float) -> list[Ask]:
        """The adverts to send now."""
        self._refill(now)
        asks = []
        for feed in tuple(self._feeds.values()):
            if self._allowance < 1:
                break
            if feed.next_timer() > now:
                continue
            ask = next(self._numbers)
            self._asks[ask] = feed
            self._allowance -= 1
            asks.append(Ask(ask, feed.home, feed.advert(self._session, self.record), TIMEOUT))
        return asks

    def next_timer(self) -> float:
        """When to call `due`; math.inf while all is told or under way."""
        soonest = min((feed.next_timer() for feed in self._feeds.values()), default=math.inf)
        if self._allowance < 1:
            return max(soonest, self._counted + (1 - self._allowance) / PER_SECOND)
        return soonest

    def _feed(self, home: str) -> Feed:
        if home not in self._feeds:
            self._feeds[home] = Feed(home)
        return self._feeds[home]

    def _refill(self, now: float) -> None:
        if now > self._counted:
            self._allowance = min(BURST, self._allowance + (now - self._counted) * PER_SECOND)
        self._counted = now
