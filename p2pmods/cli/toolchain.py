"""Which Go toolchain a main module needs, as cmd/go's toolchain.Select and internal/gover decide it."""

from __future__ import annotations

import platform
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from p2pmods.gomod.module import ModuleVersion

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from p2pmods.gomod.modfile import ModFile

TOOLCHAIN_PATH: Final = "golang.org/toolchain"
_VERSION: Final = re.compile(r"([0-9]+)(?:\.([0-9]+))?(?:\.([0-9]+))?(?:(alpha|beta|rc)([0-9]+))?")
_KINDS: Final = {"": 0, "alpha": 1, "beta": 2, "rc": 3}  # a bare 1.25 is before 1.25rc1, which is before 1.25.0
_MACHINES: Final = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64", "i686": "386"}
_SYSTEMS: Final = {"linux": "linux", "darwin": "darwin", "win32": "windows", "cygwin": "windows"}


@dataclass(frozen=True, slots=True)
class LocalGo:
    """The go command of this machine: `version` such as `1.26.8`, and what it builds for by default."""

    version: str
    system: str
    machine: str


def local_go(values: Mapping[str, str]) -> LocalGo:
    """From `go env` (GOVERSION, GOHOSTOS, GOHOSTARCH)."""
    version = values.get("GOVERSION", "").removeprefix("go").split(" ")[0].split("-")[0]
    return LocalGo(version, values.get("GOHOSTOS", ""), values.get("GOHOSTARCH", ""))


def no_go() -> LocalGo:
    """What a go command on this machine would be, when there is none."""
    machine = platform.machine().lower()
    return LocalGo("", _SYSTEMS.get(sys.platform, sys.platform), _MACHINES.get(machine, machine))


def needed_toolchain(mods: Iterable[ModFile], local: LocalGo) -> str | None:
    """The name (`go1.25.1`) of the toolchain that go would switch to; None when its own is new enough."""
    needed, newest = None, local.version
    for mod in mods:
        named = (mod.toolchain or "").removeprefix("go")
        if mod.toolchain not in (None, "default") and _order(named) > _order(newest):
            needed, newest = mod.toolchain, named
        if mod.go is not None and _order(mod.go) > _order(newest):
            needed, newest = f"go{_downloadable(mod.go)}", mod.go
    return needed


def toolchain_module(name: str, local: LocalGo) -> ModuleVersion:
    """The module version of toolchain `name` for this machine; only its zip is ever asked for."""
    return ModuleVersion(TOOLCHAIN_PATH, f"v0.0.1-{name}.{local.system}-{local.machine}")


def _downloadable(version: str) -> str:
    """From 1.21 on the first release of a language version is `.0`, and go asks for that (golang.org/issue/62278)."""
    is_language = re.fullmatch(r"[0-9]+\.[0-9]+", version) is not None
    return f"{version}.0" if is_language and _order(version) >= _order("1.21") else version


def _order(version: str) -> tuple[int, int, int, int, int]:
    """A sort key like gover.Compare: 1.21 < 1.21rc1 < 1.21.0; what is no version is before all."""
    match = _VERSION.match(version)
    if match is None:
        return (-1, 0, 0, 0, 0)
    major, minor, patch, kind, number = match.groups(default="")
    if patch:
        return (int(major), int(minor or 0), 1, int(patch), 0)
    if not kind and int(major) == 1 and int(minor or 0) < 21:
        return (int(major), int(minor or 0), 1, 0, 0)  # before 1.21 a language version was its first release too
    return (int(major), int(minor or 0), 0, _KINDS[kind], int(number or 0))
