"""HTTP/1.1 as a client of module proxies needs it: one request at a time, its answer in pieces.

httptools reads the protocol, strictly; bounds and framing at the end of a connection are ours.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import httptools

from p2pmods.upstream.answer import Head
from p2pmods.upstream.sockets import BrokeOff

if TYPE_CHECKING:
    from p2pmods.upstream.sockets import Stream

MAX_HEAD: Final = 64 << 10  # bytes of a status line and headers, all interim answers included; of trailers as well


class _Parser:
    """One answer, from its bytes. `feed` raises BrokeOff when they are none of HTTP."""

    def __init__(self) -> None:
        self.head: Head | None = None
        self.is_complete = False
        self.is_followed = False  # by bytes that nobody asked for
        self.keeps_alive = False
        self.pieces: list[bytes] = []
        self._headers: list[tuple[bytes, bytes]] = []
        self._fed = 0  # bytes since the head or a piece of the body: of headers, trailers, chunk extensions
        self._size = 0  # of the headers
        self._parser: Any = httptools.HttpResponseParser(self)

    def feed(self, data: memoryview) -> None:
        self._fed += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if not self.is_complete:
                raise BrokeOff(f"no HTTP: {error}") from error
            self.is_followed = True
        if self._size > MAX_HEAD or (not self.is_complete and self._fed > MAX_HEAD):
            raise BrokeOff(f"more than {MAX_HEAD} bytes of headers")

    def end(self) -> None:
        """The connection ended. Raises BrokeOff when the answer had not."""
        framed = self.head is None or not {"content-length", "transfer-encoding"}.isdisjoint(self.head.headers)
        if not self.is_complete and framed:
            raise BrokeOff("the connection was closed in the middle of an answer")
        self.is_complete = True
        self.keeps_alive = False

    def close(self) -> None:
        """Breaks the circle between this object and httptools' parser."""
        self._parser = None

    # What httptools calls.

    def on_message_begin(self) -> None:
        self.is_followed = self.is_complete

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.head is None:
            self._headers.append((name, value))
            self._size += len(name) + len(value)

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if self.is_complete or status < 200:
            self._headers.clear()  # an interim answer: the real one is to come
            return
        self._fed = 0
        self.head = Head.parse(status, self._headers)
        self.keeps_alive = self._parser.should_keep_alive()

    def on_body(self, piece: bytes) -> None:
        self._fed = 0
        if not self.is_complete:
            self.pieces.append(piece)

    def on_message_complete(self) -> None:
        self.is_complete = self.head is not None


class Connection:
    """A connection to an upstream: `ask`, then `read` until it gives nothing, then perhaps again.

    Both raise BrokeOff, after which, as after a cancellation, it `is_reusable` no more.
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._parser: _Parser | None = None
        self.idle_since = -math.inf

    @property
    def is_reusable(self) -> bool:
        """Whether an answer was read to its end and another request may follow."""
        parser = self._parser
        return parser is None or (parser.is_complete and parser.keeps_alive and not parser.is_followed)

    def is_quiet(self) -> bool:
        """Whether an idle connection is still open, and nothing unasked has arrived on it."""
        return self._stream.is_quiet()

    async def ask(self, request: bytes) -> Head:
        """Send a whole request without a body; the head of its answer."""
        self.close_parser()
        parser = self._parser = _Parser()
        try:
            await self._stream.send(request)
        except OSError as error:  # ssl.SSLError is one
            raise BrokeOff from error
        while parser.head is None:
            await self._feed(parser)
        return parser.head

    async def read(self) -> bytes:
        """What has come of the body since the last call, waiting for some; nothing at its end."""
        parser = self._parser
        assert parser is not None
        while not parser.pieces and not parser.is_complete:
            await self._feed(parser)
        pieces, parser.pieces = parser.pieces, []
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def read_start(self, most: int) -> bytes:
        """At most the first `most` bytes of the body. What is longer costs the connection."""
        start = bytearray()
        while len(start) < most and (piece := await self.read()):
            start += piece
        return bytes(start[:most])

    async def _feed(self, parser: _Parser) -> None:
        try:
            data = await self._stream.receive()
        except OSError as error:
            raise BrokeOff from error
        if data:
            parser.feed(data)
        else:
            parser.end()

    def close_parser(self) -> None:
        if self._parser is not None:
            self._parser.close()

    def close(self) -> None:
        """At once; any number of times."""
        self.close_parser()
        self._stream.close()
