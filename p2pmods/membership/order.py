"""Whom to probe next: everyone once per round, in an order that is new each round (SWIM, section 4.3)."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from p2pmods.membership.chance import sample

if TYPE_CHECKING:
    from collections.abc import Collection

    from p2pmods.wire.entropy import Entropy

_MAX_URGENT: Final = 16


class ProbeOrder:
    """Members by public key. Urgent ones go first, but take every other turn at most."""

    def __init__(self, entropy: Entropy) -> None:
        self._entropy = entropy
        self._round: deque[bytes] = deque()
        self._urgent: deque[bytes] = deque()
        self._urgent_turn = True

    def add(self, member: bytes) -> None:
        """A new member stands somewhere in this round already."""
        self._round.insert(int(self._entropy.random() * (len(self._round) + 1)), member)

    def urge(self, member: bytes) -> None:
        """Someone says that it may be gone."""
        if member not in self._urgent and len(self._urgent) < _MAX_URGENT:
            self._urgent.append(member)

    def next(self, members: Collection[bytes]) -> bytes | None:
        """One of `members`; None when there are none."""
        if not members:
            return None
        self._urgent_turn = not self._urgent_turn
        if self._urgent_turn or not self._round:
            while self._urgent:
                if (urgent := self._urgent.popleft()) in members:
                    return urgent
        while True:
            if not self._round:
                self._round.extend(sample(self._entropy, list(members), len(members)))
            if (member := self._round.popleft()) in members:
                return member
