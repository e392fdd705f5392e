"""Every error that crosses a package border, each with the fields that its reader needs.

An error's `str()` is one line that a person can act on. Text that came from outside (an upstream's answer, a name
in a zip) is put through `printable` before it gets into a message.
"""

from __future__ import annotations

from datetime import UTC, datetime


def printable(text: str | bytes, limit: int = 200) -> str:
    """`text` with control characters escaped and at most `limit` characters, safe for a terminal or a log."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "backslashreplace")
    cut = text[: limit + 1]
    out = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in cut)
    return out if len(out) <= limit else out[: limit - 1] + "…"


class P2pmodsError(Exception):
    """The base of all errors of this package."""


class UserError(P2pmodsError):
    """Something the person at the terminal can put right: one line on stderr, exit status `exit_code`."""

    exit_code = 1


class UsageError(UserError):
    """A wrong flag, setting or argument: exit status 2."""

    exit_code = 2


class InvalidPath(P2pmodsError):
    """A module path, import path or file path that Go would refuse."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"malformed path {printable(path)!r}: {reason}")
        self.path = path
        self.reason = reason


class InvalidVersion(P2pmodsError):
    """A version that is not canonical, or does not fit its module path. `path` is "" where none was given."""

    def __init__(self, path: str, version: str, reason: str) -> None:
        name = f"{printable(path)}@{printable(version)}" if path else printable(version)
        super().__init__(f"{name}: invalid version: {reason}")
        self.path = path
        self.version = version
        self.reason = reason


class MalformedData(P2pmodsError):
    """Bytes that are not the `what` (go.sum, info, note, tile, …) they should be."""

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(f"malformed {what}: {reason}")
        self.what = what
        self.reason = reason


class ZipRefused(P2pmodsError):
    """A module zip outside the strict profile that we and Go read alike."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"module zip refused: {reason}")
        self.reason = reason


class HashMismatch(P2pmodsError):
    """Bytes whose hash is not the one that `authority` states for them."""

    def __init__(self, name: str, want: str, got: str, authority: str) -> None:
        super().__init__(f"{name}: hash is {got}, but {authority} says {want}")
        self.name = name
        self.want = want
        self.got = got
        self.authority = authority


class SourceError(P2pmodsError):
    """A source did not deliver. `source` names it without credentials, `reason` says why in a few words."""

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(f"{source}: {reason}")
        self.source = source
        self.reason = reason


class NotFound(SourceError):
    """The source says that it does not exist (404, 410): the only answer after which go passes a `,`."""


class Refused(SourceError):
    """The source will not give it (401, 403, 451), or our own policy refuses the bytes."""


class Unavailable(SourceError):
    """The source cannot answer now: offline, a timeout, 429, 5xx, a broken or nonsensical answer."""


class SumdbError(P2pmodsError):
    """The checksum database did not prove something: absent, malformed or unverifiable answers. Not an attack."""


class SumdbSecurityError(SumdbError):
    """Two signed tree heads that cannot both be true: a fork or a rollback. The database is frozen."""

    def __init__(self, database: str, ours: bytes, theirs: bytes, reason: str) -> None:
        super().__init__(f"{database}: SECURITY ERROR: {reason}")
        self.database = database
        self.ours = ours
        self.theirs = theirs
        self.reason = reason


class StoreError(P2pmodsError):
    """The store cannot be used or a write failed (disk full, locked, damaged); says the cure."""


class StoreInUse(StoreError):
    """Another process has the data directory: a node that runs, starts or stops."""


class StoreChanged(StoreError):
    """A file in the store is no longer the one that was verified: ask the store for it again."""


class Poisoned(P2pmodsError):
    """Two authorities contradict each other about `module`: nothing of it is served until a person decides."""

    def __init__(self, module: str, reason: str) -> None:
        super().__init__(f"{module} is poisoned and not served: {reason}")
        self.module = module
        self.reason = reason


class Tombstoned(P2pmodsError):
    """The user removed `module` at Unix time `at` and did not ask for it since."""

    def __init__(self, module: str, at: float) -> None:
        day = datetime.fromtimestamp(at, UTC).date().isoformat()
        super().__init__(f"{module} was removed by you on {day}; `p2pmods get {module}` brings it back")
        self.module = module
        self.at = at


class WireError(P2pmodsError):
    """The other side of a link broke the protocol or fell silent; `reason` says how. The link ends."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class PeerError(P2pmodsError):
    """A peer did not do what it was asked: drop it, ask another. `node_id` is the peer, or the address dialled."""

    def __init__(self, node_id: str, reason: str) -> None:
        super().__init__(f"peer {printable(node_id, 60)}: {reason}")
        self.node_id = node_id
        self.reason = reason


class PeerNotReached(PeerError):
    """Neither of two nodes reaches the other: a third one found that out."""


class PeerRefused(PeerError):
    """A peer is there and says no. `code` is a `wire.events.Code`, or from 64 on what the message defines."""

    def __init__(self, node_id: str, code: int, text: str) -> None:
        super().__init__(node_id, f"{text or 'refused'} ({code})")
        self.code = code
        self.text = text
