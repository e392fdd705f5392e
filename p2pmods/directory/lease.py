"""One lease as a home knows it: who fetches a key, since when nothing was heard, and who waits."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from p2pmods.directory.messages import Growing

if TYPE_CHECKING:
    from p2pmods.directory.messages import Terms

LIFE: Final = 10.0  # seconds since the last renewal
RENEWED_EVERY: Final = 2.0
QUIET: Final = 3.0  # a fetcher that was not heard of for so long is given up when a waiter complains
ADVANCING: Final = 3 * RENEWED_EVERY  # seconds in which a fetcher that receives has told of more bytes
FRESH: Final = 1.0  # seconds in which a fetcher that was heard of counts as alive
INTENDED_LIFE: Final = 3.0  # of a lease that its fetcher has not taken up, by renewing it
_MOST_WAITERS: Final = 1024
_FEWEST: Final = 2  # complaints that end a lease
_ENOUGH: Final = 8


@dataclass(slots=True)
class Lease:
    """`heard`: when it was granted or last renewed. `is_firm`: its fetcher has renewed it here."""

    terms: Terms
    heard: float
    is_firm: bool = False
    is_granted: bool = False  # by this home: its claimant has the answer, or will
    received: int = 0  # bytes that the fetcher says it has
    most: int = 0  # that it ever said
    advanced: float = -math.inf  # when it last said more
    limited: bool = False  # its upstream lets nobody go faster
    waiters: set[str] = field(default_factory=set)
    complaints: set[str] = field(default_factory=set)  # waiters who got nothing and wait no longer
    reminded: set[str] = field(default_factory=set)  # who complained, and was told that its line is slow

    @property
    def expires(self) -> float:
        return self.heard + (LIFE if self.is_firm else INTENDED_LIFE)

    @property
    def growing(self) -> Growing:
        return Growing(self.terms.fetcher, self.terms.token, self.received)

    def renew(self, received: int, *, limited: bool, now: float) -> None:
        """The fetcher is at it."""
        self.heard, self.is_firm = now, True
        if received > self.most:
            self.most, self.advanced = received, now
        self.received, self.limited = received, limited

    def is_quiet(self, now: float) -> bool:
        """Whether its fetcher missed a renewal."""
        return now - self.heard >= QUIET

    def is_advancing(self, now: float) -> bool:
        """Whether its fetcher says that it receives, slowly perhaps."""
        return now - self.advanced <= ADVANCING

    def is_fresh(self, now: float) -> bool:
        """Whether its fetcher was heard of just now."""
        return now - self.heard <= FRESH

    def wait(self, node: str) -> None:
        """`node` was told to wait for it."""
        if len(self.waiters) < _MOST_WAITERS:
            self.waiters.add(node)

    def insists(self, node: str) -> bool:
        """Whether `node` complains again, though it was told that the fetcher's line is slow."""
        known = node in self.reminded
        if len(self.reminded) < _MOST_WAITERS:
            self.reminded.add(node)
        return known

    def complain(self, node: str) -> bool:
        """`node` waits no longer. True when that ends the lease: by half of those who wait, 2 at least, 8 at most.

        One alone proves nothing, and is on its own way anyway.
        """
        self.complaints.add(node)
        half = len(self.waiters | self.complaints) // 2
        return len(self.complaints) >= min(max(half, _FEWEST), _ENOUGH)
