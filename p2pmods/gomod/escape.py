"""The `!x` escaping of uppercase letters in URLs and file names of the module proxy protocol."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from p2pmods.errors import InvalidPath, InvalidVersion
from p2pmods.gomod.paths import check_file_element, check_path

_UPPER: Final = re.compile(r"[A-Z]")
_ESCAPED: Final = re.compile(r"(?:[^!A-Z\u0080-\U0010ffff]|![a-z])*")
_BANG: Final = re.compile(r"!([a-z])")


@lru_cache(512)
def escape_path(path: str) -> str:
    """`github.com/!azure/x` of `github.com/Azure/x`. Raises InvalidPath when it is no module path."""
    check_path(path)
    return _escape(path)


def unescape_path(escaped: str) -> str:
    """The inverse of `escape_path`. Raises InvalidPath when it is not escaped well, or no module path."""
    if not _ESCAPED.fullmatch(escaped):
        raise InvalidPath(escaped, "invalid escaped module path")
    path = _unescape(escaped)
    check_path(path)
    return path


@lru_cache(512)
def escape_version(version: str) -> str:
    """`v1.0.0-!r!c1` of `v1.0.0-RC1`; a branch name or hash will do too. Raises InvalidVersion."""
    if "!" in version or not version.isascii():
        raise InvalidVersion("", version, "disallowed version string")
    _check_version_element(version)
    return _escape(version)


def unescape_version(escaped: str) -> str:
    """The inverse of `escape_version`. Raises InvalidVersion when it is not escaped well, or no file name."""
    if not _ESCAPED.fullmatch(escaped):
        raise InvalidVersion("", escaped, "invalid escaped version")
    version = _unescape(escaped)
    _check_version_element(version)
    return version


def _check_version_element(version: str) -> None:
    try:
        check_file_element(version)
    except InvalidPath as error:
        raise InvalidVersion("", version, error.reason) from error


def _escape(text: str) -> str:
    return _UPPER.sub(lambda found: "!" + found[0].lower(), text)


def _unescape(text: str) -> str:
    return _BANG.sub(lambda found: found[1].upper(), text)
