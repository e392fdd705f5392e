"""Bytes to requests: httptools' parser with our bounds and refusals around it. No I/O.

`feed` is given what one read brought (at most `limits.RECEIVE` bytes). Afterwards `take()` gives the requests that
are complete, in order, and `refusal` says whether the connection must end after they were answered.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httptools

from p2pmods.httpd.message import Headers, Request

if TYPE_CHECKING:
    from p2pmods.httpd.limits import Limits

# (method, path as sent, headers) -> how many bytes of body are taken
BodyLimit = Callable[[str, str, Headers], int]

_TARGET = re.compile(rb"/[!\"$-~]*\Z")  # printable ASCII without a fragment
# Fields that decide where a message ends or whom it is for: said twice, two readers may believe different ones.
_ONCE = frozenset({"host", "content-length", "transfer-encoding", "expect", "range", "origin", "authorization"})


def is_target(target: bytes) -> bool:
    """Whether it can stand on a request line, in the form that names a path of this server."""
    return _TARGET.match(target) is not None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why nothing more is read from this client."""

    status: int
    reason: str


class RequestParser:
    """One connection's input. Once there is a `refusal`, or `finished`, further bytes are ignored."""

    def __init__(self, limits: Limits, body_limit: BodyLimit, client: str = "") -> None:
        self.refusal: Refusal | None = None
        self.finished = False  # the last complete request was the last of this connection
        self.in_head = False
        self.in_body = False
        self.messages = 0  # how many were begun
        self.wants_continue = False  # the client waits for `100 Continue` before it sends the body
        self._limits = limits
        self._body_limit = body_limit
        self._client = client
        self._requests: list[Request] = []
        self._parser: Any = httptools.HttpRequestParser(self)
        self._start()

    @property
    def idle(self) -> bool:
        """Between two requests: nothing of a next one has been read."""
        return not (self.in_head or self.in_body or self.finished or self.refusal)

    def feed(self, data: bytes) -> None:
        """Takes what a read brought; never raises for what a client can send."""
        if self.finished or self.refusal:
            return
        self._got_on = False
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.finished = True
        except httptools.HttpParserError as error:
            if not self.finished:
                self._refuse(400, f"malformed request: {error}")
        if self._got_on:
            self._waste = 0
        elif self.in_head or self.in_body:
            self._waste += len(data)
            self._check_waste()

    def take(self) -> list[Request]:
        """The requests completed since the last call."""
        requests, self._requests = self._requests, []
        return requests

    def close(self) -> None:
        """Breaks the circle between this object and httptools' parser."""
        self._parser = None

    def _start(self) -> None:
        self._target = b""
        self._headers: dict[str, str] = {}
        self._fields = 0
        self._body: list[bytes] = []
        self._size = 0  # of the body so far
        self._waste = 0  # bytes read without getting on: of an unfinished head, or between pieces of a body

    # What httptools calls. None of these raises: httptools would turn it into a parse error.

    def on_message_begin(self) -> None:
        self.messages += 1
        self._got_on = self.in_head = True
        self._start()

    def on_url(self, part: bytes) -> None:
        self._target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields += 1
        if self._fields > self._limits.headers:
            self._refuse(431, "too many header fields")
        if self.in_body or self.refusal:
            return  # a trailer says nothing that we want to know
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        if key != "transfer-encoding":  # there anything but the word itself is refused
            text = text.rstrip(" \t")  # no part of a value (RFC 9110, 5.5)
        if key not in self._headers:
            self._headers[key] = text
        elif key in _ONCE:
            self._refuse(400, f"more than one {key} header")
        else:
            self._headers[key] += ", " + text

    def on_headers_complete(self) -> None:
        self._method = self._parser.get_method().decode("latin-1")
        self._version = self._parser.get_http_version()
        self._keep_alive = self._parser.should_keep_alive() and not self._parser.should_upgrade()
        self.in_head, self.in_body, self._got_on = False, True, True
        self._path, _, self._query = self._target.decode("latin-1").partition("?")
        refusal = self._check_head() or self._check_framing()
        if refusal:
            self._refuse(refusal.status, refusal.reason)

    def on_body(self, part: bytes) -> None:
        self._got_on = True
        self.wants_continue = False
        if self.refusal is None:
            self._body.append(part)
            self._size += len(part)
            if self._size > self._max_body:
                self._refuse(413, "request body too large")

    def on_message_complete(self) -> None:
        self.in_body = self.wants_continue = False
        if self.refusal or self.finished:
            return
        self.finished = not self._keep_alive
        self._requests.append(
            Request(
                method=self._method,
                path=self._path,
                query=self._query,
                headers=self._headers,
                body=b"".join(self._body),
                client=self._client,
                keep_alive=self._keep_alive,
                http11=self._version == "1.1",
            )
        )

    # Our own rules, on top of the strict ones of httptools.

    def _refuse(self, status: int, reason: str) -> None:
        if self.refusal is None:
            self.refusal = Refusal(status, reason)

    def _check_waste(self) -> None:
        if self.in_body and self._waste > self._limits.head_bytes:
            self._refuse(400, "endless chunk extension or trailer")
        elif len(self._target) > self._limits.target_bytes:
            self._refuse(414, "request target too long")
        elif self._waste > self._limits.head_bytes:
            self._refuse(431, "request head too large")

    def _check_head(self) -> Refusal | None:
        if self._version not in ("1.1", "1.0"):
            return Refusal(505, "HTTP/1.1 is spoken here")
        if self._method == "CONNECT" or self._target.startswith(b"http"):
            return Refusal(405, "this is not a forward proxy; put its address into GOPROXY")
        if len(self._target) > self._limits.target_bytes:
            return Refusal(414, "request target too long")
        if not is_target(self._target):
            return Refusal(400, "malformed request target")
        if self._version == "1.1" and not self._headers.get("host"):
            return Refusal(400, "a Host header is required")
        return None

    def _check_framing(self) -> Refusal | None:
        coding, length = self._headers.get("transfer-encoding"), self._headers.get("content-length")
        expect = self._headers.get("expect", "").lower()
        if coding is not None and (coding.lower() != "chunked" or length is not None or self._version == "1.0"):
            return Refusal(400, "transfer encoding not understood")
        has_body = coding is not None or (length is not None and int(length) > 0)
        if has_body and self._parser.should_upgrade():
            return Refusal(400, "an upgrade with a body")
        if expect not in ("", "100-continue"):
            return Refusal(417, "expectation not understood")
        self._max_body = self._body_limit(self._method, self._path, self._headers) if has_body else 0
        if has_body and (self._max_body <= 0 or int(length or 0) > self._max_body):
            return Refusal(413, "request body too large" if self._max_body else "no request body is taken here")
        self.wants_continue = has_body and bool(expect) and self._version == "1.1"
        return None
