"""A node that leaves gives what it owes to who is taking it, for two seconds at most, and says that it leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import trio

from p2pmods.directory.messages import LEFT, Claim, Grant, Release, Terms
from p2pmods.directory.proof import grant_terms
from p2pmods.directory.rendezvous import Rendezvous
from p2pmods.directory.tenure import HANDOVER, Tenure
from p2pmods.gomod.module import FileKey, FileKind, ModuleVersion
from p2pmods.identity.key import node_id
from p2pmods.mesh.claims import FOR_ALL
from p2pmods.mesh.handover import LULL, MAX_OWED, Handover
from p2pmods.testing import upstream_faults as faults
from tests.mesh.test_pieces import publish_large, received
from tests.mesh.test_two_nodes import ask_in_vain, start_room
from tests.mesh.world import KEYS
from tests.world import WIDGET

if TYPE_CHECKING:
    from trio.testing import MockClock

    from p2pmods.mesh.call import Call
    from tests.mesh.scene import Scene
    from tests.world import Client, Room, World

ANN, BOB, EVE, DAN = (node_id(key) for key in KEYS[:4])
KEY = FileKey(WIDGET, FileKind.ZIP)
OTHER = FileKey(ModuleVersion(WIDGET.path, "v1.0.9"), FileKind.ZIP)


def tenure() -> Tenure:
    terms = Terms(ANN, bytes(16), BOB, bytes(64))
    return Tenure(bytes(16), terms, b"", Rendezvous([ANN, BOB]), now=0.0)


async def seconds_to_end(owed: Handover) -> float:
    began = trio.current_time()
    await owed.end()
    return trio.current_time() - began


async def take(owed: Handover, key: FileKey, seconds: float, node: str, task_status: Any) -> None:
    with owed.taking(key):
        task_status.started()
        await trio.sleep(seconds)
        owed.took(key, node)


class Leaving:
    """Ann, who owes KEY, and those who take something from her for so many seconds."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.owed = Handover()
        self.nursery = nursery

    async def taken(self, seconds: float, node: str = BOB, key: FileKey = KEY) -> None:
        await self.nursery.start(lambda task_status: take(self.owed, key, seconds, node, task_status))

    async def end(self) -> float:
        took = await seconds_to_end(self.owed)
        self.nursery.cancel_scope.cancel()
        return took


