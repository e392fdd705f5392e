"""The user's own module cache (GOMODCACHE), read only: what the go command has put there is on offer at once.

A running `go` may add files at any moment; `.info`, `.mod` and `.zip` appear there by rename, so whatever is found
under such a name is whole. What else lies there (`.ziphash`, `.lock`, `list`, temporary files) is never believed.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from p2pmods.errors import InvalidPath
from p2pmods.gomod.escape import escape_path
from p2pmods.gomod.listing import in_order
from p2pmods.store.layout import VERSIONS, parse_relative
from p2pmods.store.recovery import walk
from p2pmods.store.stored import HeldVersion

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from p2pmods.gomod.module import FileKey, FileKind


class ModuleCache:
    """One GOMODCACHE directory, which need not exist (yet). No OSError gets out: what cannot be read is absent."""

    def __init__(self, directory: Path) -> None:
        """Raises InvalidPath when the name cannot be written as text (UTF-8)."""
        try:
            os.fspath(directory).encode()
        except UnicodeEncodeError as error:
            raise InvalidPath(repr(os.fsencode(directory)), "the module cache's name is not UTF-8") from error
        self.directory = directory
        self.download = directory / "cache" / "download"

    @property
    def sumdb_directory(self) -> Path:
        """Where go keeps what it verified of checksum databases, one directory for each."""
        return self.download / "sumdb"

    def find(self, key: FileKey) -> Path | None:
        """The file `key`, or None. It lies inside the cache for certain: no symbolic link leads to it."""
        path = self.download / key.url_path
        return path if self._is_inside(path) else None

    def scan(self) -> Iterator[tuple[FileKey, Path]]:
        """Every file of the cache, once, in no order. Takes long; may stop half-way at no harm."""
        for key in walk(self.download):
            path = self.find(key)
            if path is not None:
                yield key, path

    def versions(self, path: str) -> list[HeldVersion]:
        """Versions of which a file is here, in semver order; computed, as go's own `list` drops some."""
        directory = self.download / escape_path(path) / VERSIONS
        found: dict[str, set[FileKind]] = {}
        try:
            names = os.listdir(directory)  # noqa: PTH208 (names are wanted, not paths)
        except OSError:
            return []
        for name in names:
            key = parse_relative((directory / name).relative_to(self.download))
            if key is not None and self._is_inside(directory / name):
                found.setdefault(key.module.version, set()).add(key.kind)
        return [HeldVersion.of(version, found[version]) for version in in_order(found)]

    def _is_inside(self, path: Path) -> bool:
        """Whether `path` is a regular file, and no directory between it and `download` is a symbolic link."""
        level = self.download
        try:
            for name in path.parent.relative_to(self.download).parts:
                level /= name
                if not stat.S_ISDIR(os.lstat(level).st_mode):
                    return False
            return stat.S_ISREG(os.lstat(path).st_mode)
        except OSError:
            return False
