"""Real nodes and a large zip: in pieces, from everybody to everybody, while it still arrives."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import trio

from p2pmods.testing import upstream_faults as faults
from tests.mesh.test_two_nodes import ask_in_vain, download, fetch_all, files_asked, start_room
from tests.world import WIDGET, Client, Room, World, noise, wait_met, wait_offered

if TYPE_CHECKING:
    from p2pmods.mesh.tallies import Tally

SIZE = 6 << 20  # bytes of text; the zip has half of it and a little


def publish_large(world: World) -> int:
    """The size of WIDGET's zip."""
    return len(world.zips[world.publish(text=noise(2 * SIZE))])



def given(client: Client) -> int:
    """Bytes to all peers."""
    assert client.node.mesh is not None
    return client.node.mesh.giving.statistics().bytes


async def test_a_large_zip_comes_from_its_holder(world: World, room: Room) -> None:
    publish_large(world)
    ann = await room.start("ann")
    await download(ann)
    await ann.wait_proven()
    bob = await room.start("bob", ann)
    await wait_met(ann, bob)
    await wait_offered(bob)
    asked = files_asked(world)
    answer = await bob.file(WIDGET, "zip")
    assert answer.headers["P2pmods-Source"] == "peer"
    assert answer.content == world.zips[WIDGET]
    assert files_asked(world) == asked
    why = await bob.why(WIDGET)
    assert {file["source"]["id"] for file in why["files"]} == {ann.node.node_id}
    await bob.wait_proven()
    assert (await bob.file(WIDGET, "zip")).content == world.zips[WIDGET]


async def test_those_who_wait_give_to_each_other_what_they_have(world: World, room: Room) -> None:
    size = publish_large(world)
    nodes = await start_room(room, 5)
    world.upstream.fault("v1.0.0.zip", faults.trickle(size // 20, 0.05))
    sources = await fetch_all(nodes)
    assert sorted(sources) == ["peer"] * 4 + ["upstream"]
    assert world.asked("v1.0.0.zip") == 1
    fetcher = nodes[sources.index("upstream")]
    for node in nodes:
        assert (await node.file(WIDGET, "zip")).content == world.zips[WIDGET]
        assert node is fetcher or given(node) > 0
    assert size < given(fetcher) < 4 * size