async def test_who_leaves_waits_for_nobody_when_nobody_takes_anything(autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        ann = Leaving(nursery)
        ann.owed.owe(KEY, tenure())
        assert await ann.end() == 0


async def test_who_leaves_waits_until_those_who_take_have_it_and_no_longer(autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        ann = Leaving(nursery)
        ann.owed.owe(KEY, tenure())
        await ann.taken(0.5)
        await ann.taken(0.7)
        await ann.taken(9, EVE, OTHER)  # which others have: whoever takes it goes on there
        assert await ann.end() == pytest.approx(0.7 + LULL)


async def test_who_comes_back_for_the_rest_gets_it(autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        ann = Leaving(nursery)
        ann.owed.owe(KEY, tenure())

        async def come_back() -> None:
            await trio.sleep(0.5 + LULL / 2)
            await ann.taken(0.5)

        await ann.taken(0.5)
        nursery.start_soon(come_back)
        assert await ann.end() == pytest.approx(1 + LULL * 1.5)


async def test_two_seconds_are_enough_for_anybody(autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        ann = Leaving(nursery)
        ann.owed.owe(KEY, tenure())
        await ann.taken(60)
        assert await ann.end() == HANDOVER


async def test_what_two_others_have_is_not_owed(autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        ann = Leaving(nursery)
        ann.owed.owe(KEY, tenure())
        ann.owed.took(KEY, BOB)
        ann.owed.took(KEY, BOB)
        ann.owed.took(OTHER, BOB)
        await ann.taken(0.5, EVE)
        await ann.taken(60, DAN)
        assert await ann.end() == pytest.approx(0.5 + LULL)
    async with trio.open_nursery() as nursery:
        ann = Leaving(nursery)
        ann.owed.owe(KEY, tenure())
        ann.owed.took(KEY, BOB)
        ann.owed.took(KEY, EVE)
        await ann.taken(60, DAN)
        assert await ann.end() == 0


async def test_what_is_remembered_of_debts_is_bounded(autojump_clock: MockClock) -> None:
    owed = Handover()
    for number in range(MAX_OWED + 7):
        owed.owe(FileKey(ModuleVersion(WIDGET.path, f"v1.0.{number}"), FileKind.ZIP), tenure())
    assert len(owed._owed) == MAX_OWED
    with owed.taking(FileKey(ModuleVersion(WIDGET.path, "v1.0.6"), FileKind.ZIP)):
        assert await seconds_to_end(owed) == 0
    assert owed._takers == {}


def debts(client: Client) -> Handover:
    assert client.node.mesh is not None
    return client.node.mesh.giving.handover


def slowly(size: int, seconds: float) -> faults.Fault:
    return faults.trickle(size // 20, seconds / 20)


async def wait_owed(client: Client) -> None:
    with trio.fail_after(20):
        while not debts(client)._owed:  # noqa: ASYNC110 - nor does a lease
            await trio.sleep(0.01)


async def wait_received(client: Client, least: int) -> None:
    with trio.fail_after(20):
        while received(client) < least:  # noqa: ASYNC110 - bytes ring no bell
            await trio.sleep(0.01)


@pytest.mark.parametrize("is_large", [True, False], ids=["pieces", "whole"])
async def test_a_fetcher_that_leaves_and_is_nearly_done_leaves_no_second_copy_behind(
    world: World, room: Room, is_large: bool
) -> None:
    size = publish_large(world) if is_large else len(world.zips[world.publish(text=b"package widget\n")])
    ann, bob = await start_room(room, 2)
    world.upstream.fault("v1.0.0.zip", slowly(size, 1.5))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask_in_vain, ann)
        with trio.fail_after(20):
            while not world.asked("v1.0.0.zip"):  # noqa: ASYNC110 - nor does a request
                await trio.sleep(0.01)
        answers: list[Any] = []

        async def ask() -> None:
            answers.append(await bob.file(WIDGET, "zip"))

        nursery.start_soon(ask)
        await wait_received(bob, 1)
        await room.stop(ann)
    [answer] = answers
    assert answer.headers["P2pmods-Source"] == "peer"
    assert answer.content == world.zips[WIDGET]
    assert world.asked("v1.0.0.zip") == 1


async def test_a_node_stops_at_once_when_nobody_takes_what_it_fetches(world: World, room: Room) -> None:
    size = publish_large(world)
    ann, _bob = await start_room(room, 2)
    world.upstream.fault("v1.0.0.zip", slowly(size, 30))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask_in_vain, ann)
        await wait_owed(ann)
        assert await seconds_to_end(debts(ann)) < LULL
        await room.stop(ann)


async def test_who_has_taken_it_is_counted_however_it_was_taken(world: World, room: Room) -> None:
    publish_large(world)
    small = world.publish(OTHER.module)
    ann, bob, eve = await start_room(room, 3)
    for module in (WIDGET, small):
        key = FileKey(module, FileKind.ZIP)
        assert (await ann.get(key)).headers["P2pmods-Source"] == "upstream"
        assert debts(ann)._owed[key].is_obliged
        assert (await bob.get(key)).headers["P2pmods-Source"] == "peer"
        with trio.fail_after(10):
            while bob.node_id not in debts(ann)._owed[key]._served:  # noqa: ASYNC110
                await trio.sleep(0.01)
        # Of two holders it is chance which one gives; of pieces both do.
        assert (await eve.get(key)).headers["P2pmods-Source"] == "peer"


async def test_the_homes_of_what_it_fetches_hear_that_a_node_leaves(scene: Scene, room: Room, world: World) -> None:
    module = scene.next_version()
    world.upstream.fault(f"{module.version}.zip", faults.hang())

    async def grant(call: Call) -> None:
        key = scene.mesh.swarm.object_key(module)
        await call.reply(Grant(grant_terms(scene.eve.key, key, call.peer, b"t" * 16)))

    scene.eve.answers[Claim] = grant
    async with trio.open_nursery() as nursery:
        nursery.start_soon(scene.ann.file, module, "zip")
        with trio.fail_after(20):
            while not world.asked(f"{module.version}.zip"):  # noqa: ASYNC110
                await trio.sleep(0.01)
        await scene.ann.node.meshing.leave()
        with trio.fail_after(5):
            while not (said := [m for m in scene.eve.heard if isinstance(m, Release)]):  # noqa: ASYNC110
                await trio.sleep(0.01)
        nursery.cancel_scope.cancel()
    assert [(release.token, release.how) for release in said] == [(b"t" * 16, LEFT)]


async def test_after_a_fetcher_left_the_one_who_waited_fetches_for_all_and_not_for_itself(
    world: World, room: Room
) -> None:
    size = publish_large(world)
    ann, bob = await start_room(room, 2)
    world.upstream.fault("v1.0.0.zip", slowly(size, 60), times=1)
    answers: list[Any] = []

    async def ask() -> None:
        answers.append(await bob.file(WIDGET, "zip"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask_in_vain, ann)
        await wait_owed(ann)
        nursery.start_soon(ask)
        await wait_received(bob, 1)
        await room.stop(ann)
    assert [answer.content for answer in answers] == [world.zips[WIDGET]]
    assert bob.node.mesh is not None
    assert {how: count for how, count in bob.node.mesh.peers.outcomes.items() if count} == {FOR_ALL: 1}
