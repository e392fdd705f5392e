"""Where things lie below the data directory.

`modules/` has the layout of `$GOMODCACHE/cache/download`, so `GOPROXY=file://DATA/modules` works on it with no node
running. Everything in `tmp/` is swept at start; `index.sqlite` can be rebuilt from `modules/` and `audit.jsonl`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from p2pmods.errors import InvalidPath, InvalidVersion
from p2pmods.gomod.escape import escape_path, unescape_path, unescape_version
from p2pmods.gomod.module import FileKey, FileKind, ModuleVersion

if TYPE_CHECKING:
    from pathlib import PurePath

VERSIONS: Final = "@v"
_KINDS: Final = frozenset(kind.value for kind in FileKind)


@dataclass(frozen=True, slots=True)
class Layout:
    """The places below one data directory."""

    data: Path

    @property
    def modules(self) -> Path:
        return self.data / "modules"

    @property
    def tmp(self) -> Path:
        return self.data / "tmp"

    @property
    def quarantine(self) -> Path:
        return self.data / "quarantine"

    @property
    def evidence(self) -> Path:
        return self.data / "evidence"

    @property
    def index(self) -> Path:
        return self.data / "index.sqlite"

    @property
    def audit(self) -> Path:
        return self.data / "audit.jsonl"

    def file(self, key: FileKey) -> Path:
        """Where the file `key` lies."""
        return Path(self.file_name(key))

    def file_name(self, key: FileKey) -> str:
        """The same as text: a Path costs as much as asking the disk."""
        return f"{self.data}/modules/{key.url_path}"

    def list_file(self, path: str) -> Path:
        """Where the `list` of module path `path` lies."""
        return self.modules / escape_path(path) / VERSIONS / "list"


def parse_relative(relative: PurePath) -> FileKey | None:
    """The file that lies at `relative` below a directory in cache/download layout, or None when it is none."""
    text = relative.as_posix()
    escaped_path, separator, name = text.rpartition(f"/{VERSIONS}/")
    stem, dot, kind = name.rpartition(".")
    if not separator or not dot or "/" in name or kind not in _KINDS:
        return None
    try:
        return FileKey(ModuleVersion(unescape_path(escaped_path), unescape_version(stem)), FileKind(kind))
    except (InvalidPath, InvalidVersion):
        return None
