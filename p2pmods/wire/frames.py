"""Frames: what a link's bytes are cut into.

Each side first sends a preface: the magic and one byte of version. Then follow frames: a head of 8 bytes, a payload.

    length of the payload (3 bytes) | kind (1 byte) | id of the request (4 bytes) | payload

All numbers are big-endian. A frame's head is judged as soon as it is there, before a byte of the payload is kept.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from p2pmods.errors import WireError, printable
from p2pmods.wire.codec import MAX_MESSAGE

if TYPE_CHECKING:
    from collections.abc import Iterator

MAGIC: Final = b"p2pmods"
VERSION: Final = 1
PREFACE: Final = MAGIC + bytes([VERSION])
MAX_SLICE: Final = 16 << 10  # bytes of body in one frame: what a control frame may have to wait for
MAX_TEXT: Final = 200  # bytes of a reason
UNKNOWN_LENGTH: Final = (1 << 64) - 1

HEAD: Final = struct.Struct(">II")
CREDIT: Final = struct.Struct(">I")
LENGTH: Final = struct.Struct(">Q")
CODE: Final = struct.Struct(">H")
LAST: Final = struct.Struct(">I")
TOKEN_SIZE: Final = 8  # bytes of a ping


class Kind(IntEnum):
    """What a frame is. `side` below is the side that made the request of that id."""

    REQUEST = 1  # side: credit for the body of the answer (4 bytes), message
    ANSWER = 2  # other side, last: message
    STREAM = 3  # other side: length of the body (8 bytes, all ones when unknown), message
    DATA = 4  # other side: 1 to 16384 bytes of the body
    END = 5  # other side, last: the body is complete
    RESET = (
        6  # side: it is not wanted any more; other side, last: there will be no (more) answer. Code (2 bytes), text
    )
    CREDIT = 7  # side: so many more bytes of the body may be sent (4 bytes)
    NOTICE = 8  # id 0: message that has no answer
    PING = 9  # id 0: 8 bytes
    PONG = 10  # id 0: the bytes of the ping
    GOAWAY = 11  # id 0: highest id of the other side's requests that will be answered (4 bytes), text


_SIZES: Final = {  # kind → least and most bytes of payload
    Kind.REQUEST: (CREDIT.size + 1, CREDIT.size + MAX_MESSAGE),
    Kind.ANSWER: (1, MAX_MESSAGE),
    Kind.STREAM: (LENGTH.size + 1, LENGTH.size + MAX_MESSAGE),
    Kind.DATA: (1, MAX_SLICE),
    Kind.END: (0, 0),
    Kind.RESET: (CODE.size, CODE.size + MAX_TEXT),
    Kind.CREDIT: (CREDIT.size, CREDIT.size),
    Kind.NOTICE: (1, MAX_MESSAGE),
    Kind.PING: (TOKEN_SIZE, TOKEN_SIZE),
    Kind.PONG: (TOKEN_SIZE, TOKEN_SIZE),
    Kind.GOAWAY: (LAST.size, LAST.size + MAX_TEXT),
}
_OF_THE_LINK: Final = frozenset({Kind.NOTICE, Kind.PING, Kind.PONG, Kind.GOAWAY})
_BY_NUMBER: Final = {int(kind): (kind, *sizes) for kind, sizes in _SIZES.items()}


class Frame(NamedTuple):
    kind: Kind
    id: int
    payload: bytes


def encode_head(kind: Kind, request: int, length: int) -> bytes:
    """The head of a frame whose payload has `length` bytes."""
    return HEAD.pack(length << 8 | kind, request)


def encode_frame(kind: Kind, request: int, payload: bytes = b"") -> bytes:
    """A whole frame. Raises ValueError for one that the other side would take for a violation."""
    least, most = _SIZES[kind]
    if not least <= len(payload) <= most:
        raise ValueError(f"a {kind.name} with {len(payload)} bytes, not {least} to {most}")
    return encode_head(kind, request, len(payload)) + payload


def encode_text(text: str) -> bytes:
    """A reason in the bytes that there are for it, with nothing cut in half."""
    return printable(text, MAX_TEXT).encode("utf-8")[:MAX_TEXT].decode("utf-8", "ignore").encode("utf-8")


def decode_text(data: bytes) -> str:
    """A reason from the other side, safe to print."""
    return printable(data, MAX_TEXT)


class FrameDecoder:
    """Cuts what arrives into frames. Holds less than one frame."""

    def __init__(self) -> None:
        self._rest = b""
        self.is_open = False  # the preface has arrived

    def receive(self, data: bytes) -> Iterator[Frame]:
        """The frames that are complete with `data`. To be used up before the next call.

        Raises WireError at the first byte after which there is no frame to be had any more.
        """
        if self._rest:
            data = self._rest + data
            self._rest = b""
        at = 0
        if not self.is_open:
            if not _is_preface(data):
                self._rest = data
                return
            self.is_open = True
            at = len(PREFACE)
        available = len(data)
        while available - at >= HEAD.size:
            first, request = HEAD.unpack_from(data, at)
            kind = _checked_kind(first, request)
            end = at + HEAD.size + (first >> 8)
            if end > available:
                break
            yield Frame(kind, request, data[at + HEAD.size : end])
            at = end
        self._rest = data[at:]


def _is_preface(data: bytes) -> bool:
    """False while there is too little to say. Raises WireError."""
    if not PREFACE.startswith(data[: len(PREFACE)]):
        if data.startswith(MAGIC):
            raise WireError(f"it speaks version {data[len(MAGIC)]} of the protocol, and this node {VERSION}")
        raise WireError("what it sent is not this protocol")
    return len(data) >= len(PREFACE)


def _checked_kind(first: int, request: int) -> Kind:
    known = _BY_NUMBER.get(first & 0xFF)
    if known is None:
        raise WireError(f"a frame of kind {first & 0xFF}, which there is not")
    kind, least, most = known
    if not least <= first >> 8 <= most:
        raise WireError(f"a frame of {first >> 8} bytes, where {kind.name} has {least} to {most}")
    if (request == 0) is not (kind in _OF_THE_LINK):
        raise WireError(f"{kind.name} for request {request}")
    return kind
