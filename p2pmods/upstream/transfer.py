"""One body on its way from an upstream into a sink, over as many connections as it takes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from p2pmods.errors import MalformedData
from p2pmods.gomod.info import parse_info
from p2pmods.upstream.answer import Head, TryAgain, check_start
from p2pmods.upstream.failure import UpstreamUnavailable
from p2pmods.upstream.limits import Limits, RateFloor, Want
from p2pmods.upstream.sink import SILENT

if TYPE_CHECKING:
    from p2pmods.upstream.sink import Listener, Sink

_CONTENT_RANGE: Final = re.compile(r"bytes ([0-9]{1,15})-([0-9]{1,15})/([0-9]{1,15})")
_START: Final = 64  # bytes looked at to see what a body is


class Transfer:
    """Bounds, exact length and resumption of one file. Knows nothing of connections; `now` is any monotonic clock.

    `source` is who is blamed. For every answer: `begin`, `receive` for each piece, `finish`; they raise TryAgain or
    an UpstreamFailed.
    """

    def __init__(self, source: str, want: Want, sink: Sink, limits: Limits, listener: Listener = SILENT) -> None:
        self.source = source
        self._want = want
        self._sink = sink
        self._limits = limits
        self._listener = listener
        self._start = bytearray()
        self._total: int | None = None
        self._validator: str | None = None
        self._floor = RateFloor(limits, now=0.0)

    def limited(self) -> None:
        """The upstream wants a pause, and gets it."""
        self._listener.limited()

    def request_headers(self) -> list[tuple[bytes, bytes]]:
        """Ask for the rest when a part is there and is known to belong to a file of a stated length."""
        if self._want is not Want.ZIP or not self._sink.size or self._total is None:
            return []
        headers = [(b"Range", b"bytes=%d-" % self._sink.size)]
        if self._validator is not None:
            headers.append((b"If-Range", self._validator.encode("latin-1")))
        return headers

    def begin(self, head: Head, *, now: float) -> None:
        """Take the head of a 200 or 206."""
        self._floor = RateFloor(self._limits, now=now)
        if head.headers.get("content-encoding", "identity") not in ("", "identity"):
            raise UpstreamUnavailable(self.source, "sends a compressed answer that was not asked for", status=200)
        if head.status == 206:
            self._resume(head)
        else:
            self._restart()
            self._total = head.length
            self._validator = _validator(head)
        if (self._total or 0) > self._want.cap:
            raise self._too_large(f"{self._total} bytes")
        self._listener.expects(self._total)

    def _resume(self, head: Head) -> None:
        found = _CONTENT_RANGE.fullmatch(head.headers.get("content-range", ""))
        first, _, total = map(int, found.groups()) if found else (-1, -1, -1)
        if not self._sink.size or first != self._sink.size or total != self._total:
            self._restart()
            raise TryAgain(
                UpstreamUnavailable(self.source, "resumes with another part than was asked for", status=206)
            )

    def _restart(self) -> None:
        self._total = None
        self._start.clear()
        self._sink.restart()

    def refuse_range(self) -> None:
        """The server cannot give the rest (416): begin again."""
        self._restart()
        raise TryAgain(UpstreamUnavailable(self.source, "cannot resume", status=416))

    def receive(self, data: bytes, *, sharers: int, now: float) -> None:
        """Take one piece of a body; `sharers` bodies are under way at once."""
        if len(self._start) < _START or self._want is Want.INFO:
            self._start += data if self._want is Want.INFO else data[:_START]
            check_start(self.source, self._want, bytes(self._start[:_START]))
        size = self._sink.size + len(data)
        if size > self._want.cap:
            raise self._too_large("endless")
        if self._total is not None and size > self._total:
            raise self._wrong_length(size)
        self._sink.write(data)
        if not self._floor.receive(len(data), sharers=sharers, now=now):
            floor = self._limits.floor >> 10
            raise TryAgain(UpstreamUnavailable(self.source, f"slower than {floor} KiB/s, given up"), attempts=2)

    def finish(self) -> None:
        """The body ended."""
        if self._total is not None and self._sink.size != self._total:
            raise self._wrong_length(self._sink.size)
        if self._want is Want.ZIP and self._sink.size < 4:
            raise UpstreamUnavailable(self.source, "answered 200 with something that is no zip", status=200)
        if self._want is Want.INFO:
            try:
                parse_info(bytes(self._start))
            except MalformedData as error:
                raise UpstreamUnavailable(self.source, f"answered 200 with a {error}", status=200) from error

    def _wrong_length(self, size: int) -> TryAgain:
        return TryAgain(UpstreamUnavailable(self.source, f"sent {size} bytes of {self._total}"))

    def _too_large(self, size: str) -> UpstreamUnavailable:
        what, most = self._want.value
        return UpstreamUnavailable(self.source, f"a {what} may have {most} bytes, this one is {size}", status=200)


def _validator(head: Head) -> str | None:
    """What If-Range may carry: a strong ETag or a date (RFC 9110, 13.1.5)."""
    etag = head.headers.get("etag", "")
    if etag.startswith('"'):
        return etag
    return head.headers.get("last-modified")
