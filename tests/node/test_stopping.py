"""A node that is told to stop gives what it is giving for two seconds, says that it goes, and ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
import trio

from p2pmods.directory.home import LeaseHome
from p2pmods.directory.messages import LEFT, Release
from p2pmods.testing import upstream_faults as faults
from tests.mesh.test_pieces import received
from tests.mesh.test_two_nodes import download
from tests.world import WIDGET, Client, Room, World, noise, open_room, wait_met, wait_offered

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from trio.testing import MockClock

STILL = 0.2  # real seconds in which nothing happens, after which the clock goes on to what happens next


@pytest.fixture
async def room(world: World) -> AsyncIterator[Room]:
    async with open_room(world) as opened:
        yield opened


async def ask_in_vain(node: Client) -> None:
    with pytest.raises(httpx.TransportError):
        await node.file(WIDGET, "zip")


async def test_answers_that_cannot_be_finished_keep_it_for_two_seconds(
    mock_clock: MockClock, world: World, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    mock_clock.rate = 1.0
    told: list[tuple[str, int]] = []

    def hear(_home: LeaseHome, peer: str, release: Release, *, now: float) -> list[object]:
        told.append((peer, release.how))
        return []

    monkeypatch.setattr(LeaseHome, "release", hear)
    world.publish(text=noise(400_000))
    begun = trio.Event()

    async def stall(exchange: faults.Exchange) -> None:
        begun.set()
        await faults.stall(100_000)(exchange)

    world.upstream.fault("v1.0.0.zip", stall)
    ann = await room.start("ann")
    bob = await room.start("bob", ann)
    await wait_met(ann, bob)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask_in_vain, ann)
        await begun.wait()
        mock_clock.rate = 0.0
        mock_clock.autojump_threshold = STILL
        began = trio.current_time()
        await room.stop(ann)
        assert 2.0 <= trio.current_time() - began <= 2.5
        mock_clock.autojump_threshold = float("inf")
        mock_clock.rate = 1.0
    assert told == [(ann.node_id, LEFT)] * 2  # at her own home, and at bob's


async def test_who_has_nothing_to_give_stops_at_once(mock_clock: MockClock, world: World, room: Room) -> None:
    mock_clock.rate = 1.0
    ann = await room.start("ann")
    mock_clock.rate = 0.0
    mock_clock.autojump_threshold = STILL
    began = trio.current_time()
    await room.stop(ann)
    assert trio.current_time() - began < 0.5
    mock_clock.autojump_threshold = float("inf")


async def test_a_peer_that_takes_its_time_keeps_it_no_longer(mock_clock: MockClock, room: Room) -> None:
    mock_clock.rate = 1.0
    ann = await room.start("ann")
    assert ann.node.mesh is not None
    mock_clock.rate = 0.0
    mock_clock.autojump_threshold = STILL
    began = trio.current_time()
    with ann.node.mesh.giving.busy():
        await room.stop(ann)
    assert 2.0 <= trio.current_time() - began <= 2.5
    mock_clock.autojump_threshold = float("inf")


@pytest.mark.parametrize(("size", "rate"), [(1_200_000, 300 << 10), (3_000_000, 700 << 10)], ids=["whole", "pieces"])
async def test_who_is_being_given_a_zip_is_given_the_rest_first(
    mock_clock: MockClock, world: World, room: Room, size: int, rate: int
) -> None:
    mock_clock.rate = 1.0
    world.publish(text=noise(size))
    ann = await room.start("ann")
    await download(ann)
    await ann.wait_proven()
    bob = await room.start("bob", ann)
    await wait_met(ann, bob)
    await wait_offered(bob)
    assert ann.node.mesh is not None
    ann.node.mesh.giving.uploads.rate = rate
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bob.file, WIDGET, "zip")
        while not received(bob):  # noqa: ASYNC110 - bytes ring no bell
            await trio.sleep(0.01)
        mock_clock.rate = 0.0
        mock_clock.autojump_threshold = STILL
        began = trio.current_time()
        await room.stop(ann)
        assert 0.2 < trio.current_time() - began < 1.9
        mock_clock.autojump_threshold = float("inf")
        mock_clock.rate = 1.0
    assert (await bob.file(WIDGET, "zip")).content == world.zips[WIDGET]
    assert world.asked("v1.0.0.zip") == 1
