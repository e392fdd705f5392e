"""A node that leaves gives to the end what peers are taking, for two seconds at most, and says that it leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import trio

from p2pmods.directory.messages import LEFT, Claim, Grant, Release
from p2pmods.directory.proof import grant_terms
from p2pmods.mesh.claims import FOR_ALL
from p2pmods.testing import upstream_faults as faults
from tests.mesh.test_pieces import publish_large, received
from tests.mesh.test_two_nodes import ask_in_vain, start_room
from tests.world import WIDGET

if TYPE_CHECKING:
    from p2pmods.mesh.call import Call
    from tests.mesh.scene import Scene
    from tests.world import Client, Room, World


def slowly(size: int, seconds: float) -> faults.Fault:
    return faults.trickle(size // 20, seconds / 20)


async def wait_fetching(client: Client) -> None:
    assert client.node.mesh is not None
    with trio.fail_after(20):
        while not len(client.node.mesh.growing):  # noqa: ASYNC110 - nor does a lease
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
        await wait_fetching(ann)
        nursery.start_soon(ask)
        await wait_received(bob, 1)
        await room.stop(ann)
    assert [answer.content for answer in answers] == [world.zips[WIDGET]]
    assert bob.node.mesh is not None
    assert {how: count for how, count in bob.node.mesh.claiming.outcomes.items() if count} == {FOR_ALL: 1}


async def test_what_is_given_up_because_the_network_changed_is_given_to_nobody_any_more(
    scene: Scene, room: Room, world: World
) -> None:
    """Whoever read along is told at once, and not only when the claim has another way."""
    module = scene.next_version()
    world.upstream.fault(f"{module.version}.zip", faults.hang())
    claims = 0

    async def grant_once(call: Call) -> None:
        nonlocal claims
        claims += 1
        if claims > 1:
            await trio.sleep_forever()
        key = scene.mesh.swarm.object_key(module)
        await call.reply(Grant(grant_terms(scene.eve.key, key, call.peer, b"t" * 16)))

    scene.eve.answers[Claim] = grant_once
    async with trio.open_nursery() as nursery:
        nursery.start_soon(scene.ann.file, module, "zip")
        await wait_fetching(scene.ann)
        scene.mesh.claiming.moved(was_alone=False)
        with trio.fail_after(5):
            while claims < 2:  # noqa: ASYNC110 - nor does a claim
                await trio.sleep(0.01)
        assert len(scene.mesh.growing) == 0
        nursery.cancel_scope.cancel()
