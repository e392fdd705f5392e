"""What a request path asks for: the URL space of the Go module proxy protocol, parsed strictly.

Paths arrive percent-decoded exactly once. The module path and version in them are *escaped* (`!a` for `A`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from p2pmods.errors import InvalidPath, InvalidVersion, P2pmodsError, printable
from p2pmods.gomod.escape import unescape_path, unescape_version
from p2pmods.gomod.module import FileKey, FileKind, ModuleVersion

CACHED_ONLY: Final = "cached-only"  # `/cached-only/…`: answer from what is held
_KINDS: Final = {kind.value: kind for kind in FileKind}


class BadRoute(P2pmodsError):
    """The path is no request of the protocol; the text says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class FileRoute:
    """One immutable file."""

    key: FileKey


@dataclass(frozen=True, slots=True)
class ListRoute:
    """`@v/list` of a module path."""

    path: str


@dataclass(frozen=True, slots=True)
class QueryRoute:
    """`@latest` (query None), or `@v/<query>.info` of a branch, tag or commit hash that is no canonical version."""

    path: str
    query: str | None


@dataclass(frozen=True, slots=True)
class SumdbRoute:
    """`/sumdb/<name>/<endpoint>` of a checksum database."""

    name: str
    endpoint: str


@dataclass(frozen=True, slots=True)
class NodeRoute:
    """`/-/<rest>`: the node's own pages and its control API."""

    rest: str


Route = FileRoute | ListRoute | QueryRoute | SumdbRoute | NodeRoute


def parse_route(path: str) -> tuple[Route, bool]:
    """The route, and whether `/cached-only/` stood before it. Raises BadRoute."""
    rest = path.removeprefix("/")
    if rest == "-" or rest.startswith("-/"):
        return NodeRoute(rest[2:]), False
    only_held = rest.startswith(CACHED_ONLY + "/")
    if only_held:
        rest = rest[len(CACHED_ONLY) + 1 :]
    if rest.startswith("sumdb/"):
        name, _, endpoint = rest[len("sumdb/") :].partition("/")
        return SumdbRoute(name, endpoint), only_held
    try:
        return _module_route(rest), only_held
    except (InvalidPath, InvalidVersion) as error:
        raise BadRoute(f"not found: {error}") from error


def _module_route(rest: str) -> Route:
    if rest.endswith("/@latest"):
        return QueryRoute(unescape_path(rest.removesuffix("/@latest")), None)
    escaped_path, found, name = rest.rpartition("/@v/")
    if not found or "/" in name:
        raise BadRoute(f"not found: /{printable(rest)} is no path of the module proxy protocol")
    path = unescape_path(escaped_path)
    if name == "list":
        return ListRoute(path)
    escaped_version, _, ending = name.rpartition(".")
    kind = _KINDS.get(ending)
    if kind is None or not escaped_version:
        raise BadRoute(f"not found: {printable(name)} is none of list, VERSION.info, VERSION.mod and VERSION.zip")
    version = unescape_version(escaped_version)
    try:
        return FileRoute(FileKey(ModuleVersion(path, version), kind))
    except InvalidVersion:
        if kind is FileKind.INFO:
            return QueryRoute(path, version)
        raise
