"""What travels with a record is what its receiver's own plans ask for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pmods.sumdb.bundle import MAX_LEVELS, tiles_for_head, tiles_for_record
from p2pmods.sumdb.database import Advance
from p2pmods.sumdb.note import parse_verifier
from p2pmods.sumdb.tiles import Tile, chain, width_in
from p2pmods.sumdb.tlog import open_head
from p2pmods.testing.sumdb import ForkableLog

LOG = ForkableLog(seed="bundle")
LOG.grow(66_000)
VERIFIER = parse_verifier(LOG.verifier_key)
SIZES = st.sampled_from([1, 255, 256, 257, 600, 65_535, 65_536, 65_537, 66_000]) | st.integers(1, 66_000)


@given(SIZES, SIZES)
def test_a_head_brings_what_the_step_to_it_needs(one: int, other: int) -> None:
    old, new = sorted((one, other))
    heads = [open_head(LOG.head(size), VERIFIER) for size in (old, new)]
    brought = {tile: LOG.tile(tile) for tile in tiles_for_head(new, old)}
    if old < new:
        assert set(Advance("db", heads[0], heads[1]).tiles) == set(brought)
        Advance("db", heads[0], heads[1]).check(brought)
    else:
        assert not brought
    first = {tile: LOG.tile(tile) for tile in tiles_for_head(new, 0)}
    Advance("db", None, heads[1]).check(first)


@given(st.data(), SIZES, SIZES)
def test_a_record_brings_its_chain_as_the_receiver_needs_it(data: st.DataObject, size: int, asker: int) -> None:
    record = data.draw(st.integers(0, size - 1))
    brought = tiles_for_record(record, size, asker)
    if record >= asker:
        assert set(brought) >= {*chain(record, size), *chain(asker, size), *chain(size, size)}
    elif asker <= size:
        assert brought == chain(record, asker)
    else:
        wanted = chain(record, asker)
        assert set(brought) == {tile for tile in wanted if width_in(tile.position, size) >= tile.width}
    assert len(brought) == len({tile.position for tile in brought}) <= 3 * MAX_LEVELS


@pytest.mark.parametrize("levels", range(4))
def test_only_the_lowest_tiles_that_may_be_missing_travel(levels: int) -> None:
    assert tiles_for_record(300, 66_000, 66_000, levels) == chain(300, 66_000)[:levels]


def test_who_has_to_come_along_gets_all_levels() -> None:
    assert Tile(1, 0, 4) in tiles_for_record(900, 1100, 600, 1)


@pytest.mark.parametrize("huge", [1 << 62, (1 << 63) - 1])
def test_huge_numbers_cost_nothing(huge: int) -> None:
    assert tiles_for_head(601, huge) == ()
    assert len(tiles_for_record(300, 601, huge)) <= MAX_LEVELS
    assert len(tiles_for_record(huge - 1, huge, 601)) <= 3 * MAX_LEVELS
