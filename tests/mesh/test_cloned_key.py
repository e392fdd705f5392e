"""Two machines made from one image have one key: each notices, and goes on under a key of its own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import trio

from p2pmods.errors import StoreError
from p2pmods.identity.key import format_key, node_id, parse_key
from p2pmods.mesh.mesh import Mesh
from p2pmods.mesh.ports import CannotListenForPeers
from p2pmods.node import meshing
from tests.mesh.test_two_nodes import download
from tests.world import Client, Room, World, wait_met, wait_offered

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

SEED = (6974).to_bytes(32, "big")  # of a low id: Ann hears both of them from the first moment
CLONED = node_id(parse_key(format_key(SEED)))


async def start_from_image(world: World, room: Room, name: str, *others: Client) -> Client:
    data = world.directory / name
    data.mkdir(mode=0o700)
    (data / "identity.key").write_bytes(format_key(SEED))
    client = await room.start(name, *others)
    assert client.node.node_id == CLONED
    return client


async def wait_for(condition: Callable[[], bool]) -> None:
    with trio.fail_after(30):
        while not condition():  # noqa: ASYNC110 - no event tells of another node's key
            await trio.sleep(0.05)


async def test_two_nodes_with_one_key_become_two_nodes_and_work(world: World, room: Room) -> None:
    world.publish()
    ann = await room.start("ann")
    await download(ann)
    await ann.wait_proven()
    bob = await start_from_image(world, room, "bob", ann)
    copy = await start_from_image(world, room, "copy", ann)
    await wait_for(lambda: len({ann.node.node_id, bob.node.node_id, copy.node.node_id}) == 3)
    await wait_met(ann, bob, copy)
    for client in (bob, copy):
        await wait_offered(client)
        assert (await download(client))["zip"] == "peer"  # over the same API as before


async def test_the_new_key_is_kept_and_told(world: World, room: Room) -> None:
    bob = await start_from_image(world, room, "bob")
    assert bob.node.mesh is not None
    data = bob.node.config.data
    bob.node.mesh.cloned.set()
    await wait_for(lambda: json.loads((data / "node.json").read_text())["node_id"] != CLONED)
    assert json.loads((data / "node.json").read_text())["node_id"] == bob.node.node_id
    assert node_id(parse_key((data / "identity.key").read_bytes())) == bob.node.node_id
    assert (data / "identity.key").stat().st_mode & 0o777 == 0o600
    assert (await bob.status())["node_id"] == bob.node.node_id
    assert bob.peer == bob.node.mesh.address  # the port is the same


async def test_a_key_that_cannot_be_kept_is_used_all_the_same(
    world: World, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise StoreError("no space left")

    monkeypatch.setattr(meshing, "replace", full)
    bob = await start_from_image(world, room, "bob")
    assert bob.node.mesh is not None
    bob.node.mesh.cloned.set()
    await wait_for(lambda: bob.node.node_id != CLONED)
    assert node_id(parse_key((bob.node.config.data / "identity.key").read_bytes())) == CLONED


async def test_a_port_that_is_taken_meanwhile_is_tried_again_and_the_api_goes_on(
    world: World, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meshing, "AGAIN_AFTER", 0.1)
    bob = await start_from_image(world, room, "bob")
    before = bob.node.mesh
    assert before is not None
    tries = []

    def taken(*arguments: object) -> object:
        tries.append(arguments)
        if len(tries) < 3:
            raise CannotListenForPeers("peers: cannot listen")
        return Mesh(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(meshing, "Mesh", taken)
    before.cloned.set()
    await wait_for(lambda: bob.node.mesh is not before)
    assert len(tries) == 3
    assert (await bob.status())["node_id"] == bob.node.node_id != CLONED
