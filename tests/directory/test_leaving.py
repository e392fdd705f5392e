"""A fetcher that leaves in good order says so to the homes: the next one fetches for all, and at once."""

from __future__ import annotations

import pytest

from p2pmods.directory.claimstate import State
from p2pmods.testing.room import Room
from p2pmods.testing.roomnode import RoomNode


def leave(room: Room, name: str) -> None:
    """It tells its homes, and is gone a moment later."""

    def say(node: object, now: float) -> None:
        assert isinstance(node, RoomNode)
        for key, download in node.downloads.items():
            node._pursue(key, download.claimant.leave(), now)

    room.network.touch(name, say)
    room.network.run(0.05)
    room.kill(name)


def fetched_for_a_while(room: Room) -> str:
    """Nodes that are no homes want it; the fetcher, just after it has renewed its lease."""
    room.upstream_takes = 30
    room.want(name for name in room.up() if name not in room.homes())
    room.network.run_until(lambda: bool(room.fetchers()), within=5)
    room.network.run(2.2)
    (fetcher,) = room.fetchers()
    return fetcher


@pytest.mark.parametrize("seed", range(1, 6))
@pytest.mark.parametrize("nodes", [5, 6, 15])
def test_a_fetcher_that_leaves_is_followed_by_one_at_once(nodes: int, seed: int) -> None:
    room = Room(nodes, seed=seed, directors=3)
    leave(room, fetched_for_a_while(room))
    took = room.network.run_until(lambda: len(room.fetchers()) == 1, within=20)
    assert took is not None
    assert took < room.link_breaks_after + 0.5
    room.network.run(60)
    assert {download.claimant.state for download in room.downloads().values()} == {State.ENDED}
    assert room.copies() == 2


def test_after_one_that_is_killed_a_waiter_alone_fetches_for_itself() -> None:
    """One complaint proves nothing: so the test above tells that the homes have heard it."""
    room = Room(5, directors=3)
    room.kill(fetched_for_a_while(room))
    room.network.run(5)
    assert room.fetchers() == []
    assert [download.claimant.state for download in room.downloads().values()] == [State.ALONE]
