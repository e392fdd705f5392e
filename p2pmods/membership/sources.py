"""What each address may cost us, and which addresses have proved that they receive what is sent to them."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from p2pmods.membership.actions import Address

RATE: Final = 100.0  # datagrams a second from one host, and
BURST: Final = 200.0
CROWD_RATE: Final = 400.0  # from all hosts together that never proved themselves
CROWD_BURST: Final = 800.0
MAX_SOURCES: Final = 1024
MAX_PROVED: Final = 2048
PROVED_FOR: Final = 3600.0  # seconds: later the address may be another's


class Bucket:
    """Tokens that come back with time."""

    __slots__ = ("_at", "_burst", "_rate", "_tokens")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate, self._burst, self._tokens, self._at = rate, burst, burst, now

    def take(self, now: float) -> bool:
        """Whether there was a token."""
        self._tokens = min(self._burst, self._tokens + max(0.0, now - self._at) * self._rate)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Sources:
    """Hosts and their buckets, and the proved addresses; the longest unused of either go when a table is full."""

    def __init__(self, now: float) -> None:
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()
        self._crowd = Bucket(CROWD_RATE, CROWD_BURST, now)
        self._proved: OrderedDict[Address, float] = OrderedDict()
        self._proved_hosts: dict[str, int] = {}

    def admit(self, sender: Address, now: float) -> bool:
        """Whether a datagram from there is looked at."""
        host = sender[0]
        bucket = self._buckets.get(host)
        if bucket is None:
            if len(self._buckets) >= MAX_SOURCES:
                self._buckets.popitem(last=False)
            bucket = self._buckets[host] = Bucket(RATE, BURST, now)
        self._buckets.move_to_end(host)
        # A crowd of invented addresses uses up what is left for strangers, not what members have.
        return bucket.take(now) and (host in self._proved_hosts or self._crowd.take(now))

    def prove(self, address: Address, now: float) -> None:
        """It answered with our nonce."""
        if address not in self._proved:
            if len(self._proved) >= MAX_PROVED:
                self._forget(next(iter(self._proved)))
            self._proved_hosts[address[0]] = self._proved_hosts.get(address[0], 0) + 1
        self._proved[address] = now + PROVED_FOR
        self._proved.move_to_end(address)

    def has_proved(self, address: Address, now: float) -> bool:
        until = self._proved.get(address)
        if until is not None and until < now:
            self._forget(address)
            return False
        return until is not None

    def sizes(self) -> tuple[int, int]:
        """Of the two tables."""
        return len(self._buckets), len(self._proved)

    def _forget(self, address: Address) -> None:
        del self._proved[address]
        left = self._proved_hosts[address[0]] - 1
        if left:
            self._proved_hosts[address[0]] = left
        else:
            del self._proved_hosts[address[0]]
