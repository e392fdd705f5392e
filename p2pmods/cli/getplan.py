"""What `p2pmods get` has to ask the node for: targets as a person types them, as a list of files and queries."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from p2pmods.cli.gofiles import find_go_files, load_go_mod, load_go_sum, read_sums
from p2pmods.cli.needs import required_by_all, required_modules, toolchain_of
from p2pmods.errors import InvalidPath, InvalidVersion, UsageError, UserError, printable
from p2pmods.gomod.escape import escape_path, escape_version
from p2pmods.gomod.module import FileKey, FileKind, ModuleVersion
from p2pmods.gomod.paths import check_path, split_path_version
from p2pmods.gomod.semver import canonical

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from collections.abc import Set as AbstractSet

ALL_KINDS = frozenset(FileKind)


@dataclass(frozen=True, slots=True)
class Query:
    """A module path with a version that is to be found out: `latest`, a branch, a tag, the beginning of a hash."""

    path: str
    query: str

    def __str__(self) -> str:
        return f"{self.path}@{self.query}"

    @property
    def list_path(self) -> str:
        """The request path of the module's list."""
        return f"{escape_path(self.path)}/@v/list"

    @property
    def url_path(self) -> str:
        """The request path of the query itself."""
        escaped = escape_path(self.path)
        return f"{escaped}/@latest" if self.is_latest else f"{escaped}/@v/{escape_version(self.query)}.info"

    @property
    def is_latest(self) -> bool:
        return self.query == "latest"


@dataclass(slots=True)
class Plan:
    """Files to fetch, in order and each once, and queries to resolve first. `pins` is the go.sum text, if any."""

    files: dict[FileKey, None] = field(default_factory=dict)
    queries: list[Query] = field(default_factory=list)
    sums: list[Path] = field(default_factory=list)

    def add(self, module: ModuleVersion, kinds: AbstractSet[FileKind] = ALL_KINDS) -> None:
        """Want these files of `module`."""
        self.files.update((FileKey(module, kind), None) for kind in FileKind if kind in kinds)

    @property
    def modules(self) -> list[ModuleVersion]:
        """The module versions of all files, each once."""
        return list(dict.fromkeys(key.module for key in self.files))


def plan_targets(targets: Iterable[str]) -> Plan:
    """The plan for all of them. UsageError for what is no target, UserError for a file that cannot be read."""
    plan = Plan()
    for target in targets:
        path = Path(target)
        if _is_directory(path):
            _add_directory(plan, path, os.environ)
        elif path.name == "go.work":
            _add_directory(plan, path.parent, {**os.environ, "GOWORK": str(path.absolute())})
        elif path.suffix == ".mod":
            _add_go_mod(plan, path)
        elif path.suffix == ".sum":
            _add_go_sums(plan, (path,))
        else:
            _add_module(plan, target)
    return plan


def _is_directory(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a name too long for a file, say
        return False


def _add_module(plan: Plan, target: str) -> None:
    path, at, version = target.rpartition("@")
    if not at or not path or not version:
        raise UsageError(
            f"{printable(target)!r} is no target: a module@version (also @latest or a branch), a go.mod, a go.sum "
            "or a directory that holds them"
        )
    try:
        module = ModuleVersion(path, version)
    except InvalidPath as error:
        raise UsageError(str(error)) from error
    except InvalidVersion as error:
        # A whole version, but none that this path can have: v2.1.0 of a path without /v2 may be an +incompatible one.
        if canonical(version) == version and split_path_version(path) != (path, ""):
            raise UsageError(str(error)) from error
        _add_query(plan, Query(path, version))
    else:
        plan.add(module)


def _add_query(plan: Plan, query: Query) -> None:
    try:
        check_path(query.path)
        _ = query.url_path
    except (InvalidPath, InvalidVersion) as error:
        raise UsageError(str(error)) from error
    plan.queries.append(query)


def _add_directory(plan: Plan, directory: Path, environ: Mapping[str, str]) -> None:
    """What `check` looks at, and the `.info` of every zip, which `go mod download` asks for."""
    files = find_go_files(directory, environ)
    if files is None:
        raise UserError(f"there is no go.mod or go.sum in {directory.absolute()} or above it")
    mods = [load_go_mod(path) for path in files.mods]
    if files.sums:
        _add_go_sums(plan, files.sums)
    else:
        _add_all(plan, required_by_all(mods))
    _, toolchain = toolchain_of(files, mods, environ)
    if toolchain is not None:
        plan.files[toolchain] = None


def _add_go_mod(plan: Plan, path: Path) -> None:
    _add_all(plan, required_modules(load_go_mod(path)))


def _add_all(plan: Plan, modules: Iterable[ModuleVersion]) -> None:
    for module in modules:
        plan.add(module)


def _add_go_sums(plan: Plan, paths: tuple[Path, ...]) -> None:
    """Every line: a zip with its go.mod and `.info`, or a go.mod alone."""
    plan.sums += paths
    for module, has_zip in load_go_sum(read_sums(paths), paths[0]).modules:
        plan.add(module, ALL_KINDS if has_zip else {FileKind.MOD})
