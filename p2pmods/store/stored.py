"""The values that the store hands out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from p2pmods.gomod.module import FileKind
from p2pmods.trust.evidence import Evidence, FromModuleCache, FromUpstream, Pin, Source, is_proven

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from p2pmods.gomod.module import FileKey, ModuleVersion


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file on disk, in the store or (`in_module_cache`) in the user's module cache, as it was when last verified.

    `sha256` is hex, of the bytes, and "" while nothing has verified them yet; `h1` is None for an `.info`.
    `fingerprint` is `fs.fingerprint` of the verified file; "" never matches. `synthesised` marks an `.info` that we
    wrote for file:// readers: it is nobody's answer and is never handed out by `get`.
    """

    key: FileKey
    path: Path
    size: int
    sha256: str
    h1: str | None
    source: Source
    evidence: tuple[Evidence, ...]
    fingerprint: str
    in_module_cache: bool = False
    synthesised: bool = False

    @property
    def proven(self) -> bool:
        """Whether it may leave this machine."""
        return is_proven(self.evidence)


def rank(evidence: tuple[Evidence, ...]) -> int:
    """How much `evidence` weighs when two files claim one name: proof, pin, upstream, module cache, nothing."""
    if is_proven(evidence):
        return 4
    for weight, cls in ((3, Pin), (2, FromUpstream), (1, FromModuleCache)):
        if any(isinstance(item, cls) for item in evidence):
            return weight
    return 0


@dataclass(frozen=True, slots=True)
class Answer:
    """An upstream's remembered answer to `list`, `@latest` or a query; `source.at` is when it was fetched."""

    body: bytes
    source: Source


@dataclass(frozen=True, slots=True)
class Refusal:
    """Bytes for `key` that were not let in."""

    key: FileKey
    source: Source
    reason: str


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something a person must look at. `evidence` is a directory name below DATA/evidence, or None."""

    id: str
    since: float
    text: str
    evidence: str | None
    acknowledged: bool


@dataclass(frozen=True, slots=True)
class Traffic:
    """A number of files and their bytes."""

    files: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class RemoveReport:
    """What `remove` took away; `module` will not come back until `allow`."""

    module: ModuleVersion
    files: int
    bytes: int


@dataclass(frozen=True, slots=True)
class HeldVersion:
    """One version and which of its files are held for real; `deliverable` when all three can be answered."""

    version: str
    info: bool
    mod: bool
    zip: bool

    @classmethod
    def of(cls, version: str, kinds: Collection[FileKind]) -> HeldVersion:
        return cls(version, FileKind.INFO in kinds, FileKind.MOD in kinds, FileKind.ZIP in kinds)

    @property
    def deliverable(self) -> bool:
        """Whether a `list` may name it: an `.info` can always be synthesised."""
        return self.mod and self.zip


@dataclass(frozen=True, slots=True)
class StoreStatistics:
    """What is held in the store (not in the module cache), and what went on.

    `traffic` and `given` are totals over all starts, `traffic_now` and `given_now` those of this start; the keys of
    traffic are `P2pmods-Source` values. `trouble` is the last failure of the disk or the index that was worked
    around, and None when the last commit went well.
    """

    modules: int
    files: int
    bytes: int
    quarantined: int
    alarms: tuple[Alarm, ...]
    traffic: Mapping[str, Traffic]
    given: Traffic
    traffic_now: Mapping[str, Traffic]
    given_now: Traffic
    trouble: str | None
