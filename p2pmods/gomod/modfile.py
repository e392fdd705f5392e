"""A light go.mod reader: what a main module or a dependency asks for (the reading part of x/mod/modfile.ParseLax).

As tolerant as go is with a dependency's go.mod: directives that it does not know are passed over. Unlike it, this
reads `toolchain` and `replace` too, where they are well formed.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from p2pmods.errors import InvalidPath, InvalidVersion, MalformedData, printable
from p2pmods.gomod.modtokens import Statement, read_statements, unquote
from p2pmods.gomod.module import ModuleVersion
from p2pmods.gomod.paths import canonical_version, check_path_major, split_path_version
from p2pmods.gomod.semver import compare

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_GO_MOD: Final = 16 << 20  # x/mod/zip.MaxGoMod

_GO: Final = re.compile(r"[1-9][0-9]*\.(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))?(?:[a-z]+[0-9]+)?")
_LAX_GO: Final = re.compile(r"v?([1-9][0-9]*\.(?:0|[1-9][0-9]*))[^0-9].*")
_TOOLCHAIN: Final = re.compile(r"default|go1(?:\..*)?")
_DIRECTORY: Final = re.compile(r"\.{1,2}(?:[/\\]|\Z)|[/\\]|[A-Za-z]:")


@dataclass(frozen=True, slots=True)
class Replace:
    """`old_version` is None when every version is replaced, `new_version` when `new_path` is a directory."""

    old_path: str
    old_version: str | None
    new_path: str
    new_version: str | None

    @property
    def is_local(self) -> bool:
        """Whether the replacement is a directory, so that no proxy is asked for the module."""
        return self.new_version is None


@dataclass(frozen=True, slots=True)
class Interval:
    """Versions from `low` to `high`, both among them."""

    low: str
    high: str

    def __contains__(self, version: str) -> bool:
        return compare(self.low, version) <= 0 and compare(version, self.high) <= 0


@dataclass(frozen=True, slots=True)
class ModFile:
    """`nameless` are the (path, version) of requirements that no proxy can serve, so that a replace must.

    `module_path` is "" and `go` and `toolchain` are None where the file does not say. `retracts` counts only in the
    highest version of a module.
    """

    module_path: str
    go: str | None
    toolchain: str | None
    requires: tuple[ModuleVersion, ...]
    nameless: tuple[tuple[str, str], ...]
    replaces: tuple[Replace, ...]
    retracts: tuple[Interval, ...]

    def replacement(self, module: ModuleVersion) -> Replace | None:
        """What go uses instead of `module`: a replace of its version goes before one of all versions."""
        found = {item.old_version: item for item in self.replaces if item.old_path == module.path}
        return found.get(module.version) or found.get(None)


def parse_go_mod(data: bytes) -> ModFile:
    """Read a go.mod. Raises MalformedData naming the line, where go would refuse a dependency's go.mod."""
    if len(data) > MAX_GO_MOD:
        raise MalformedData("go.mod", f"{len(data)} bytes, more than {MAX_GO_MOD}")
    reader = _Reader()
    for statement in read_statements(data.decode("utf-8", "replace")):
        try:
            reader.read(statement)
        except (MalformedData, InvalidPath, InvalidVersion) as error:
            raise MalformedData("go.mod", f"line {statement.line}: {error}") from error
    return ModFile(
        reader.module_path or "",
        reader.go,
        reader.toolchain,
        tuple(reader.requires),
        tuple(reader.nameless),
        tuple(reader.replaces),
        tuple(reader.retracts),
    )


@dataclass(slots=True)
class _Reader:
    """Gathers the statements of one file."""

    module_path: str | None = None
    go: str | None = None
    toolchain: str | None = None
    requires: list[ModuleVersion] = field(default_factory=list)
    nameless: list[tuple[str, str]] = field(default_factory=list)
    replaces: list[Replace] = field(default_factory=list)
    retracts: list[Interval] = field(default_factory=list)

    def read(self, statement: Statement) -> None:
        match statement.verb:
            case "module":
                self._read_module(statement.arguments)
            case "go" if not statement.in_block:
                self._read_go(statement.arguments)
            case "toolchain" if not statement.in_block:
                self._read_toolchain(statement.arguments)
            case "require":
                self._read_require(statement.arguments)
            case "replace":
                self._read_replace(statement.arguments)
            case "retract":
                self._read_retract(statement.arguments)

    def _read_module(self, arguments: Sequence[str]) -> None:
        if self.module_path is not None or len(arguments) != 1:
            raise MalformedData("module", "repeated, or not one path")
        self.module_path = unquote(arguments[0])

    def _read_go(self, arguments: Sequence[str]) -> None:
        if self.go is not None or len(arguments) != 1:
            raise MalformedData("go", "repeated, or not one version")
        if _GO.fullmatch(arguments[0]):
            self.go = arguments[0]
        elif lax := _LAX_GO.fullmatch(arguments[0]):
            self.go = lax[1]
        else:
            raise MalformedData("go", f"version {printable(arguments[0], 40)!r} must be like 1.23.0")

    def _read_toolchain(self, arguments: Sequence[str]) -> None:
        if self.toolchain is None and len(arguments) == 1 and _TOOLCHAIN.fullmatch(arguments[0]):
            self.toolchain = arguments[0]

    def _read_require(self, arguments: Sequence[str]) -> None:
        if len(arguments) != 2:
            raise MalformedData("require", "must be: require module/path v1.2.3")
        path, version = unquote(arguments[0]), _version(arguments)
        if split_path_version(path) is None:
            raise InvalidPath(path, "invalid version")
        check_path_major(path, version)
        try:
            self.requires.append(ModuleVersion(path, version))
        except InvalidPath:
            self.nameless.append((path, version))

    def _read_replace(self, arguments: Sequence[str]) -> None:
        with contextlib.suppress(MalformedData, InvalidVersion):  # go reads none of these of a dependency
            self.replaces.append(_replace(arguments))

    def _read_retract(self, arguments: Sequence[str]) -> None:
        match arguments:
            case ["[", low, ",", high, "]", *_]:
                self._retract(low, high)
            case [version, *_] if version != "[":
                self._retract(version, version)

    def _retract(self, low: str, high: str) -> None:
        with contextlib.suppress(MalformedData):  # go minds it in a main module only
            self.retracts.append(Interval(unquote(low), unquote(high)))


def _version(arguments: Sequence[str]) -> str:
    version = canonical_version(text := unquote(arguments[1]))
    if not version:
        raise InvalidVersion(unquote(arguments[0]), text, "must be of the form v1.2.3")
    return version


def _replace(arguments: Sequence[str]) -> Replace:
    arrow = arguments.index("=>") if "=>" in arguments[1:3] else 0
    old, new = arguments[:arrow], arguments[arrow + 1 :]
    if not arrow or len(new) not in (1, 2):
        raise MalformedData("replace", "must be: replace module/path [v1.2.3] => other/module v1.4")
    path, directory = unquote(new[0]), len(new) == 1
    if directory != bool(_DIRECTORY.match(path)):
        raise MalformedData("replace", "a directory has no version, a module must have one")
    old_version = _version(old) if len(old) == 2 else None
    return Replace(unquote(old[0]), old_version, path, None if directory else _version(new))
