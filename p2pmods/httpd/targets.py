"""Request paths: percent-decoding, exactly once."""

from __future__ import annotations

import re

from p2pmods.errors import MalformedData

_PERCENT = re.compile(r"%(.{0,2})", re.DOTALL)
_HEX = re.compile(r"[0-9A-Fa-f]{2}\Z")


def decode_path(path: str) -> str:
    """`path` as sent, percent-decoded exactly once; `+` stays. Raises MalformedData.

    An encoded slash is refused, because it would move a border between segments; so is anything that no path has:
    a control character, a `%` without two hex digits, bytes that are not UTF-8.
    """
    if "%" not in path:
        return path
    if any(not _HEX.match(digits) for digits in _PERCENT.findall(path)):
        raise MalformedData("request path", "a % without two hex digits")
    try:
        raw = _PERCENT.sub(lambda match: chr(int(match[1], 16)), path).encode("latin-1")
        decoded = raw.decode("utf-8")
    except UnicodeError:
        raise MalformedData("request path", "not UTF-8") from None
    if raw.count(b"/") != path.count("/"):
        raise MalformedData("request path", "an encoded slash")
    if any(ord(c) < 0x20 or ord(c) == 0x7F for c in decoded):
        raise MalformedData("request path", "a control character")
    return decoded
