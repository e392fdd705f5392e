"""Real nodes and a large zip: in pieces, from everybody to everybody, while it still arrives."""

from __future__ import annotations

import trio

from p2pmods.swarm.pieces import PIECE
from p2pmods.testing import upstream_faults as faults
from tests.mesh.test_two_nodes import ask_in_vain, check_taken_over, download, fetch_all, files_asked, start_room
from tests.world import WIDGET, Client, Room, World, noise, wait_met, wait_offered

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
    assert 0.9 * size < given(fetcher) < 1.5 * size


async def test_what_came_of_a_fetcher_that_stopped_is_kept_for_the_next_one(world: World, room: Room) -> None:
    """Of the new fetcher the others take only what they lack."""
    size = publish_large(world)
    nodes = await start_room(room, 4)
    begun, half = trio.Event(), trio.Event()

    async def stall_at_half(exchange: faults.Exchange) -> None:
        async def send(upto: int) -> None:
            step = size // 40
            for at in range(0, upto, step):
                await exchange.stream.send_all(exchange.answer.body[at : at + step])
                await trio.sleep(0.02)

        begun.set()
        await exchange.head(exchange.answer)
        await send(size // 2)
        half.set()
        await trio.sleep_forever()

    world.upstream.fault("v1.0.0.zip", stall_at_half, times=1)
    sources: list[str] = []
    async with trio.open_nursery() as nursery:
        first = nodes[0]
        nursery.start_soon(ask_in_vain, first)
        await begun.wait()

        async def fetch_rest() -> None:
            sources.extend(await fetch_all(nodes[1:]))

        nursery.start_soon(fetch_rest)
        await half.wait()
        enough = size // 2 - 3 * PIECE
        while min(received(node) for node in nodes[1:]) < enough:  # noqa: ASYNC110 - pieces ring no bell
            await trio.sleep(0.01)
        nursery.start_soon(room.stop, first)
    check_taken_over(world, sources)
    for node in nodes[1:]:
        assert (await node.file(WIDGET, "zip")).content == world.zips[WIDGET]
    waiters = [node for node, source in zip(nodes[1:], sources, strict=True) if source == "peer"]
    for node in waiters:
        assert received(node) < 1.2 * size


def received(client: Client) -> int:
    """Bytes from all peers."""
    assert client.node.mesh is not None
    return client.node.mesh.receiving.by_peer.total.bytes
