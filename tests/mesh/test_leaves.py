"""Real nodes that can only dial out: fully served, and serving, by the directors between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import trio

from p2pmods.mesh.links import Links
from p2pmods.mesh.ports import open_sockets
from p2pmods.testing import upstream_faults as faults
from tests.mesh.test_two_nodes import FROM_PEERS, download, fetch_all
from tests.world import WIDGET, Client, Room, World, noise, wait_offered

if TYPE_CHECKING:
    import socket

LEAVES = ("leo", "mia")


@pytest.fixture(autouse=True)
def _leaves_refuse_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """As behind a firewall: whoever dials one of LEAVES is hung up on."""
    refusing: set[int] = set()
    welcome = Links._welcome

    def open_some(listen: Any, data: Any) -> Any:
        found = open_sockets(listen, data)
        if data.name in LEAVES:
            refusing.add(found.port)
        return found

    def refuse(links: Links, sock: socket.socket, host: str) -> None:
        if links.port in refusing:
            sock.close()
        else:
            welcome(links, sock, host)

    monkeypatch.setattr("p2pmods.mesh.mesh.open_sockets", open_some)
    monkeypatch.setattr(Links, "_welcome", refuse)


async def wait_linked(leaf: Client, director: Client) -> None:
    """Until the leaf knows the director as one, and holds a link to it."""
    assert leaf.node.mesh is not None
    with trio.fail_after(20):
        while director.node.node_id not in leaf.node.mesh.peers.known & leaf.node.mesh.links.linked():  # noqa: ASYNC110
            await trio.sleep(0.02)


async def start_leaves(room: Room) -> tuple[Client, Client, Client]:
    """Ann, a director, once two leaves have made one of her; Leo and Mia, the leaves."""
    ann = await room.start("ann")
    leo = await room.start("leo", ann)
    mia = await room.start("mia", ann)
    for leaf in (leo, mia):
        await wait_linked(leaf, ann)
    return ann, leo, mia


def is_director(client: Client) -> bool:
    assert client.node.mesh is not None
    return client.node.mesh.standing.is_director


async def test_a_node_that_can_only_dial_out_is_no_director_and_makes_one(room: Room) -> None:
    ann, leo, mia = await start_leaves(room)
    assert [is_director(client) for client in (ann, leo, mia)] == [True, False, False]


async def test_what_a_leaf_has_a_director_gets(world: World, room: Room) -> None:
    world.publish()
    ann, leo, _ = await start_leaves(room)
    await download(leo)
    await leo.wait_proven()
    await wait_offered(ann)
    world.upstream.fault("", faults.status(503))
    assert (await download(ann))["zip"] == "peer"


@pytest.mark.parametrize("size", [1000, 2_500_000], ids=["whole", "what others would get in pieces"])
async def test_what_a_leaf_has_another_leaf_gets_through_a_director_that_keeps_it(
    world: World, room: Room, size: int
) -> None:
    world.publish(text=noise(size))
    ann, leo, mia = await start_leaves(room)
    await download(leo)
    await leo.wait_proven()
    await wait_offered(mia)
    world.upstream.fault("", faults.status(503))
    assert await download(mia) == FROM_PEERS
    assert (await mia.file(WIDGET, "zip")).content == world.zips[WIDGET]
    zip_file = next(file for file in (await mia.why(WIDGET))["files"] if file["name"] == "zip")
    assert zip_file["source"]["id"] == ann.node.node_id
    await room.stop(leo)
    assert await download(ann) == dict.fromkeys(FROM_PEERS, "store")


@pytest.mark.parametrize("size", [400_000, 2_500_000])
async def test_a_leaf_reads_along_while_another_one_fetches(world: World, room: Room, size: int) -> None:
    world.publish(text=noise(size))
    size = len(world.zips[WIDGET])
    _, leo, mia = await start_leaves(room)
    world.upstream.fault("v1.0.0.zip", faults.trickle(size // 20, 0.1))
    assert sorted(await fetch_all([leo, mia])) == ["peer", "upstream"]
    assert world.asked("v1.0.0.zip") == 1
