"""HEAD, Range, If-Range and If-None-Match decided from headers alone (RFC 9110 sections 13 and 14)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from p2pmods.httpd.message import Headers

_RANGE = re.compile(r"bytes=[ \t]*(\d{0,18})-(\d{0,18})[ \t]*\Z", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Part:
    """What to send of a body of known size: `length` bytes from `offset`, under `status`."""

    status: int
    offset: int
    length: int
    headers: tuple[tuple[str, str], ...] = ()


def choose_part(headers: Headers, etag: str, size: int) -> Part:
    """The part of a 200 of `size` bytes that a GET or HEAD with these headers gets."""
    if is_unmodified(headers.get("if-none-match"), etag):
        return Part(304, 0, 0)
    whole = Part(200, 0, size, (("Accept-Ranges", "bytes"),))
    asked = headers.get("range")
    if asked is None or not _may_range(headers.get("if-range"), etag):
        return whole
    match = _RANGE.match(asked)
    if match is None or match[1] == match[2] == "":
        return whole  # another unit, several ranges or nonsense: a server may ignore the field
    span = _span(match[1], match[2], size)
    if span is None:
        return (
            whole if _is_backwards(match[1], match[2]) else Part(416, 0, 0, (("Content-Range", f"bytes */{size}"),))
        )
    first, last = span
    fields = (("Accept-Ranges", "bytes"), ("Content-Range", f"bytes {first}-{last}/{size}"))
    return Part(206, first, last - first + 1, fields)


def is_unmodified(if_none_match: str | None, etag: str) -> bool:
    """Whether the client already holds what `etag` names; weak comparison."""
    if if_none_match is None:
        return False
    ours = etag.removeprefix("W/")
    return any(tag.strip() == "*" or tag.strip().removeprefix("W/") == ours for tag in if_none_match.split(","))


def _may_range(if_range: str | None, etag: str) -> bool:
    # Strong comparison; a date never matches, because answers carry no Last-Modified.
    return if_range is None or (if_range.strip() == etag and not etag.startswith("W/"))


def _is_backwards(first: str, last: str) -> bool:
    return bool(first) and bool(last) and int(last) < int(first)


def _span(first: str, last: str, size: int) -> tuple[int, int] | None:
    """First and last byte, or None when nothing of the body is in the range."""
    if not first:
        wanted = min(int(last), size)
        return (size - wanted, size - 1) if wanted else None
    start, end = int(first), min(int(last), size - 1) if last else size - 1
    return (start, end) if start <= end else None
