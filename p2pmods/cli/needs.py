"""Which files a build needs: from go.sum and go.mod files, as keys of the module proxy protocol."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from p2pmods.cli.gofiles import GoFiles, load_go_mod, load_go_sum, read_sums
from p2pmods.cli.toolchain import LocalGo, local_go, needed_toolchain, no_go, toolchain_module
from p2pmods.errors import InvalidPath, InvalidVersion, UserError
from p2pmods.gomod.module import FileKey, FileKind, ModuleVersion

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from p2pmods.gomod.modfile import ModFile


@dataclass(frozen=True, slots=True)
class Needs:
    """`files` from the go.sum lines; `toolchain` is the name of one that go would have to download, or None."""

    files: tuple[FileKey, ...]
    toolchain: str | None
    toolchain_file: FileKey | None

    @property
    def all(self) -> tuple[FileKey, ...]:
        return self.files if self.toolchain_file is None else (*self.files, self.toolchain_file)


def needs_of(files: GoFiles, environ: Mapping[str, str]) -> Needs:
    """Every line of the go.sum files and the toolchain. UserError when a go.mod requires modules that none lists."""
    sums = load_go_sum(read_sums(files.sums), files.sums[0] if files.sums else files.root)
    mods = [load_go_mod(path) for path in files.mods]
    keys = []
    for module, has_zip in sums.modules:
        if sums.mod_h1(module) is not None:
            keys.append(FileKey(module, FileKind.MOD))
        if has_zip:
            keys.append(FileKey(module, FileKind.ZIP))
    if not keys and required_by_all(mods):
        raise UserError(f"{files.root} requires modules, but there is no go.sum: run `go mod tidy` first")
    name, file = toolchain_of(files, mods, environ)
    return Needs(tuple(keys), name, file)


def required_by_all(mods: Iterable[ModFile]) -> list[ModuleVersion]:
    """What these main modules require, but for what they are to each other in a workspace."""
    mods = tuple(mods)
    own = {mod.module_path for mod in mods}
    return [module for mod in mods for module in required_modules(mod) if module.path not in own]


def required_modules(mod: ModFile) -> list[ModuleVersion]:
    """What a go.mod requires, with its replacements in place and without those that are directories."""
    found = []
    for module in mod.requires:
        replacement = mod.replacement(module)
        if replacement is None:
            found.append(module)
        elif replacement.new_version is not None:
            found.append(ModuleVersion(replacement.new_path, replacement.new_version))
    return found


def toolchain_of(
    files: GoFiles, mods: list[ModFile], environ: Mapping[str, str]
) -> tuple[str | None, FileKey | None]:
    """The toolchain that go would have to download for these main modules, and its zip."""
    if files.work is not None:  # its toolchain line is the one that counts
        mods = [load_go_mod(files.work), *(replace(mod, toolchain=None) for mod in mods)]
    local = _local_go(environ)
    name = needed_toolchain(mods, local)
    if name is None:
        return None, None
    try:
        return name, FileKey(toolchain_module(name, local), FileKind.ZIP)
    except (InvalidPath, InvalidVersion) as error:
        raise UserError(f"toolchain {name}: {error}") from error


def _local_go(environ: Mapping[str, str]) -> LocalGo:
    from p2pmods.goenv import find_go, read_go_env

    go = find_go(environ)
    return no_go() if go is None else local_go(read_go_env(go, ["GOVERSION", "GOHOSTOS", "GOHOSTARCH"], os.environ))
