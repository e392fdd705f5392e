"""What speaks for the bytes of a file, and where they came from.

The order of the classes of evidence is the order of authority: a checksum-database proof, a go.sum pin, and, for
the local go command only, bytes straight from an upstream or from this user's own module cache.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, Final

from p2pmods.errors import MalformedData


class SourceKind(StrEnum):
    """Where a request's bytes were found: the values of the `P2pmods-Source` header."""

    STORE = "store"
    MODULE_CACHE = "module-cache"
    PEER = "peer"
    UPSTREAM = "upstream"
    VCS = "vcs"


@dataclass(frozen=True, slots=True)
class Source:
    """One delivery. `id` names the upstream, peer or directory without credentials; `at` is Unix time in seconds."""

    kind: SourceKind
    id: str
    at: float


@dataclass(frozen=True, slots=True)
class SumdbProof:
    """Record `record` of `database` states this hash, proved included in the signed tree of size `tree`."""

    kind: ClassVar[str] = "sumdb"
    proven: ClassVar[bool] = True
    database: str
    record: int
    tree: int


@dataclass(frozen=True, slots=True)
class Pin:
    """A go.sum that this user registered, or runs a command beside, lists this hash. Local authority only."""

    kind: ClassVar[str] = "pin"
    proven: ClassVar[bool] = False
    origin: str


@dataclass(frozen=True, slots=True)
class FromUpstream:
    """Straight from `upstream` over its own connection, or built by the go command from version control."""

    kind: ClassVar[str] = "upstream"
    proven: ClassVar[bool] = False
    upstream: str


@dataclass(frozen=True, slots=True)
class FromModuleCache:
    """Found in this user's own module cache at `directory`, from where go would have used it anyway."""

    kind: ClassVar[str] = "module-cache"
    proven: ClassVar[bool] = False
    directory: str


@dataclass(frozen=True, slots=True)
class FromPeer:
    """Version and Time of an `.info`, which no proof covers, as the node `peer` gave them. Of nothing else."""

    kind: ClassVar[str] = "peer"
    proven: ClassVar[bool] = False
    peer: str


Evidence = SumdbProof | Pin | FromUpstream | FromModuleCache | FromPeer

_CLASSES: Final[dict[str, type[Evidence]]] = {
    cls.kind: cls for cls in (SumdbProof, Pin, FromUpstream, FromModuleCache, FromPeer)
}


def is_proven(evidence: tuple[Evidence, ...]) -> bool:
    """Whether any of it is a proof that holds for strangers too (for `.info` files there is none)."""
    return any(item.proven for item in evidence)


def evidence_to_json(item: Evidence) -> dict[str, Any]:
    """`{"kind": …}` and the fields, as `why --json` prints and the index stores it."""
    return {"kind": item.kind, **{name: getattr(item, name) for name in type(item).__slots__}}


def evidence_from_json(data: dict[str, Any]) -> Evidence:
    """The inverse of `evidence_to_json`. Raises MalformedData."""
    fields = dict(data)
    try:
        return _CLASSES[fields.pop("kind")](**fields)
    except (KeyError, TypeError) as error:
        raise MalformedData("evidence", str(error)) from error
