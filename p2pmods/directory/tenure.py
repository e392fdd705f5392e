"""A fetcher's side of its lease: renewed at the homes while it lasts, and released."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from p2pmods.directory.actions import Tell
from p2pmods.directory.lease import RENEWED_EVERY
from p2pmods.directory.messages import MAX_SIZE, Release, Renew

if TYPE_CHECKING:
    from p2pmods.directory.messages import Holding, Terms
    from p2pmods.directory.rendezvous import Rendezvous


class Tenure:
    """The lease `terms` of `key`. `record` is the fetcher's own signed record."""

    def __init__(self, key: bytes, terms: Terms, record: bytes, rendezvous: Rendezvous, *, now: float) -> None:
        self.key = key
        self.terms = terms
        self.is_over = False  # no longer the fetcher for all; what it has stays on offer
        self._record = record
        self._rendezvous = rendezvous
        self._received = 0
        self._limited = False
        self._renew_at = now

    def progress(self, received: int, *, limited: bool = False) -> None:
        """The fetch has `received` bytes. `limited`: the upstream said to slow down."""
        self._received, self._limited = min(received, MAX_SIZE), limited

    def renewals(self, *, now: float) -> list[Tell]:
        """What to tell the homes now; nothing between renewals."""
        if self.is_over or now < self._renew_at:
            return []
        self._renew_at = now + RENEWED_EVERY
        renew = Renew(self.key, self.terms, self._received, self._limited, self._record)
        return [Tell(home, renew) for home in self.homes()]

    def release(self, how: int, holding: Holding | None = None) -> list[Tell]:
        """The lease is over (DONE, FAILED, LEFT or STOPPED); `holding` is the proven object that came of it."""
        if self.is_over:
            return []
        self.is_over = True
        release = Release(self.key, self.terms.token, how, holding)
        return [Tell(home, release) for home in self.homes()]

    def next_timer(self) -> float:
        """When to ask for `renewals`; math.inf when it is over."""
        return math.inf if self.is_over else self._renew_at

    def homes(self) -> tuple[str, ...]:
        """Those of the key as they are known now, and the one that granted the lease."""
        return tuple(dict.fromkeys([*self._rendezvous.homes(self.key), self.terms.home]))
