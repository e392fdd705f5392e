"""A module version, and the files that a Go module proxy serves for it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from p2pmods.gomod.escape import escape_path, escape_version
from p2pmods.gomod.paths import check_module_version


@dataclass(frozen=True, slots=True, order=True)
class ModuleVersion:
    """A module path and a canonical version that fit each other, as `module.Check` of golang.org/x/mod demands."""

    path: str
    version: str

    def __post_init__(self) -> None:
        check_module_version(self.path, self.version)

    def __str__(self) -> str:
        return f"{self.path}@{self.version}"


class FileKind(StrEnum):
    """The three immutable files of a module version; the value is the file name's ending."""

    INFO = "info"
    MOD = "mod"
    ZIP = "zip"


@dataclass(frozen=True, slots=True, order=True)
class FileKey:
    """Names one immutable file of the module proxy protocol."""

    module: ModuleVersion
    kind: FileKind

    def __str__(self) -> str:
        return f"{self.module}.{self.kind.value}"

    @property
    def url_path(self) -> str:
        """`<escaped path>/@v/<escaped version>.<kind>`: its place below a proxy's URL and below cache/download."""
        escaped = f"{escape_path(self.module.path)}/@v/{escape_version(self.module.version)}"
        return f"{escaped}.{self.kind.value}"
