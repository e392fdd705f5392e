"""What nodes say to each other when files move. Numbers 70 to 89; docs/protocol/transfer.md shows each.

Everything that comes back is untrusted: its receiver verifies it as what an upstream sent, and more strictly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import attrs

from p2pmods.errors import MalformedData
from p2pmods.gomod.module import FileKey, FileKind, ModuleVersion
from p2pmods.gomod.zipdirectory import MAX_ZIP
from p2pmods.sumdb.bundle import MAX_LEVELS
from p2pmods.wire.bounds import at_most, between, size
from p2pmods.wire.codec import MAX_MESSAGE, decode_as, encode, message
from p2pmods.wire.proofs import MAX_SIZE, RecordBundle

MAX_PATH: Final = 1024  # characters
MAX_VERSION: Final = 256  # characters
MAX_VERSIONS: Final = 200  # of one answer, which they must fit at their longest
MAX_SMALL: Final = (
    31 << 10
)  # bytes of each file that an answer of a home holds; what is larger is asked for by itself
MAX_SMALL_BODY: Final = 2 * MAX_MESSAGE + 4
SHA256_SIZE: Final = 32
TOKEN_SIZE: Final = 16

INFO: Final = 0
MOD: Final = 1
ZIP: Final = 2
KINDS: Final = (FileKind.INFO, FileKind.MOD, FileKind.ZIP)

# Why a request for a file is refused: own codes of wire.events begin at 64.
NOT_HELD: Final = 64
BUSY: Final = 65
STOPPED: Final = 66  # the file that grew will not be finished here
IN_PIECES: Final = 67  # it is large: follow it, and ask for pieces

# What a home says first to who asks for small files.
READY: Final = 0
FETCHING: Final = 1  # it asks its upstream, and the answer follows
YOURSELF: Final = 2  # it cannot get them: fetch them yourself


@message(70)
class GetFile:
    """Request: the bytes of one file from `offset` on. Answered by a FileHead and the bytes as its body.

    `sha256` names the object that is wanted, `token` one that grows under that lease; both None: whichever is held.
    `in_pieces`: the asker would rather have a large file that grows in pieces.
    """

    path: str = attrs.field(validator=at_most(MAX_PATH))
    version: str = attrs.field(validator=at_most(MAX_VERSION))
    kind: int = attrs.field(validator=between(INFO, ZIP))
    offset: int = attrs.field(validator=between(0, MAX_ZIP))
    sha256: bytes | None = attrs.field(default=None, validator=size(SHA256_SIZE))
    token: bytes | None = attrs.field(default=None, validator=size(TOKEN_SIZE))
    in_pieces: bool = False

    @property
    def key(self) -> FileKey:
        """Raises InvalidPath, InvalidVersion."""
        return FileKey(ModuleVersion(self.path, self.version), KINDS[self.kind])


@message(71)
class FileHead:
    """Answer: the body follows, to the end of the file. Both None while it is not known how the file will end."""

    length: int | None = attrs.field(validator=between(0, MAX_ZIP))
    sha256: bytes | None = attrs.field(validator=size(SHA256_SIZE))


@message(72)
class GetSmall:
    """Request to a home: the `.info` and `.mod` of a module version, and what proves the latter.

    `held_only`: nothing is to be fetched for it. `tree` and `levels` are size and levels of an AskRecord. Answered by
    a SmallHead; unless that says YOURSELF there is a body (see pack_small).
    """

    path: str = attrs.field(validator=at_most(MAX_PATH))
    version: str = attrs.field(validator=at_most(MAX_VERSION))
    kind: int = attrs.field(validator=between(INFO, MOD))
    held_only: bool
    tree: int = attrs.field(validator=between(0, MAX_SIZE))
    levels: int = attrs.field(validator=between(0, MAX_LEVELS))

    @property
    def key(self) -> FileKey:
        """Raises InvalidPath, InvalidVersion."""
        return FileKey(ModuleVersion(self.path, self.version), KINDS[self.kind])


@message(73)
class SmallHead:
    """Answer: whether the files are there."""

    state: int = attrs.field(validator=between(READY, YOURSELF))


@message(74)
class SmallFiles:
    """What a home has of a module version.

    Of an `.info` only Version and Time travel. A `.mod` is only sent when the checksum database proves it.
    """

    info: bytes | None = attrs.field(validator=at_most(MAX_SMALL))
    mod: bytes | None = attrs.field(validator=at_most(MAX_SMALL))


@message(75)
class GetVersions:
    """Request: the versions of a module that you can deliver whole and proven. Answered by Versions."""

    path: str = attrs.field(validator=at_most(MAX_PATH))


@message(76)
class Versions:
    """Answer: the highest of them when they are many, in no promised order."""

    versions: tuple[str, ...] = attrs.field(
        validator=[at_most(MAX_VERSIONS), attrs.validators.deep_iterable(at_most(MAX_VERSION))]
    )


@dataclass(frozen=True, slots=True)
class Small:
    """The body of an answer to GetSmall: the files, and the record that proves the `.mod`, if it was there too."""

    files: SmallFiles
    record: RecordBundle | None


def pack_small(small: Small) -> bytes:
    """The encoded files with their length before them in four bytes, and the encoded record behind them."""
    files = encode(small.files)
    record = encode(small.record) if small.record is not None else b""
    return len(files).to_bytes(4, "big") + files + record


def unpack_small(data: bytes) -> Small:
    """The inverse. Raises MalformedData."""
    end = 4 + int.from_bytes(data[:4], "big")
    if len(data) < max(4, end):
        raise MalformedData("small files", "cut")
    record = decode_as(RecordBundle, data[end:]) if len(data) > end else None
    return Small(decode_as(SmallFiles, data[4:end]), record)
