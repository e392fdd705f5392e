"""A directory laid out as go's `cache/download/sumdb/<name>`: `lookup/<path>@<version>`, `tile/8/L/NNN[.p/W]`.

The store keeps one of its own; the go command keeps one in the module cache, writing in place. So what is read here
may be torn, stale or anybody's: whoever reads verifies.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from p2pmods.store import fs
from p2pmods.sumdb.records import MAX_LOOKUP, lookup_path
from p2pmods.sumdb.tiles import FULL, Tile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from p2pmods.gomod.module import ModuleVersion


class SumdbDirectory:
    """Reads the tiles and lookup answers below `root`, which need not exist."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def tile_path(self, tile: Tile) -> Path:
        return self.root / "tile" / tile.path

    def lookup_path(self, module: ModuleVersion) -> Path:
        return Path(self._lookup_name(module))

    def _lookup_name(self, module: ModuleVersion) -> str:
        """As text: most modules of a new store have no answer yet, and a Path costs more than finding that out."""
        return f"{self.root}/lookup/{lookup_path(module)}"

    def tiles(self, tile: Tile) -> Iterator[bytes]:
        """What the directory has for `tile`, cut to its width: the exact file, the full one, then wider ones."""
        for candidate in self._candidates(tile):
            data = self.read(self.tile_path(candidate), candidate.size)
            if data is not None and len(data) == candidate.size:
                yield data[: tile.size]

    def lookup(self, module: ModuleVersion) -> bytes | None:
        """The kept lookup answer for `module`."""
        return self.read(self._lookup_name(module), MAX_LOOKUP)

    def lookups(self, limit: int) -> Iterator[bytes]:
        """At most `limit` of the kept lookup answers, in no order."""
        for directory, _, names in os.walk(self.root / "lookup"):
            for name in names:
                if limit <= 0:
                    return
                limit -= 1
                data = self.read(Path(directory, name), MAX_LOOKUP)
                if data is not None:
                    yield data

    def count_lookups(self) -> int:
        """How many lookup answers are kept."""
        return sum(len(names) for _, _, names in os.walk(self.root / "lookup"))

    def read(self, path: Path | str, limit: int) -> bytes | None:
        """The file's bytes; None when it is missing, unreadable, or longer than `limit`."""
        try:
            with fs.stream_regular(path) as file:
                data = file.read(limit + 1)
        except OSError:
            return None
        return data if len(data) <= limit else None

    def _candidates(self, tile: Tile) -> Iterator[Tile]:
        yield tile
        if tile.is_full:
            return
        yield tile.full
        for width in self._partial_widths(tile):
            if tile.width < width < FULL:
                yield Tile(tile.level, tile.index, width)

    def _partial_widths(self, tile: Tile) -> list[int]:
        try:
            names = [path.name for path in self.tile_path(tile).parent.iterdir()]
        except OSError:
            return []
        return sorted(int(name) for name in names if name.isascii() and name.isdecimal() and len(name) < 4)
