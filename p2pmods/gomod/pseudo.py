"""Pseudo-versions: names for untagged commits that carry the commit's time and hash (module.PseudoVersion…).

vX.0.0-yyyymmddhhmmss-abcdef123456                      no tag before the commit
vX.Y.(Z+1)-0.yyyymmddhhmmss-abcdef123456                after the tag vX.Y.Z
vX.Y.Z-pre.0.yyyymmddhhmmss-abcdef123456                after the tag vX.Y.Z-pre
The last two may end in `+incompatible`, as their tag does.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final, NamedTuple

from p2pmods.errors import InvalidVersion
from p2pmods.gomod import semver

_PSEUDO: Final = re.compile(
    r"(?P<base>v[0-9]+\.(?:0\.0|[0-9]+\.[0-9]+-(?:[^+]*\.)?0(?=\.)))[-.]"
    r"(?P<time>[0-9]{14})-(?P<rev>[A-Za-z0-9]+)(?P<build>\+.*)?"
)


class _Parts(NamedTuple):
    base: str
    time: str
    rev: str
    build: str


def is_pseudo_version(version: str) -> bool:
    """Whether it has the form of a pseudo-version. Its time may still be no date."""
    return _split(version) is not None


def pseudo_version_time(version: str) -> datetime:
    """When its commit was made (UTC, whole seconds). Raises InvalidVersion: none, or no date that exists."""
    digits = _parts(version).time
    try:
        return datetime.strptime(digits, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError as error:
        raise InvalidVersion("", version, f"malformed time {digits!r}") from error


def pseudo_version_rev(version: str) -> str:
    """The commit's name, usually 12 hex digits of its hash. Raises InvalidVersion when it is no pseudo-version."""
    return _parts(version).rev


def pseudo_version_base(version: str) -> str:
    """The tag that it comes after, "" when none. Raises InvalidVersion for forms that make no sense."""
    base, _, _, build = _parts(version)
    suffix = semver.prerelease(base)
    if not suffix:
        if build:
            raise InvalidVersion("", version, f"lacks base version, but has build metadata {build!r}")
        return ""
    if suffix != "-0":
        return base.removesuffix(".0") + build
    stem, _, patch = base.removesuffix("-0").rpartition(".")
    if patch == "0":
        raise InvalidVersion("", version, "would come after a negative patch number")
    return f"{stem}.{_decrement(patch)}{build}"


def _decrement(number: str) -> str:
    """One less, as text: the length of a version's numbers is not bounded, that of Python's int() is."""
    head = number.rstrip("0")
    nines = "9" * (len(number) - len(head))
    return (head[:-1] + str(int(head[-1]) - 1)).removeprefix("0" if head == "1" and nines else "") + nines


def _parts(version: str) -> _Parts:
    parts = _split(version)
    if parts is None:
        raise InvalidVersion("", version, "not a pseudo-version")
    return parts


def _split(version: str) -> _Parts | None:
    found = _PSEUDO.fullmatch(version) if semver.is_valid(version) else None
    if found is None:
        return None
    return _Parts(found["base"], found["time"], found["rev"], found["build"] or "")
