"""The `@v/list` of a module: its versions, one a line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from p2pmods.errors import InvalidPath, InvalidVersion, MalformedData
from p2pmods.gomod import semver
from p2pmods.gomod.fields import fields
from p2pmods.gomod.info import MAX_VERSION, parse_time
from p2pmods.gomod.paths import check_module_version, check_path
from p2pmods.gomod.pseudo import is_pseudo_version, pseudo_version_time

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_LIST: Final = 8 << 20  # some 400,000 versions; the longest public lists have under 20,000
MAX_LINES: Final = 400_000
_MAX_LINE: Final = 2 * MAX_VERSION  # characters read of a line: a version that is cut here is too long by far


class Listed(NamedTuple):
    """One line: a canonical version and the time (RFC 3339) that the proxy stated for it."""

    version: str
    time: str | None


def parse_list(data: bytes, path: str) -> list[Listed]:
    """The versions of module `path` in semver order, each once, pseudo-versions and retracted ones among them.

    Lines that name no canonical version that fits `path`, or one longer than MAX_VERSION, are dropped, as go drops
    what is no version; a time that is not RFC 3339 counts as none. Raises InvalidPath for the path, MalformedData for
    what is no list at all.
    """
    check_path(path)
    if len(data) > MAX_LIST or data.count(b"\n") > MAX_LINES:
        raise MalformedData("list", f"{len(data)} bytes, more than {MAX_LIST}, or more than {MAX_LINES} lines")
    if data.lstrip().startswith(b"<"):
        raise MalformedData("list", "is HTML")  # a login page; as an empty list it would hide every version
    found: dict[str, str | None] = {}
    for line in data.decode("utf-8", "surrogateescape").split("\n"):
        parts = fields(line[:_MAX_LINE])
        if parts and parts[0] not in found and _fits(path, parts[0]):
            found[parts[0]] = _time(parts[1]) if len(parts) > 1 else None
    return [Listed(version, found[version]) for version in in_order(found)]


def format_list(versions: Iterable[str]) -> bytes:
    """The list that we compute: in order, without times, pseudo-versions only when there is no tag."""
    ordered = in_order(set(versions))
    tags = [version for version in ordered if not is_pseudo_version(version)]
    return "".join(f"{version}\n" for version in tags or ordered).encode("ascii")


def latest(versions: Iterable[str]) -> str | None:
    """What `@latest` means: the highest release, else the highest pre-release, else the newest pseudo-version.

    `+incompatible` versions count like others: go leaves them out when the highest compatible one has a go.mod, which
    a caller who knows does before. None when there is no version.
    """
    ordered = in_order(versions)
    tags = [version for version in ordered if not is_pseudo_version(version)]
    releases = [version for version in tags if not semver.prerelease(version)]
    if releases or tags:
        return (releases or tags)[-1]
    dated = [(_pseudo_time(version), version) for version in ordered]
    return max(dated, key=lambda pair: pair[0])[1] if dated else None


def in_order(versions: Iterable[str]) -> list[str]:
    """By precedence and, where that is equal, by text (semver.Sort)."""
    return sorted(versions, key=lambda version: (semver.sort_key(version), version))


def _fits(path: str, version: str) -> bool:
    if len(version) > MAX_VERSION:
        return False
    try:
        check_module_version(path, version)
    except (InvalidPath, InvalidVersion):
        return False
    return True


def _time(text: str) -> str | None:
    try:
        parse_time(text)
    except MalformedData:
        return None
    return text


def _pseudo_time(version: str) -> float:
    try:
        return pseudo_version_time(version).timestamp()
    except InvalidVersion:
        return float("-inf")
