"""No head, tile or record is believed that the signed tree does not prove; a contradiction is told from a lie."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pmods.errors import MalformedData, SumdbSecurityError
from p2pmods.gomod.module import ModuleVersion
from p2pmods.sumdb.database import Advance, ProvenHead, check_contains, check_full_tile, check_record
from p2pmods.sumdb.note import parse_verifier
from p2pmods.sumdb.records import Record
from p2pmods.sumdb.tiles import Tile, chain
from p2pmods.sumdb.tlog import Head, open_head
from p2pmods.testing.sumdb import ForkableLog

LOG = ForkableLog(seed="database")
LOG.grow(66_000)
VERIFIER = parse_verifier(LOG.verifier_key)
SIZES = (0, 1, 2, 255, 256, 257, 511, 512, 65_535, 65_536, 65_537, 66_000)


def head(size: int, log: ForkableLog = LOG) -> Head:
    return open_head(log.head(size), VERIFIER)


def advance(old: int | None, new: int, log: ForkableLog = LOG) -> tuple[Advance, dict[Tile, bytes]]:
    step = Advance("db", None if old is None else head(old), head(new, log))
    return step, {tile: log.tile(tile) for tile in step.tiles}


@pytest.mark.parametrize("old", SIZES)
def test_a_log_that_only_grows_is_followed(old: int) -> None:
    for new in SIZES:
        if new >= old:
            step, tiles = advance(old, new)
            assert step.check(tiles).head.size == new


@given(st.lists(st.integers(0, 66_000), min_size=2, max_size=6))
@settings(max_examples=40)
def test_after_any_growth_all_that_a_client_may_need_was_fetched(sizes: list[int]) -> None:
    """The invariant: chain(x, S) is held at its width in S for every head x that S went through."""
    sizes.sort()
    held: dict[tuple[int, int], int] = {}
    steps: list[tuple[int | None, int]] = [(None, sizes[0]), *pairwise(sizes)]
    for old, new in steps:
        for tile in advance(old, new)[0].tiles:
            held[tile.position] = max(tile.width, held.get(tile.position, 0))
    for size in sizes:
        for tile in chain(size, sizes[-1]):
            assert not size or held[tile.position] >= tile.width


@pytest.mark.parametrize(("old", "new"), [(None, 66_000), (255, 256), (300, 66_000), (65_537, 66_000)])
def test_one_wrong_bit_in_any_tile_is_noticed(old: int | None, new: int) -> None:
    step, tiles = advance(old, new)
    for tile, data in tiles.items():
        for at in (0, len(data) // 2, len(data) - 1):
            forged = bytearray(data)
            forged[at] ^= 1
            with pytest.raises(MalformedData):
                step.check(tiles | {tile: bytes(forged)})
        for wrong in (b"", data[:-1], data + b"\0", data + data):
            with pytest.raises(MalformedData):
                step.check(tiles | {tile: wrong})


@pytest.mark.parametrize("shared", [0, 1, 299, 400])
def test_a_fork_is_a_security_error_with_both_notes(shared: int) -> None:
    fork = LOG.fork(shared)
    fork.grow(66_000 - shared)
    step, tiles = advance(500, 66_000, fork)
    with pytest.raises(SumdbSecurityError) as caught:
        step.check(tiles)
    assert (caught.value.ours, caught.value.theirs) == (LOG.head(500), fork.head(66_000))


def test_a_fork_before_the_old_head_is_found_by_the_older_head_too() -> None:
    fork = LOG.fork(10)
    fork.grow(500)
    tiles = {tile.position: LOG.tile(tile) for tile in chain(300, 66_000)}
    check_contains("db", head(66_000), head(300), tiles)
    with pytest.raises(SumdbSecurityError):
        check_contains("db", head(66_000), head(300, fork), tiles)


def test_going_back_is_no_advance() -> None:
    with pytest.raises(ValueError, match="smaller"):
        Advance("db", head(300), head(299))


def test_a_full_tile_is_proven_by_its_entry_above() -> None:
    above = LOG.tile(Tile(1, 0, 256))
    check_full_tile((0, 3), LOG.tile(Tile(0, 3, 256)), above)
    for position, data in [((0, 4), LOG.tile(Tile(0, 3, 256))), ((0, 3), b""), ((0, 3), LOG.tile(Tile(0, 3, 255)))]:
        with pytest.raises(MalformedData):
            check_full_tile(position, data, above)


def test_a_tile_whose_entry_is_missing_above_is_not_proven() -> None:
    with pytest.raises(MalformedData):
        check_full_tile((0, 3), LOG.tile(Tile(0, 3, 256)), LOG.tile(Tile(1, 0, 3)))


def test_a_record_must_be_the_text_at_its_number() -> None:
    log = ForkableLog(seed="records")
    for number in range(3):
        log.add_text(ModuleVersion("example.com/m", f"v0.{number}.0"), f"text {number}\n".encode())
    tile = log.tile(Tile(0, 0, 3))
    check_record(Record(1, b"text 1\n"), tile)
    for record in (Record(0, b"text 1\n"), Record(1, b"text 1"), Record(1, b""), Record(3, b"text 3\n")):
        with pytest.raises(MalformedData):
            check_record(record, tile)


def test_a_proven_head_is_made_by_nothing_but_the_check() -> None:
    with pytest.raises(TypeError):
        ProvenHead(head(3), {}, None)
