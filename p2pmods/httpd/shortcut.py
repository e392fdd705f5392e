"""Plain GETs without parsing the same headers over and over, and ready-made answers to them. No I/O.

A client's headers do not change from request to request. Once a whole request of a connection was parsed, found plain
and admitted, its header block is remembered; one that is the same to the byte means the same. Only its target is new.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from p2pmods.httpd.message import Request
from p2pmods.httpd.parser import is_target

if TYPE_CHECKING:
    from p2pmods.httpd.message import Headers

Fast = Callable[[bytes], bytes | None]  # target as sent -> a whole keep-alive answer (see render.ready_made)

# Fields with which the answer could be another one, or the message end elsewhere.
_NOT_PLAIN = frozenset({"range", "if-none-match", "upgrade", "expect", "content-length", "transfer-encoding"})
_LINE_END = b" HTTP/1.1\r\n"
_LONGEST_TAIL = 2 << 10
_LONGEST_WRITE = 256 << 10  # of pipelined answers put together


def is_plain(request: Request) -> bool:
    """Whether method and headers allow a ready-made answer."""
    return (
        request.method == "GET" and request.http11 and request.keep_alive and _NOT_PLAIN.isdisjoint(request.headers)
    )


class Taken(NamedTuple):
    """What was understood of the bytes that a read brought."""

    answers: list[bytes]  # to the leading requests
    request: Request | None  # the one after them, which `fast` does not know
    rest: bytes


class Shortcut:
    """The memory of one connection. Its caller asks only between two requests."""

    __slots__ = ("_client", "_fast", "_headers", "_longest", "_tail")

    def __init__(self, fast: Fast | None, longest_target: int, client: str) -> None:
        self._fast = fast
        self._longest = longest_target
        self._client = client
        self._tail = b""
        self._headers: Headers = {}

    def learn(self, data: bytes, headers: Headers) -> None:
        """`data` was one whole plain and admitted request with these headers, and nothing else."""
        line, end, tail = data.partition(_LINE_END)
        if line.startswith(b"GET ") and b"\n" not in line and end and len(tail) <= _LONGEST_TAIL:
            self._tail = tail
            self._headers = headers

    def take(self, data: bytes) -> Taken:
        """Nothing is taken of what needs the parser."""
        fast, tail = self._fast, self._tail
        answers: list[bytes] = []
        start = total = 0
        while tail and total < _LONGEST_WRITE and data.startswith(b"GET ", start):
            end = data.find(_LINE_END, start)
            after = end + len(_LINE_END)
            if end < 0 or not data.startswith(tail, after):
                break
            target = data[start + 4 : end]
            known = fast(target) if fast else None
            if known is None:
                request = self._request(target)
                return Taken(answers, request, data[after + len(tail) if request else start :])
            answers.append(known)
            total += len(known)
            start = after + len(tail)
        return Taken(answers, None, data[start:])

    def _request(self, target: bytes) -> Request | None:
        if len(target) > self._longest or not is_target(target):
            return None
        path, _, query = target.decode("ascii").partition("?")
        return Request(method="GET", path=path, query=query, headers=self._headers, client=self._client)
