"""Responses to bytes."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from p2pmods.httpd.message import Response

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
NO_BODY = frozenset({204, 304})  # such an answer never has a body, nor a Content-Length

_STATUS_LINES = {int(status): f"HTTP/1.1 {int(status)} {status.phrase}\r\n" for status in HTTPStatus}


def head(status: int, headers: Iterable[tuple[str, str]], length: int | None) -> bytes:
    """Status line and headers with the blank line. `length` None: no Content-Length."""
    lines = [_STATUS_LINES.get(status) or f"HTTP/1.1 {status} \r\n"]
    lines += [f"{name}: {value}\r\n" for name, value in headers]
    lines.append("\r\n" if length is None else f"Content-Length: {length}\r\n\r\n")
    return "".join(lines).encode("latin-1")


def ready_made(response: Response) -> bytes:
    """A whole keep-alive answer to a GET as one piece of bytes, for the `fast` hook. Its body is bytes or None."""
    body = response.body
    if body is not None and not isinstance(body, bytes):
        raise TypeError("only a body of bytes can be made ready")
    content = body or b""
    headers = list(response.headers)
    if response.status == 200 and response.header("etag") is not None:
        headers.append(("Accept-Ranges", "bytes"))
    return head(response.status, headers, None if response.status in NO_BODY else len(content)) + content


def last_words(status: int, reason: str) -> bytes:
    """A whole plain-text answer after which the connection closes."""
    body = reason.encode() + b"\n"
    fields = (("Content-Type", "text/plain; charset=utf-8"), ("Connection", "close"))
    return head(status, fields, len(body)) + body
