"""What a network does to what is sent over it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from random import Random

IP_AND_UDP: Final = 28  # bytes around a datagram: IPv4 and UDP
_RESEND: Final = 0.2  # seconds until TCP sends a lost segment again, at first
_MAX_RESENDS: Final = 8  # a link that lost a segment that often is broken


@dataclass(frozen=True, slots=True)
class Conditions:
    """Probabilities from 0 to 1, delays in seconds one way.

    A datagram is lost, doubled or has one bit flipped; with `reorder` it comes up to `late` seconds after its time.
    A link loses nothing: what is lost under it comes later.
    """

    loss: float = 0.0
    duplicate: float = 0.0
    corrupt: float = 0.0
    reorder: float = 0.0
    late: float = 0.05
    least_delay: float = 0.0002
    most_delay: float = 0.002
    jumble: float = 0.0  # seconds in which a node handles what came over one link in any order, as tasks do

    def __post_init__(self) -> None:
        if not all(0 <= p <= 1 for p in (self.loss, self.duplicate, self.corrupt, self.reorder)):
            raise ValueError("a probability is from 0 to 1")
        if not 0 < self.least_delay <= self.most_delay or self.late < 0:
            raise ValueError("delays are positive, the least one first")

    def delay(self, chance: Random) -> float:
        """Of one datagram."""
        late = chance.uniform(0, self.late) if chance.random() < self.reorder else 0.0
        return chance.uniform(self.least_delay, self.most_delay) + late

    def copies(self, chance: Random) -> int:
        """How often one datagram arrives."""
        if chance.random() < self.loss:
            return 0
        return 2 if chance.random() < self.duplicate else 1

    def touched(self, data: bytes, chance: Random) -> bytes:
        """What arrives of `data`."""
        if not data or chance.random() >= self.corrupt:
            return data
        at = chance.randrange(len(data))
        return data[:at] + bytes([data[at] ^ (1 << chance.randrange(8))]) + data[at + 1 :]

    def link_delay(self, chance: Random) -> float | None:
        """Of one message on a link; None when TCP gives up."""
        total = chance.uniform(self.least_delay, self.most_delay)
        for attempt in range(_MAX_RESENDS):
            if chance.random() >= self.loss:
                return total
            total += _RESEND * 2**attempt
        return None


LAN: Final = Conditions()
