"""Nodes compare the tree heads that they hold, and connect them while they can, at a bounded cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from p2pmods.errors import PeerError
from p2pmods.fetch import checksum_meeting
from p2pmods.fetch.checksum_meeting import JOIN_EVERY, MAX_ADVANCES, MAX_JOINS, MAX_WAITING, TURN, PeerHead
from p2pmods.sumdb.note import make_signer
from p2pmods.testing.sumdb import ForkableLog
from p2pmods.wire.proofs import AskHead, HeadBundle
from tests.fetch.checksums.test_growth import base
from tests.fetch.checksums.world import TOML, LogSource, open_node

if TYPE_CHECKING:
    from pathlib import Path

    from p2pmods.fetch.checksum_database import DatabaseChecksums
    from p2pmods.fetch.checksums import Alarm

BIG = 65_400


def tiles_on_disk(data: Path) -> int:
    return sum(path.is_file() for path in (data / "modules").rglob("tile/**/*"))


def leads(node: DatabaseChecksums, size: int) -> set[str]:
    answer = node.reply(AskHead(node.name, size))
    assert isinstance(answer, HeadBundle)
    return {tile.tile.path for tile in answer.tiles}


async def test_an_older_head_is_connected_once(data: Path, source: LogSource) -> None:
    async with open_node(data, source) as node:
        await node.prove(TOML)
        assert "8/0/000" not in leads(node, 200)
        assert await node.note_peer_head(source.log.head(200), "ann") == PeerHead.JOINED
        assert "8/0/000" in leads(node, 200)
        asked = len(source.requests)
        assert await node.note_peer_head(source.log.head(200), "ben") == PeerHead.KNOWN
        assert await node.note_peer_head(source.log.head(190), "ann") == PeerHead.KNOWN  # the same tiles
        assert len(source.requests) == asked
        assert node.statistics().heads == 1  # nothing is listed


async def test_a_newer_head_takes_the_node_along(data: Path, source: LogSource) -> None:
    async with open_node(data, source) as node:
        await node.prove(TOML)
        source.log.grow(300)
        assert await node.note_peer_head(source.log.head(), "ann") == PeerHead.ADVANCED
        assert node.statistics().tree_size == 901
        assert await node.note_peer_head(source.log.head(601), "ann") == PeerHead.KNOWN


async def test_of_a_newer_head_only_the_databases_signature_is_kept(data: Path, source: LogSource) -> None:
    async with open_node(data, source) as node:
        await node.supported()
        source.log.grow(1)
        padded = source.log.head() + ("— padding " + "QUFB" * 2500 + "\n").encode()
        assert await node.note_peer_head(padded, "ann") == PeerHead.ADVANCED
        assert await node.latest() == source.log.head()


async def test_the_first_head_may_be_told_by_a_peer(data: Path, source: LogSource) -> None:
    async with open_node(data, source) as node:
        assert await node.note_peer_head(source.log.head(), "ann") == PeerHead.KNOWN
        assert node.statistics().tree_size == 601


async def test_without_an_upstream_it_is_later(data: Path, source: LogSource) -> None:
    source.online = False
    async with open_node(data, source) as node:
        assert await node.note_peer_head(source.log.head(), "ann") == PeerHead.LATER
        source.online = True
        await node.supported()
        source.online = False
        for number in range(2 * MAX_JOINS):  # and that is not counted against anybody
            assert await node.note_peer_head(source.log.head(200), f"peer{number}") == PeerHead.LATER
        source.online = True
        assert await node.note_peer_head(source.log.head(200), "peer0") == PeerHead.JOINED


async def test_a_head_that_the_database_did_not_sign_is_the_peers_fault(data: Path, source: LogSource) -> None:
    signer = make_signer(source.log.name, b"\7" * 32)
    note = source.log.head(200)
    text = note.partition(b"\n\n")[0] + b"\n"
    async with open_node(data, source) as node:
        await node.supported()
        for wrong in (b"", note[:-5], text, signer.sign(text), note.replace(b"200", b"201"), b"\xff" * 100_000):
            with pytest.raises(PeerError, match="ann"):
                await node.note_peer_head(wrong, "ann")
        assert node.statistics().state == "ok"


@pytest.mark.parametrize(("size", "upstream"), [(500, 601), (601, 601), (800, 900)])
async def test_a_fork_seen_at_a_peer_freezes_the_database_with_both_notes_kept(
    data: Path, source: LogSource, size: int, upstream: int
) -> None:
    alarms: list[Alarm] = []
    async with open_node(data, source, alarms=alarms) as node:
        await node.supported()
        source.log.grow(upstream - source.log.size)
        fork = source.log.fork(400)
        fork.grow(size - 400)
        assert await node.note_peer_head(fork.head(), "ann") == PeerHead.FROZEN
        assert len(alarms) == 1
        kept = {path.read_bytes() for path in (data / "evidence").iterdir()}
        assert {fork.head(), source.log.head()} <= kept
        assert await node.note_peer_head(source.log.head(), "ben") == PeerHead.FROZEN
        assert len(alarms) == 1


async def test_a_fork_further_than_the_upstream_cannot_be_judged_yet(data: Path, source: LogSource) -> None:
    alarms: list[Alarm] = []
    fork = source.log.fork(400)
    fork.grow(600)
    async with open_node(data, source, alarms=alarms) as node:
        await node.supported()
        assert await node.note_peer_head(fork.head(), "ann") == PeerHead.LATER
        assert node.statistics().tree_size == 601
        assert not alarms
        source.log.grow(800)
        assert await node.note_peer_head(fork.head(), "ann") == PeerHead.FROZEN
        assert len(alarms) == 1


async def test_a_liar_with_many_real_heads_costs_little(data: Path, mock_clock: trio.testing.MockClock) -> None:
    log = base(BIG).fork()
    source = LogSource(log)
    async with open_node(data, source) as node:
        await node.supported()
        before = tiles_on_disk(data)
        outcomes = [
            await node.note_peer_head(log.head(256 * number + 7), f"peer{number}") for number in range(MAX_JOINS + 20)
        ]
        assert outcomes == [PeerHead.JOINED] * MAX_JOINS + [PeerHead.LATER] * 20
        assert tiles_on_disk(data) <= before + MAX_JOINS
        mock_clock.jump(JOIN_EVERY)
        outcomes = [
            await node.note_peer_head(log.head(256 * 200 + 256 * number), f"p{number}") for number in range(3)
        ]
        assert outcomes == [PeerHead.JOINED, PeerHead.LATER, PeerHead.LATER]


async def test_newer_heads_move_the_node_a_bounded_number_of_times(
    data: Path, source: LogSource, mock_clock: trio.testing.MockClock
) -> None:
    source.log.grow(100)
    async with open_node(data, LogSource(source.log)) as node:
        source.log.roll_back(601)
        await node.supported()
        source.log.behave()
        outcomes = [
            await node.note_peer_head(source.log.head(602 + number), f"peer{number}")
            for number in range(MAX_ADVANCES + 10)
        ]
        assert outcomes.count(PeerHead.ADVANCED) == MAX_ADVANCES
        assert node.statistics().heads == MAX_ADVANCES + 1


async def test_each_peer_has_one_turn_a_minute(data: Path, mock_clock: trio.testing.MockClock) -> None:
    log = ForkableLog(seed="turns")
    log.grow(2000)
    async with open_node(data, LogSource(log)) as node:
        await node.supported()
        assert await node.note_peer_head(log.head(100), "ann") == PeerHead.JOINED
        assert await node.note_peer_head(log.head(400), "ann") == PeerHead.LATER
        assert await node.note_peer_head(log.head(400), "ben") == PeerHead.JOINED
        mock_clock.jump(TURN)
        assert await node.note_peer_head(log.head(700), "ann") == PeerHead.JOINED


async def test_of_many_heads_at_once_only_a_few_wait(data: Path, source: LogSource) -> None:
    outcomes: list[PeerHead] = []
    async with open_node(data, source) as node, trio.open_nursery() as nursery:
        await node.supported()

        async def tell(number: int) -> None:
            outcomes.append(await node.note_peer_head(source.log.head(200), f"peer{number}"))

        for number in range(MAX_WAITING + 5):
            nursery.start_soon(tell, number)
    assert outcomes.count(PeerHead.JOINED) == 1
    assert outcomes.count(PeerHead.KNOWN) == MAX_WAITING  # they waited for the first
    assert outcomes.count(PeerHead.LATER) == 4


async def test_the_turns_of_few_peers_are_remembered(
    data: Path, source: LogSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checksum_meeting, "MAX_TURNS", 1)
    source.log.grow(400)
    async with open_node(data, source) as node:
        await node.supported()
        for size, name in ((100, "ann"), (300, "ben"), (600, "ann")):
            assert await node.note_peer_head(source.log.head(size), name) == PeerHead.JOINED
