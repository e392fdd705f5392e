"""Tiles are named, measured and joined as x/mod's tlog does it."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pmods.errors import MalformedData
from p2pmods.gomod.module import ModuleVersion
from p2pmods.sumdb.tiles import Tile, chain, parse_tile_path, right_edge, tree_root, width_in
from p2pmods.sumdb.tlog import leaf_hash, subtree_hash
from p2pmods.testing.sumdb import ForkableLog
from tests.sumdb import reference

GO = json.loads((Path(__file__).parent / "vectors" / "tlog.json").read_text())


def records(count: int) -> ForkableLog:
    """The log that the Go program made: record i says so."""
    log = ForkableLog()
    for number in range(count):
        log.add_text(ModuleVersion("example.com/m", f"v0.0.{number}"), f"record {number}\n".encode())
    return log


@pytest.fixture(scope="module")
def go_log() -> ForkableLog:
    return records(GO["size"])


def test_roots_and_tiles_are_those_that_go_computes(go_log: ForkableLog) -> None:
    for size, root in GO["roots"].items():
        assert base64.b64encode(go_log.tree(int(size)).root).decode() == root
    for path, digest in GO["tile_leaf_hashes"].items():
        tile = parse_tile_path(path.removeprefix("tile/"))
        assert base64.b64encode(leaf_hash(go_log.tile(tile))).decode() == digest


def test_a_root_follows_from_the_right_edge_also_when_its_tiles_are_wider(go_log: ForkableLog) -> None:
    for size in map(int, GO["roots"]):
        wide = {tile.position: go_log.tile(tile.full) for tile in right_edge(size)}
        assert base64.b64encode(tree_root(size, wide)).decode() == GO["roots"][str(size)]


@pytest.mark.parametrize("path", GO["paths"] + list(GO["tile_leaf_hashes"]))
def test_tile_paths_are_written_as_go_writes_them(path: str) -> None:
    assert f"tile/{parse_tile_path(path.removeprefix('tile/')).path}" == path


@given(st.integers(0, 7), st.integers(0, 10**18), st.integers(1, 256))
def test_every_tile_path_leads_back_to_its_tile(level: int, index: int, width: int) -> None:
    tile = Tile(level, index, width)
    assert parse_tile_path(tile.path) == tile
    assert f"tile/{tile.path}" == reference.tile_name((level, index, width))


@pytest.mark.parametrize(
    "path",
    [
        "",
        "8",
        "8/0/",
        "8/0/0",
        "8/0/00",
        "8/0/0000",
        "8/0/000.p",
        "8/0/000.p/",
        "8/0/000.p/0",
        "8/0/000.p/256",
        "8/0/000.p/999",
        "8/0/000.p/01",
        "8/0/x000/001",
        "8/0/001/002",
        "8/0/x001",
        "8/8/000",
        "8/00/000",
        "8/-1/000",
        "9/0/000",
        "8/0/000/",
        "8/0/../000",
        "8/0/\u0660\u0660\u0660",
        "8/0/000\n",
        "8/data/000",
        "8/0/" + "x001/" * 7 + "001",
    ],
)
def test_a_path_that_go_would_not_write_is_refused(path: str) -> None:
    with pytest.raises(MalformedData):
        parse_tile_path(path)


@given(
    st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=8).filter(lambda h: len(h) & len(h) - 1 == 0)
)
def test_a_subtree_hashes_as_the_rfc_defines_it(hashes: list[bytes]) -> None:
    assert subtree_hash(b"".join(hashes)) == reference.root(hashes)


@given(st.integers(0, 1 << 40), st.integers(0, 1 << 40), st.integers(0, 1 << 20))
def test_growing_never_takes_a_tile_from_a_chain(record: int, size: int, growth: int) -> None:
    record = min(record, size)
    before = {tile.position: tile.width for tile in chain(record, size)}
    after = {tile.position: tile.width for tile in chain(record, size + growth)}
    assert all(after[position] >= width for position, width in before.items())


@given(st.integers(0, 1 << 40), st.integers(0, 1 << 40), st.integers(0, 1 << 20))
def test_an_advance_touches_only_what_was_on_the_right_edge(record: int, size: int, growth: int) -> None:
    record = min(record, size)
    covered = {tile.position for tile in chain(record, size)} | {tile.position for tile in chain(size, size + growth)}
    for tile in chain(record, size + growth):
        if tile.position not in covered:
            # Only levels that the smaller tree did not have, where all chains share tile 0.
            assert not size >> 8 * tile.level
    for tile in chain(record, size):
        if width_in(tile.position, size + growth) != tile.width:
            assert tile in right_edge(size)
