"""Tiles are served at every width that a client may ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from p2pmods.errors import NotFound, SumdbError
from p2pmods.fetch import checksum_log
from tests.fetch.checksums.world import LogSource, open_node

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("width", [1, 200, 255, 256])
async def test_a_tile_is_servable_at_every_narrower_width(data: Path, source: LogSource, width: int) -> None:
    path = "8/0/001" if width == 256 else f"8/0/001.p/{width}"
    async with open_node(data, source) as node:
        assert await node.tile(path) == source.log.answer(f"tile/{path}")[1]


@pytest.mark.parametrize("path", ["8/0/x001/000", "8/3/000.p/1", "8/0/002.p/90", "nonsense", "8/0/../000", "7/0/000"])
async def test_a_tile_that_the_log_does_not_have_is_not_found(data: Path, source: LogSource, path: str) -> None:
    async with open_node(data, source) as node:
        for _ in range(3):
            with pytest.raises(NotFound):
                await node.tile(path)
        assert source.requests.count("latest") <= 2


async def test_data_tiles_are_passed_on_once_each_record_is_proven(data: Path, source: LogSource) -> None:
    async with open_node(data, source) as node:
        assert await node.tile("8/data/001") == source.log.answer("tile/8/data/001")[1]
        source.log.flip("tile/8/data/", bit=99)
        with pytest.raises(SumdbError):
            await node.tile("8/data/002.p/7")


async def test_few_tiles_are_kept_in_memory(data: Path, source: LogSource, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checksum_log, "TILES_IN_MEMORY", 1)
    async with open_node(data, source) as node:
        for _ in range(2):
            for path in ("8/0/000", "8/0/001"):
                assert await node.tile(path) == source.log.answer(f"tile/{path}")[1]
