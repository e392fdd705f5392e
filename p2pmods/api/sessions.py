"""Path tokens: `http://127.0.0.1:3070/<token>` is the proxy URL of one command, or of one strict set-up.

Under a token "cannot answer now" is a 503, for no other proxy follows it. The token of a `run` also counts what that
command got and from where, and holds its go.sum as a pin.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from p2pmods.errors import HashMismatch
from p2pmods.fetch.outcome import Verdict
from p2pmods.gomod.module import FileKey, FileKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from p2pmods.fetch.outcome import FetchFailed, Served
    from p2pmods.gomod.gosum import GoSum
    from p2pmods.trust.evidence import SourceKind

_NEEDED: Final = (".mod", ".zip")
_RECORD: Final = "sumdb "
MAX_SESSIONS: Final = 256
MAX_MISSING: Final = 200  # failures that one session keeps
MAX_LISTINGS: Final = 20_000  # names of lists and queries that it keeps


@dataclass(slots=True)
class Session:
    """One command's use of the node. `started` is monotonic seconds."""

    token: str
    started: float
    pins: GoSum | None = None
    origin: str = ""
    requests: int = 0
    _files: dict[FileKey, tuple[SourceKind, int, bool]] = field(default_factory=dict)
    _missing: dict[str, dict[str, Any]] = field(default_factory=dict)
    _listings: set[str] = field(default_factory=set)

    def pin_for(self, key: FileKey) -> str | None:
        """The h1 that this command's go.sum demands of the file, if it lists it."""
        if self.pins is None or key.kind is FileKind.INFO:
            return None
        return self.pins.mod_h1(key.module) if key.kind is FileKind.MOD else self.pins.zip_h1(key.module)

    def check(self, key: FileKey, h1: str | None) -> bool:
        """Whether the go.sum vouches for these bytes. Raises HashMismatch when it lists another hash."""
        pin = self.pin_for(key)
        if pin is None or h1 is None:
            return False
        if pin != h1:
            raise HashMismatch(str(key), pin, h1, self.origin or "go.sum")
        return True

    def record(self, served: Served, *, pinned: bool) -> None:
        self.requests += 1
        self._missing.pop(str(served.key), None)
        proven = served.proven or pinned or served.key.kind is FileKind.INFO
        self._files.setdefault(served.key, (served.source, served.size, proven))

    def unproven(self) -> list[FileKey]:
        """What it got that nothing vouched for at that moment."""
        return [key for key, (_, _, proven) in self._files.items() if not proven]

    def record_proofs(self, keys: Iterable[FileKey]) -> None:
        """The proofs of these came after they were served."""
        for key in keys:
            source, size, _ = self._files[key]
            self._files[key] = source, size, True

    def record_listing(self, name: str) -> None:
        """A list, or a query, of that name was answered."""
        self._missing.pop(name, None)
        if len(self._listings) < MAX_LISTINGS:
            self._listings.add(name)

    def record_failure(self, failure: FetchFailed) -> None:
        self.requests += 1
        if len(self._missing) < MAX_MISSING:
            tried = [[error.source, error.reason] for error in failure.reasons]
            verdict = failure.verdict.value
            self._missing[failure.name] = {
                "name": failure.name,
                "verdict": verdict,
                "reason": failure.hint or verdict,
                "tried": tried,
            }

    def report(self, *, now: float) -> dict[str, Any]:
        """What `run` prints its last line from; a module counts where its zip came from, else its go.mod."""
        sources: dict[str, dict[str, int]] = {}
        origin_of: dict[tuple[str, str], SourceKind] = {}
        for key in sorted(self._files):  # by kind within a module: info, mod, zip; the last one decides
            source, size, _ = self._files[key]
            counts = sources.setdefault(source.value, {"modules": 0, "files": 0, "bytes": 0})
            counts["files"] += 1
            counts["bytes"] += size
            origin_of[key.module.path, key.module.version] = source
        for source in origin_of.values():
            sources[source.value]["modules"] += 1
        return {
            "requests": self.requests,
            "modules": len(origin_of),
            "bytes": sum(size for _, size, _ in self._files.values()),
            "sources": sources,
            "unproven": sum(not proven for _, _, proven in self._files.values()),
            "missing": self._telling(),
            "elapsed_s": round(now - self.started, 3),
        }

    def _telling(self) -> list[dict[str, Any]]:
        """The failures but for wrong guesses: to find a package's module go asks for every prefix of its path.

        What was found for the same version, or in the same way, ends the search, and so does what is known and
        cannot be had; else the longest path was meant. Of `.mod`, `.zip` and records none is a guess. A guess of
        which nobody could say whether it exists stays, unless it is above what ended the search.
        """
        found = {_split(str(key)) for key in self._files if key.kind is FileKind.INFO}
        found.update(map(_split, self._listings))
        known = {_split(name) for name, failure in self._missing.items() if failure["reason"] != failure["verdict"]}
        above = {guess for split in (*found, *known) for guess in _shorter(*split)}
        shorter = above.union(*(_shorter(*_split(name)) for name in self._missing))

        def is_guess(name: str, verdict: Verdict) -> bool:
            split = _split(name)
            if name.endswith(_NEEDED) or name.startswith(_RECORD):
                return False
            if verdict == Verdict.UNAVAILABLE:
                return split in above
            return split in shorter or not found.isdisjoint(_shorter(*split))

        return [failure for name, failure in self._missing.items() if not is_guess(name, failure["verdict"])]


def _split(name: str) -> tuple[str, str]:
    """The module path, and what was wanted of it."""
    path, _, wanted = name.partition("@")
    return path.removesuffix("/"), wanted


def _shorter(path: str, wanted: str) -> Iterator[tuple[str, str]]:
    """The same of every path above."""
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path, wanted


@dataclass(frozen=True, slots=True)
class Access:
    """What a path token allows: `session` is set for a `run`; `strict` means that no other proxy follows."""

    session: Session | None = None
    strict: bool = False


class Tokens:
    """All path tokens in force: of `run` sessions, of a strict set-up, and the one that opens a remote address."""

    def __init__(self, *, setup: Callable[[], str | None], api: str | None, monotonic: Callable[[], float]) -> None:
        """`setup` gives the token of the strict set-up that is in force now, if any."""
        self._monotonic = monotonic
        self._setup = setup
        self._sessions: dict[str, Access] = {}
        self._fixed: dict[str, Access] = {} if api is None else {api: Access()}
        self.is_required = api is not None

    def open(self, pins: GoSum | None, origin: str) -> Session:
        """A new session; the oldest is forgotten when there are too many."""
        while len(self._sessions) >= MAX_SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        session = Session("run-" + secrets.token_urlsafe(16), self._monotonic(), pins, origin)
        self._sessions[session.token] = Access(session, strict=True)
        return session

    def session(self, token: str) -> Session | None:
        access = self._sessions.get(token)
        return access.session if access else None

    def close(self, token: str) -> Session | None:
        """End a session and give its last state."""
        access = self._sessions.pop(token, None)
        return access.session if access else None

    def find(self, first: str) -> Access | None:
        """The access that a path's first segment gives, compared in constant time."""
        for token, access in (*self._sessions.items(), *self._fixed.items()):
            if hmac.compare_digest(token.encode(), first.encode()):
                return access
        setup = self._setup()
        if setup is not None and hmac.compare_digest(setup.encode(), first.encode()):
            return Access(strict=True)
        return None
