"""Whatever an upstream sends, nothing is believed that the signed tree does not prove."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from p2pmods.errors import SumdbError, Unavailable
from p2pmods.sumdb.note import make_signer
from tests.fetch.checksums.world import LogSource, open_node

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from p2pmods.fetch.checksums import Alarm
    from p2pmods.testing.sumdb import ForkableLog

from tests.fetch.checksums.world import H1, TOML


def the_wrong_key(log: ForkableLog) -> None:
    log.sign_with(make_signer(log.name, b"\7" * 32))


def an_empty_lookup(log: ForkableLog) -> None:
    log.replace("lookup/", b"")


def a_login_page(log: ForkableLog) -> None:
    log.replace("lookup/", b"<!doctype html>\n\n<form>\n")


def an_oversize_lookup(log: ForkableLog) -> None:
    log.change("lookup/", lambda answer: (200, answer[1] + b"x" * (64 << 10)))


def another_records_text(log: ForkableLog) -> None:
    other = log.answer("lookup/example.com/filler@v0.299.0")[1]
    log.replace("lookup/", other)


def an_invented_hash(log: ForkableLog) -> None:
    log.change("lookup/", lambda answer: (200, answer[1].replace(H1.encode(), b"h1:" + b"B" * 43 + b"=")))


def a_line_more(log: ForkableLog) -> None:
    line = f"\n{TOML.path} {TOML.version} h1:{'C' * 43}=\n\n".encode()
    log.change("lookup/", lambda answer: (200, answer[1].replace(b"\n\n", line, 1)))


def another_id(log: ForkableLog) -> None:
    log.change("lookup/", lambda answer: (200, answer[1].replace(b"300", b"299", 1)))


def an_id_beyond_the_tree(log: ForkableLog) -> None:
    log.change("lookup/", lambda answer: (200, answer[1].replace(b"300", b"99999", 1)))


def flipped_bits_in_lookups(log: ForkableLog) -> None:
    log.flip("lookup/", bit=200)


def flipped_bits_in_low_tiles(log: ForkableLog) -> None:
    log.flip("tile/8/0/", bit=77)


def flipped_bits_in_high_tiles(log: ForkableLog) -> None:
    log.flip("tile/8/1/", bit=77)


def a_forged_tile(log: ForkableLog) -> None:
    log.replace("tile/8/0/001", b"\0" * 8192)


def an_oversize_tile(log: ForkableLog) -> None:
    log.change("tile/8/0/", lambda answer: (200, answer[1] + b"\0" * 32))


def a_short_tile(log: ForkableLog) -> None:
    log.change("tile/8/0/", lambda answer: (200, answer[1][:-32]))


def a_missing_tile(log: ForkableLog) -> None:
    log.omit("tile/8/0/001")


def tiles_that_fail(log: ForkableLog) -> None:
    log.fail("tile/", 503)


ATTACKS = [
    the_wrong_key,
    an_empty_lookup,
    a_login_page,
    an_oversize_lookup,
    another_records_text,
    an_invented_hash,
    a_line_more,
    another_id,
    an_id_beyond_the_tree,
    flipped_bits_in_lookups,
    flipped_bits_in_low_tiles,
    a_forged_tile,
    an_oversize_tile,
    a_short_tile,
    a_missing_tile,
    tiles_that_fail,
]


@pytest.mark.parametrize(
    ("attack", "head_held"),
    [*product(ATTACKS, (False, True)), (flipped_bits_in_high_tiles, False)],  # with the head, those tiles are held
)
async def test_an_attack_proves_nothing_and_leaves_no_trace(
    data: Path, source: LogSource, attack: Callable[[ForkableLog], None], *, head_held: bool
) -> None:
    alarms: list[Alarm] = []
    async with open_node(data, source, alarms=alarms) as node:
        if head_held:
            await node.supported()
        attack(source.log)
        with pytest.raises((SumdbError, Unavailable)):
            await node.prove(TOML)
        assert node.held_proof(TOML) is None
        assert not alarms  # nothing here is signed, so nothing proves the database guilty
        source.log.behave()
        assert (await node.prove(TOML)).zip_h1 == H1


async def test_one_bad_answer_is_asked_again(data: Path, source: LogSource) -> None:
    spoiled: list[bytes] = []

    def spoil_once(answer: tuple[int, bytes]) -> tuple[int, bytes]:
        spoiled.append(answer[1])
        return (200, b"") if len(spoiled) == 1 else answer

    source.log.change("lookup/", spoil_once)
    async with open_node(data, source) as node:
        assert (await node.prove(TOML)).zip_h1 == H1


async def test_a_database_that_never_answers_is_given_up_at_the_deadline(
    data: Path, log: ForkableLog, autojump_clock: trio.testing.MockClock
) -> None:
    class Silent(LogSource):
        async def fetch_sumdb(self, name: str, endpoint: str, *, url: str | None = None) -> bytes:
            await trio.sleep_forever()
            raise AssertionError

    async with open_node(data, Silent(log)) as node:
        with pytest.raises(Unavailable):
            await node.prove(TOML)
        with pytest.raises(Unavailable):
            await node.supported()


async def test_where_a_partial_tile_is_gone_the_full_one_is_cut(data: Path, source: LogSource) -> None:
    async with open_node(data, source) as node:
        await node.supported()
        at = source.log.head()
        source.log.grow(300)
        source.log.omit("tile/8/0/002.p/")
        source.log.replace("latest", at)
        (data / "modules" / "sumdb" / source.log.name / "tile" / "8" / "0" / "002.p" / "89").unlink()
    async with open_node(data, source) as node:
        assert await node.tile("8/0/002.p/89") == source.log.answer("tile/8/0/002")[1][: 89 * 32]
