"""From bytes to a value that may be committed: `check_…` makes a CheckedFile, `admit` a VerifiedFile.

Nothing else makes either, so a function that takes one knows what was checked: trust is a type here.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from p2pmods.errors import HashMismatch, MalformedData
from p2pmods.gomod.h1 import hash_go_mod
from p2pmods.gomod.inflate import EXACT, FAST
from p2pmods.gomod.info import Info, parse_info
from p2pmods.gomod.module import FileKey, FileKind
from p2pmods.gomod.zipcheck import MAX_GO_MOD, check_module_zip
from p2pmods.trust.evidence import (
    Evidence,
    FromModuleCache,
    FromPeer,
    FromUpstream,
    Source,
    SourceKind,
    is_proven,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_SEAL: Final = object()
_MODULE_LINE: Final = re.compile(rb"^[ \t]*module[ \t(\"`]", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class CheckedFile:
    """Bytes that are what their name says: the strict reader passed, and these are their size and hashes.

    `sha256` is hex, of the bytes; `h1` is Go's hash of a `.mod` or zip and None for an `.info`.
    """

    key: FileKey
    size: int
    sha256: str
    h1: str | None
    seal: object

    def __post_init__(self) -> None:
        if self.seal is not _SEAL:
            raise TypeError("only the check_… functions make a CheckedFile")


@dataclass(frozen=True, slots=True)
class VerifiedFile:
    """A CheckedFile that the policy admitted, with the evidence it was admitted on: it may be committed."""

    file: CheckedFile
    source: Source
    evidence: tuple[Evidence, ...]
    seal: object

    def __post_init__(self) -> None:
        if self.seal is not _SEAL:
            raise TypeError("only admit() makes a VerifiedFile")

    @property
    def key(self) -> FileKey:
        return self.file.key

    @property
    def proven(self) -> bool:
        """Whether it may leave this machine."""
        return is_proven(self.evidence)


@dataclass(frozen=True, slots=True)
class Statement:
    """Somebody with authority (a database proof or a pin) says what the file's h1 must be."""

    h1: str
    evidence: Evidence


class NeedsProof(Exception):
    """The policy admits these bytes only with a proof or pin, and there is none yet."""


def check_info(key: FileKey, data: bytes) -> CheckedFile:
    """Raises MalformedData when `data` is no `.info` of exactly this version."""
    info: Info = parse_info(data)
    if info.version != key.module.version:
        raise MalformedData("info", f"is for version {info.version!r}, not {key.module.version}")
    return CheckedFile(key, len(data), hashlib.sha256(data).hexdigest(), None, _SEAL)


def check_mod(key: FileKey, data: bytes) -> CheckedFile:
    """Raises MalformedData when `data` is no go.mod at all (a login page, say). Its hash judges the rest."""
    if len(data) > MAX_GO_MOD:
        raise MalformedData("go.mod", f"{len(data)} bytes, more than {MAX_GO_MOD}")
    if not _MODULE_LINE.search(data):
        raise MalformedData("go.mod", "has no module line")
    return CheckedFile(key, len(data), hashlib.sha256(data).hexdigest(), hash_go_mod(data), _SEAL)


def check_zip(key: FileKey, size: int, pread: Callable[[int, int], bytes], *, from_stranger: bool) -> CheckedFile:
    """Read the whole zip through `pread(offset, length)`. Raises ZipRefused.

    `from_stranger`: its maker is unknown, so it is inflated exactly as go would; a faster way is for bytes that go
    itself would have been given by the user's own upstreams, version control or module cache.
    """
    summary = check_module_zip(key.module, size, pread, inflater=EXACT if from_stranger else FAST)
    return CheckedFile(key, size, summary.sha256, summary.h1, _SEAL)


def admit(
    checked: CheckedFile, source: Source, statements: Sequence[Statement], *, require_proof: bool = False
) -> VerifiedFile:
    """Decide whether these bytes may be kept and served to the local go command.

    Every statement must agree, in order of authority: HashMismatch names the first that does not. Without any
    statement only bytes from an upstream, version control or the user's own module cache pass, and an `.info` from
    anywhere; and not when `require_proof` (toolchains) is set: NeedsProof.
    """
    for statement in statements:
        if checked.h1 is not None and statement.h1 != checked.h1:
            raise HashMismatch(str(checked.key), statement.h1, checked.h1, statement.evidence.kind)
    evidence = [statement.evidence for statement in statements if checked.h1 is not None]
    if source.kind in (SourceKind.UPSTREAM, SourceKind.VCS):
        evidence.append(FromUpstream(source.id))
    elif source.kind is SourceKind.MODULE_CACHE:
        evidence.append(FromModuleCache(source.id))
    elif source.kind is SourceKind.PEER and checked.key.kind is FileKind.INFO:
        evidence.append(FromPeer(source.id))
    elif not evidence:
        raise NeedsProof(str(checked.key))
    if require_proof and checked.key.kind is not FileKind.INFO and not is_proven(tuple(evidence)):
        raise NeedsProof(str(checked.key))
    return VerifiedFile(checked, source, tuple(evidence), _SEAL)
