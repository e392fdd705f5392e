"""Ready-made answers to plain GETs, without parsing the same headers over and over. No I/O.

A client's headers do not change from request to request. Once a whole request of a connection was parsed, found plain
and admitted, its header block is remembered; one that is the same to the byte means the same. Only its target is new,
and `fast` knows a target or does not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from p2pmods.httpd.message import Request

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


class Shortcut:
    """The memory of one connection. Its caller asks only between two requests."""

    __slots__ = ("_fast", "_tail")

    def __init__(self, fast: Fast | None) -> None:
        self._fast = fast
        self._tail = b""

    def learn(self, data: bytes) -> None:
        """`data` was one whole plain and admitted request, and nothing else."""
        line, end, tail = data.partition(_LINE_END)
        if line.startswith(b"GET ") and b"\n" not in line and end and len(tail) <= _LONGEST_TAIL:
            self._tail = tail

    def answer(self, data: bytes) -> tuple[list[bytes], bytes]:
        """The answers to the leading requests of `data` that `fast` knows, and what is left of `data`."""
        fast, tail = self._fast, self._tail
        answers: list[bytes] = []
        if fast is None or not tail:
            return answers, data
        start = total = 0
        while total < _LONGEST_WRITE and data.startswith(b"GET ", start):
            end = data.find(_LINE_END, start)
            after = end + len(_LINE_END)
            if end < 0 or not data.startswith(tail, after):
                break
            known = fast(data[start + 4 : end])
            if known is None:
                break
            answers.append(known)
            total += len(known)
            start = after + len(tail)
        return answers, data[start:]
