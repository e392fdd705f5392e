"""What an upstream's answer means: found, not found, refused, come again, or nonsense."""

from __future__ import annotations

import http
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from p2pmods.errors import printable
from p2pmods.upstream.failure import (
    CaptivePortal,
    UpstreamFailed,
    UpstreamNotFound,
    UpstreamRefused,
    UpstreamUnavailable,
)
from p2pmods.upstream.limits import Want

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MAX_ERROR_BODY: Final = 4 << 10  # read of an error's body
MAX_DETAIL: Final = 648  # shown of it: as much as the go command would show
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_TRANSIENT: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_REFUSALS: Final = frozenset({401, 403, 451})
_WEB_PAGE: Final = "answered 200 with a web page: captive portal or login page?"


class TryAgain(Exception):  # an order to the retry loop
    """A failure that may pass. `attempts`: how many of this kind are worth making; `delay`: what was asked for."""

    def __init__(self, error: UpstreamFailed, *, attempts: int = 1 << 30, delay: float = 0.0) -> None:
        super().__init__(str(error))
        self.error = error
        self.attempts = attempts
        self.delay = delay


@dataclass(frozen=True, slots=True)
class Head:
    """Status and headers (lower-case names, the last of equals) of an answer."""

    status: int
    headers: Mapping[str, str]

    @classmethod
    def parse(cls, status: int, headers: Iterable[tuple[bytes, bytes]]) -> Head:
        return cls(status, {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers})

    @property
    def length(self) -> int | None:
        """Content-Length; httptools has refused what is no number."""
        value = self.headers.get("content-length", "")
        return int(value) if value.isascii() and value.isdigit() else None


def raise_for_status(
    source: str, head: Head, body: bytes, *, retry_after_limit: float, had_credentials: bool
) -> None:
    """Raise what a status other than 200 and 206 stands for. `body` is the beginning of the answer's."""
    status = head.status
    if status in (200, 206):
        return
    reason = f"{status} {_phrase(status)}"
    if detail := error_detail(head.headers.get("content-type", ""), body):
        reason = f"{reason}: {detail}"
    if status in (404, 410):
        raise UpstreamNotFound(source, reason, status=status)
    if status == 401:
        whose = "the credentials given were not accepted" if had_credentials else "it wants credentials (netrc)"
        raise UpstreamRefused(source, f"{reason}; {whose}", status=status)
    if status == http.HTTPStatus.NETWORK_AUTHENTICATION_REQUIRED:
        raise CaptivePortal(source, reason, status=status)
    if status in _REFUSALS:
        raise UpstreamRefused(source, reason, status=status)
    error = UpstreamUnavailable(source, reason, status=status)
    delay = _retry_after(head)
    if status in _TRANSIENT and delay <= retry_after_limit:
        raise TryAgain(error, delay=delay)
    raise error


def _phrase(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return "unknown status"


def _retry_after(head: Head) -> float:
    """Seconds; a date, or nothing, counts as no wish."""
    value = head.headers.get("retry-after", "").strip()
    return float(value) if value.isascii() and value.isdigit() and len(value) < 10 else 0.0


def error_detail(content_type: str, body: bytes) -> str:
    """The reason in a `text/plain` error body, on one line: up to its first blank line, as go shows it."""
    media_type, _, parameters = content_type.lower().partition(";")
    charset = parameters.partition("charset=")[2].strip(' "')
    if media_type.strip() != "text/plain" or charset not in ("", "utf-8", "us-ascii"):
        return ""
    text = body.decode("utf-8", "replace").replace("\r\n", "\n").partition("\n\n")[0]
    lines = [line.strip() for line in text.split("\n")[:8]]
    return printable("; ".join(line for line in lines if line), MAX_DETAIL)


def check_start(source: str, want: Want, start: bytes) -> None:
    """Raise when a 200's body, of which `start` has come so far, cannot be what was asked for."""
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    # None of the protocol's texts, and no zip, begins with "<"; but the hashes of a tile may.
    if text[:9].lower().startswith((b"<!doctype", b"<html")) or (text.startswith(b"<") and want is not Want.SUMDB):
        raise CaptivePortal(source, _WEB_PAGE, status=200)
    if want is Want.ZIP and not b"PK".startswith(start[:2]):
        raise UpstreamUnavailable(source, "answered 200 with something that is no zip", status=200)
    if want is Want.INFO and text and not text.startswith(b"{"):
        raise UpstreamUnavailable(source, "answered 200 with something that is not JSON", status=200)
