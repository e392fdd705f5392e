"""What a request ends with: bytes and where they were found, or every source that was tried and why it failed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from p2pmods.errors import NotFound, P2pmodsError, Refused, SourceError, Unavailable, printable
from p2pmods.upstream.failure import ProxiesLackIt

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from p2pmods.gomod.module import FileKey
    from p2pmods.trust.evidence import SourceKind

MAX_ERROR_LINES: Final = 8  # cmd/go/internal/web: go prints at most this many lines of a text/plain error …
MAX_ERROR_BYTES: Final = 640  # … and about this many bytes of them
MAX_NAME: Final = 240  # … of which the name and the hint may have so many each
MIN_REASON: Final = 40


@dataclass(frozen=True, slots=True)
class Served:
    """A file to answer with. `body` is there for a small file; `open` gives a new descriptor of a large one.

    `source` says where *this request's* bytes were found; `sha256` is hex; `h1` is None for an `.info`. A synthesised
    `.info` is not `lasting`: the next request may find the real one.
    """

    key: FileKey
    source: SourceKind
    size: int
    sha256: str
    h1: str | None
    proven: bool
    lasting: bool
    body: bytes | None
    open: Callable[[], int] | None


class Verdict(StrEnum):
    """How a request failed, in the terms that the go command tells apart by status."""

    NOT_FOUND = "not found"
    REFUSED = "refused"
    UNAVAILABLE = "temporarily unavailable"


class FetchFailed(P2pmodsError):
    """No source delivered `name`. `tried` holds each source's error, in the order they were asked."""

    def __init__(self, name: str, verdict: Verdict, tried: Sequence[SourceError], hint: str = "") -> None:
        super().__init__(f"{name}: {verdict.value}")
        self.name = name
        self.verdict = verdict
        self.tried = tuple(tried)
        self.hint = hint

    @property
    def reasons(self) -> list[SourceError]:
        """What the sources said, but for what `hint` says already."""
        return [error for error in self.tried if error.reason != self.hint]

    def text(self) -> str:
        """The answer's body: what happened, then one line a source, within what go prints."""
        name = printable(self.name.encode("ascii", "backslashreplace"), MAX_NAME)
        lines = [f"p2pmods: {name}: {self.verdict.value}"]
        if self.hint:
            lines.append(printable(self.hint, MAX_NAME))
        room = MAX_ERROR_BYTES - sum(len(line.encode()) + 1 for line in lines)
        sources = self.reasons[: min(MAX_ERROR_LINES - len(lines), max(1, room // MIN_REASON))]
        for error in sources:
            each = max(MIN_REASON, room // len(sources)) - 1
            lines.append(printable(f"{error.source}: {error.reason}", each))
        return "\n".join(lines) + "\n"


def verdict_of(errors: Sequence[SourceError]) -> Verdict:
    """The verdict of a walk whose last word is `errors[-1]`: only when that one says so is it "not found".

    ProxiesLackIt is a "not found" to go, and still something for which peers may be asked.
    """
    last = errors[-1] if errors else None
    match last:
        case NotFound() | ProxiesLackIt() | None:
            return Verdict.NOT_FOUND
        case Refused():
            return Verdict.REFUSED
        case Unavailable() | SourceError():
            return Verdict.UNAVAILABLE
