"""One suspect's time: long while one node alone suspects it, shorter with each that confirms it (Lifeguard, IV-B)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2pmods.membership.timing import CONFIRMATIONS, suspicion_timeout

if TYPE_CHECKING:
    from p2pmods.membership.messages import Accusation


class Suspicion:
    """Begun at `began`; `accusations` by accuser, the first of which was enough to begin."""

    def __init__(self, first: Accusation, began: float) -> None:
        self.began = began
        self.accusations = {first.accuser: first}
        self._repeated = 0

    @property
    def confirmations(self) -> int:
        """Independent ones beside the first."""
        return len(self.accusations) - 1 + self._repeated

    def confirm(self, accusation: Accusation) -> bool:
        """Whether it is an accuser's first, and still counts."""
        if self.is_enough(accusation.accuser):
            return False
        self.accusations[accusation.accuser] = accusation
        return True

    def is_enough(self, accuser: bytes) -> bool:
        """Whether nothing changes when this one accuses: it did, or enough others did."""
        return accuser in self.accusations or len(self.accusations) > CONFIRMATIONS

    def repeat(self) -> None:
        """Another probe of our own failed. Where hearsay does not count, this is what does."""
        self._repeated = min(self._repeated + 1, CONFIRMATIONS)

    def deadline(self, members: int) -> float:
        """When the suspect is dead, among so many members."""
        return self.began + suspicion_timeout(members, self.confirmations)
