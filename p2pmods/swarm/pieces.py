"""What nodes say to each other when an object moves in pieces. Numbers 77 to 83; docs/protocol/transfer.md.

Who wants an object follows others who want or have it: the body of the answer to a Follow is a stream of news about
its piece list and the pieces that are there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import attrs

from p2pmods.errors import MalformedData
from p2pmods.gomod.module import FileKey, FileKind, ModuleVersion
from p2pmods.gomod.zipdirectory import MAX_ZIP
from p2pmods.identity.records import MAX_RECORD
from p2pmods.identity.signing import SIGNATURE_SIZE
from p2pmods.swarm.messages import MAX_PATH, MAX_VERSION, SHA256_SIZE, TOKEN_SIZE
from p2pmods.wire.bounds import at_most, between, size
from p2pmods.wire.codec import MAX_MESSAGE, decode, encode, message, part

if TYPE_CHECKING:
    from collections.abc import Iterator

PIECE: Final = 64 << 10  # bytes
MAX_PIECES: Final = -(-MAX_ZIP // PIECE)
LARGE: Final = 1 << 20  # bytes; smaller zips move whole
STEP: Final = 512  # hashes after which a list is signed in any case, and which one message carries
MAX_SPAN: Final = 16  # pieces of one request
MAX_OTHERS: Final = 16
PUBLIC_KEY_SIZE: Final = 32


def count_of(length: int) -> int:
    """How many pieces an object of `length` bytes has."""
    return -(-length // PIECE)


@part
class ObjectName:
    """A zip: the one with these bytes (`sha256`), or the one that is fetched under a lease (`token`)."""

    path: str = attrs.field(validator=at_most(MAX_PATH))
    version: str = attrs.field(validator=at_most(MAX_VERSION))
    sha256: bytes | None = attrs.field(validator=size(SHA256_SIZE))
    token: bytes | None = attrs.field(validator=size(TOKEN_SIZE))

    def __attrs_post_init__(self) -> None:
        if (self.sha256 is None) == (self.token is None):
            raise ValueError("an object has a hash or a token")

    @property
    def key(self) -> FileKey:
        """Raises InvalidPath, InvalidVersion."""
        return FileKey(ModuleVersion(self.path, self.version), FileKind.ZIP)

    @property
    def text(self) -> bytes:
        """What a piece list is signed for."""
        which = f"token {self.token.hex()}" if self.token is not None else f"sha256 {(self.sha256 or b'').hex()}"
        return f"{self.path}@{self.version} {which}".encode()


@message(77)
class Follow:
    """Request: tell me of this object's list from its hash number `known` on, and of the pieces that you have.

    `record` is the asker's own signed record, for you to name it to others. Answered by Followed and, as its body,
    news until the object is complete at the asker: ListGrew, Have and Others, each with its length before it.
    """

    name: ObjectName
    known: int = attrs.field(validator=between(0, MAX_PIECES))
    record: bytes = attrs.field(validator=at_most(MAX_RECORD))


@message(78)
class Followed:
    """Answer: the news follow."""


@message(79)
class ListGrew:
    """The SHA-256s of pieces from number `start` on, one after the other.

    `length` is the object's in bytes, once these are the last. `signer`, a public key, made the list, and signed it
    as far as these go.
    """

    start: int = attrs.field(validator=between(0, MAX_PIECES))
    hashes: bytes = attrs.field(validator=at_most(STEP * SHA256_SIZE))
    length: int | None = attrs.field(validator=between(0, MAX_ZIP))
    signer: bytes = attrs.field(validator=size(PUBLIC_KEY_SIZE))
    signature: bytes = attrs.field(validator=size(SIGNATURE_SIZE))

    def __attrs_post_init__(self) -> None:
        if len(self.hashes) % SHA256_SIZE:
            raise ValueError("half a hash")


@message(80)
class Have:
    """The sender has these pieces, besides those that it named before: bit i of byte j is piece 8j + i."""

    pieces: bytes = attrs.field(validator=at_most((MAX_PIECES + 7) // 8))


@message(81)
class Others:
    """Signed records of nodes that follow the sender for this object."""

    records: tuple[bytes, ...] = attrs.field(
        validator=[at_most(MAX_OTHERS), attrs.validators.deep_iterable(at_most(MAX_RECORD))]
    )


@message(82)
class GetPieces:
    """Request: pieces of an object that you said you have. Answered by Pieces and the bytes as its body."""

    name: ObjectName
    first: int = attrs.field(validator=between(0, MAX_PIECES - 1))
    count: int = attrs.field(validator=between(1, MAX_SPAN))


@message(83)
class Pieces:
    """Answer: the pieces follow."""


def pack_news(news: object) -> bytes:
    """One of the news with its length before it in two bytes."""
    data = encode(news)
    return len(data).to_bytes(2, "big") + data


class NewsReader:
    """The inverse, of a body that arrives in any slices."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Any]:
        """What is complete now. Raises MalformedData."""
        self._buffer += data
        while len(self._buffer) >= 2:
            end = 2 + int.from_bytes(self._buffer[:2], "big")
            if len(self._buffer) < end:
                return
            news = decode(bytes(self._buffer[2:end]))
            del self._buffer[:end]
            if not isinstance(news, (ListGrew, Have, Others)):
                raise MalformedData("piece news", f"a {type(news).__name__}")
            yield news


assert MAX_MESSAGE <= 1 << 16  # so that two bytes are enough
