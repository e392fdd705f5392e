"""The last failures, for `status`: of a `|` list go prints only the last proxy's error, so ours would be lost."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from p2pmods.fetch.outcome import FetchFailed

MAX_KEPT: Final = 50


@dataclass(frozen=True, slots=True)
class Failure:
    """One request that failed. `at` is Unix time in seconds; `tried` pairs each source with its reason."""

    at: float
    name: str
    verdict: str
    hint: str
    tried: tuple[tuple[str, str], ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "at": self.at,
            "name": self.name,
            "verdict": self.verdict,
            "hint": self.hint,
            "tried": [list(pair) for pair in self.tried],
        }


class Failures:
    """A short memory of failures, newest last."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._kept: deque[Failure] = deque(maxlen=MAX_KEPT)

    def add(self, failed: FetchFailed) -> None:
        """The newest failure of each name: go asks for the same things again and again."""
        tried = tuple((error.source, error.reason) for error in failed.tried)
        for old in [failure for failure in self._kept if failure.name == failed.name]:
            self._kept.remove(old)
        self._kept.append(Failure(self._clock(), failed.name, failed.verdict.value, failed.hint, tried))

    def recent(self) -> tuple[Failure, ...]:
        return tuple(self._kept)
