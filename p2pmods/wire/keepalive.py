"""Whether the other side is still there, and how far away."""

from __future__ import annotations

import struct
from typing import Final

from p2pmods.errors import WireError

IDLE: Final = 15.0  # seconds without a byte, after which a ping asks
PATIENCE: Final = 10.0  # seconds that it may take to answer
EAGER_IDLE: Final = 2.0  # the same two while this side waits for answers: it could ask somebody else
EAGER_PATIENCE: Final = 5.0

_TOKEN: Final = struct.Struct(">Q")


class KeepAlive:
    """One ping at a time. The first is due at once: it measures the round trip."""

    def __init__(self, now: float) -> None:
        self.round_trip: float | None = None  # seconds, of the last ping
        self._heard = now
        self._asked: float | None = None  # when the ping under way was sent
        self._count = 0
        self._owes = False

    def timer(self, *, is_eager: bool) -> float:
        """When `due` has something to say."""
        if self._asked is not None:
            return max(self._asked, self._heard) + (EAGER_PATIENCE if is_eager else PATIENCE)
        idle = EAGER_IDLE if is_eager else IDLE
        return self._heard + (idle if self._count else 0.0)

    def heard(self, now: float) -> None:
        """Something arrived."""
        self._heard = max(now, self._heard)

    def due(self, now: float, *, is_eager: bool) -> bytes | None:
        """The token of a ping to send now. Raises WireError when the other side fell silent."""
        if now < self.timer(is_eager=is_eager):
            return None
        if self._asked is not None:
            raise WireError(f"nothing was heard for {now - max(self._asked, self._heard):.0f} seconds")
        self._asked = now
        self._count += 1
        return _TOKEN.pack(self._count)

    def answered(self, token: bytes, now: float) -> None:
        """Raises WireError for an answer to what was not asked."""
        if self._asked is None or token != _TOKEN.pack(self._count):
            raise WireError("PONG without PING")
        self.round_trip = now - self._asked
        self._asked = None

    def asked(self) -> None:
        """The other side's ping. Raises WireError when it did not wait for the answer to the last."""
        if self._owes:
            raise WireError("PING before the PONG for the last one")
        self._owes = True

    def answering(self) -> None:
        """Our answer has been handed out."""
        self._owes = False
