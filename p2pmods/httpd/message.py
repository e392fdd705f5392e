"""Requests and responses as values."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from p2pmods.errors import printable

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

Headers = Mapping[str, str]  # names in lower case; a repeated field is joined by ", "

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_OURS = frozenset({"content-length", "transfer-encoding", "connection"})  # the server alone knows them
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*\Z")  # no CR, LF or NUL: nothing can be injected into a head


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request, complete. `path` and `query` are as sent, still percent-encoded; `path` begins with a slash."""

    method: str
    path: str
    query: str
    headers: Headers
    body: bytes = b""
    client: str = ""  # the address that it came from
    keep_alive: bool = True
    http11: bool = True

    @property
    def target(self) -> str:
        """Path and query as on the request line."""
        return f"{self.path}?{self.query}" if self.query else self.path


class FileBody:
    """An open file as the body of a response. It owns the descriptor and closes it, sent or not.

    `size` is what Content-Length will say; a file that turns out shorter ends the connection.
    """

    __slots__ = ("_fd", "size")

    def __init__(self, fd: int, size: int) -> None:
        self._fd = fd
        self.size = size

    @classmethod
    def open(cls, path: Path) -> Self:
        """Raises OSError."""
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0))
        try:
            return cls(fd, os.fstat(fd).st_size)
        except BaseException:
            os.close(fd)
            raise

    @property
    def fd(self) -> int:
        """Raises ValueError once closed."""
        if self._fd < 0:
            raise ValueError("the file of this body is closed")
        return self._fd

    def close(self) -> None:
        """Any number of times."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            with contextlib.suppress(OSError):
                os.close(fd)

    def __del__(self) -> None:
        self.close()


Body = bytes | FileBody | AsyncIterator[bytes] | None


@lru_cache(4096)  # nearly all answers carry the same few
def _is_sendable(name: str, value: str) -> bool:
    return bool(_NAME.match(name) and _VALUE.match(value)) and name.lower() not in _OURS


@dataclass(frozen=True, slots=True)
class Response:
    """A status, headers without Content-Length (the server adds it), and the whole body.

    For a 200 with an ETag the server itself answers HEAD, Range and If-None-Match. An iterator is sent in chunks as
    it yields. Raises ValueError for a header that could break out of its line, or that says where the body ends.
    """

    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: Body = None

    def __post_init__(self) -> None:
        for name, value in self.headers:
            if not _is_sendable(name, value):
                raise ValueError(f"header {printable(name)}: {printable(value)!r} cannot be sent")

    def header(self, name: str) -> str | None:
        """The first value of that field; `name` in lower case."""
        for key, value in self.headers:
            if key.lower() == name:
                return value
        return None

    def close(self) -> None:
        """Gives back the file of a response that is not sent."""
        if isinstance(self.body, FileBody):
            self.body.close()


def text(status: int, message: str, headers: list[tuple[str, str]] | None = None) -> Response:
    """A plain-text answer, one newline at the end: the form that the go command shows to its user."""
    fields = [("Content-Type", "text/plain; charset=utf-8"), *(headers or [])]
    return Response(status, fields, message.rstrip("\n").encode() + b"\n")
