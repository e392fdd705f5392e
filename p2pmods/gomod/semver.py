"""Semantic versions as golang.org/x/mod/semver reads them: a `v` in front, and `v1`, `v1.2` as shorthands."""

from __future__ import annotations

import re
from typing import Final, TypeAlias

# A numeric identifier has no leading zero; one with a letter or hyphen may begin with any digit.
_NUMBER: Final = r"(?:0|[1-9][0-9]*)"
_IDENTIFIER: Final = rf"(?:[0-9]*[A-Za-z-][0-9A-Za-z-]*|{_NUMBER})"
_VERSION: Final = re.compile(
    rf"v(?P<major>{_NUMBER})"
    rf"(?:\.(?P<minor>{_NUMBER})"
    rf"(?:\.(?P<patch>{_NUMBER})"
    rf"(?P<prerelease>-{_IDENTIFIER}(?:\.{_IDENTIFIER})*)?"
    r"(?P<build>\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
    r")?)?"
)

_Part: TypeAlias = tuple[int, int, str]  # (0, digits, number) or (1, 0, text): numbers sort below text
SortKey: TypeAlias = tuple[int, tuple[_Part, ...], int, tuple[_Part, ...]]
_INVALID: Final[SortKey] = (0, (), 0, ())


def is_valid(version: str) -> bool:
    """Whether it is a semantic version, a shorthand included."""
    return _VERSION.fullmatch(version) is not None


def canonical(version: str) -> str:
    """With `.MINOR` and `.PATCH` filled in and the build suffix dropped; "" when invalid."""
    found = _VERSION.fullmatch(version)
    if found is None:
        return ""
    return f"v{found['major']}.{found['minor'] or 0}.{found['patch'] or 0}{found['prerelease'] or ''}"


def major(version: str) -> str:
    """`v2` of `v2.1.0`; "" when invalid."""
    found = _VERSION.fullmatch(version)
    return f"v{found['major']}" if found else ""


def major_minor(version: str) -> str:
    """`v2.1` of `v2.1.0`; "" when invalid."""
    found = _VERSION.fullmatch(version)
    return f"v{found['major']}.{found['minor'] or 0}" if found else ""


def prerelease(version: str) -> str:
    """`-pre` of `v2.1.0-pre+meta`; "" when there is none."""
    found = _VERSION.fullmatch(version)
    return (found["prerelease"] or "") if found else ""


def build(version: str) -> str:
    """`+meta` of `v2.1.0-pre+meta`; "" when there is none."""
    found = _VERSION.fullmatch(version)
    return (found["build"] or "") if found else ""


def compare(a: str, b: str) -> int:
    """-1, 0 or 1 by precedence. All invalid versions are equal, and below every valid one; builds do not count."""
    key_a, key_b = sort_key(a), sort_key(b)
    return (key_a > key_b) - (key_a < key_b)


def sort_key(version: str) -> SortKey:
    """A key that sorts as `compare` does. Numbers are compared as text, so none is too long."""
    found = _VERSION.fullmatch(version)
    if found is None:
        return _INVALID
    numbers = tuple(_part(found[name] or "0") for name in ("major", "minor", "patch"))
    suffix = found["prerelease"]
    if suffix is None:
        return (1, numbers, 1, ())  # a release is above all of its pre-releases
    return (1, numbers, 0, tuple(_part(part) for part in suffix[1:].split(".")))


def _part(text: str) -> _Part:
    return (0, len(text), text) if text.isdigit() else (1, 0, text)
