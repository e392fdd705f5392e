"""The log of one provider for one home."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Final

from p2pmods.directory.messages import MAX_DELTAS, Advert

if TYPE_CHECKING:
    from p2pmods.directory.messages import Advertised, Holding

_PAUSE: Final = 0.1  # seconds after an advert was taken, in which more comes together for the next
_FIRST_RETRY: Final = 1.0
_LAST_RETRY: Final = 60.0


class Feed:
    """One advert at a time is under way; what changes meanwhile waits, the last word on each key."""

    def __init__(self, home: str) -> None:
        self.home = home
        self.is_unheard = False  # the home did not answer last time
        self._waiting: dict[bytes, Holding | None] = {}
        self._under_way: dict[bytes, Holding | None] | None = None  # sent, or to be sent again
        self._answering = False
        self._sequence = 0
        self._begun = False
        self._at = 0.0  # not before
        self._retry = _FIRST_RETRY

    def put(self, key: bytes, holding: Holding | None) -> None:
        """Say that this is held, or with None that nothing of `key` is."""
        self._waiting[key] = holding

    def begin_again(self, holdings: dict[bytes, Holding]) -> None:
        """The home lost the thread: all of it, from the start."""
        self._waiting = {**holdings, **{key: held for key, held in self._waiting.items() if held is not None}}
        self._under_way = None
        self._begun = False

    def advert(self, session: bytes, record: bytes) -> Advert:
        """The next one to send; the same again while it was not answered."""
        if self._under_way is None:
            keys = tuple(itertools.islice(self._waiting, MAX_DELTAS))
            self._under_way = {key: self._waiting.pop(key) for key in keys}
        self._answering = True
        added = tuple([held for held in self._under_way.values() if held is not None])
        removed = tuple([key for key, held in self._under_way.items() if held is None])
        return Advert(session, self._sequence, not self._begun, record, added, removed)

    def took(self, answer: Advertised, *, now: float) -> bool:
        """Whether the home is where we are; when it is not, begin again."""
        self._answering = self.is_unheard = False
        if answer.wanted != self._sequence + 1:
            self._delay(now)
            return False
        self._sequence += 1
        self._begun, self._under_way = True, None
        self._at, self._retry = now + _PAUSE, _FIRST_RETRY
        return True

    def failed(self, *, now: float) -> None:
        """No answer came."""
        self._answering, self.is_unheard = False, True
        self._delay(now)

    def next_timer(self) -> float:
        """Not before when the next advert goes; math.inf while there is none to send."""
        if self._answering or not (self._waiting or self._under_way):
            return math.inf
        return self._at

    def _delay(self, now: float) -> None:
        self._at = now + self._retry
        self._retry = min(self._retry * 2, _LAST_RETRY)
