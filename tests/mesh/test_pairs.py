"""One link for each pair, which ends when it should, and no request suffers for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from p2pmods.errors import PeerError
from p2pmods.mesh import table
from p2pmods.mesh.limits import LinkLimits
from tests.mesh.world import KEYS, Echo, Unheard, Want, ask, place_of, read_all, soon, world

if TYPE_CHECKING:
    from pathlib import Path

    from p2pmods.mesh.call import Call
    from p2pmods.mesh.links import Links


async def wait_links(links: Links, count: int) -> None:
    """Until so many are left, and those given up have ended."""
    while len(every := list(links._table)) != count or links.statistics().links != count:
        going = [link for link in every if not link.is_usable]
        if going:
            await going[0].ended.wait()
        await wait_all_tasks_blocked(0.001)


def ways(links: Links) -> list[bool]:
    return [peer.is_dialler for peer in links.statistics().peers]


async def test_a_node_that_lost_its_link_is_let_in_whatever_its_id_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It started again, say; the other side has noticed nothing yet, and would keep the link that it dialled."""
    monkeypatch.setattr(table, "SAME_MOMENT", 0.0)
    async with world(tmp_path) as w:
        low, high = await w.start(key=KEYS[0]), await w.start(key=KEYS[1])
        assert await low.dial(place_of(high), deadline=soon()) == high.node_id
        again = await w.start(key=KEYS[1], is_known=False)
        assert await again.dial(place_of(low), deadline=soon()) == low.node_id
        await wait_links(low, 1)
        assert ways(low) == [False]
        assert await ask(again, low) == Echo("hello")
        assert await ask(low, again) == Echo("hello")


@pytest.mark.parametrize("order", ["lower first", "higher first", "together"])
async def test_of_two_links_the_one_that_the_lower_id_dialled_remains(tmp_path: Path, order: str) -> None:
    async with world(tmp_path) as w:
        low, high = await w.start(key=KEYS[0]), await w.start(key=KEYS[1])
        assert low.node_id < high.node_id

        async def dial(one: Links, other: Links) -> None:
            assert await one.dial(place_of(other), deadline=soon()) == other.node_id

        pairs = [(low, high), (high, low)]
        if order == "together":
            async with trio.open_nursery() as nursery:
                for pair in pairs:
                    nursery.start_soon(dial, *pair)
        else:
            for pair in pairs if order == "lower first" else reversed(pairs):
                await dial(*pair)
        await wait_links(low, 1)
        await wait_links(high, 1)
        assert (ways(low), ways(high)) == ([True], [False])
        assert await ask(high, low) == Echo("hello")


async def test_requests_on_the_link_that_goes_are_answered_all_the_same(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        low, high = await w.start(key=KEYS[0]), await w.start(key=KEYS[1])
        gate, begun = trio.Event(), trio.Event()

        async def wait(call: Call) -> None:
            begun.set()
            await gate.wait()
            await call.reply(call.message)

        low.on(Unheard, wait)

        async def held() -> None:
            assert (await high.request(low.node_id, Unheard(), deadline=soon())).message == Unheard()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(held)
            await begun.wait()
            body = await high.request(low.node_id, Want(30_000_000), deadline=soon())
            await low.dial(place_of(high), deadline=soon())
            for number in range(50):
                nursery.start_soon(ask, high, low, str(number))
            assert await read_all(body) == 30_000_000
            gate.set()
        await wait_links(high, 1)
        assert ways(high) == [False]


async def test_many_who_dial_each_other_at_once_lose_no_request(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        nodes = [await w.start() for _ in range(4)]
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                for one in nodes:
                    for other in nodes:
                        if one is not other:
                            nursery.start_soon(ask, one, other)
        for node in nodes:
            await wait_links(node, 3)
            assert len(node.linked()) == 3


async def test_who_dials_twice_keeps_the_newer_link(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        ann, bob = await w.start(), await w.start()
        for _ in range(3):
            await ann.dial(place_of(bob), deadline=soon())
        await wait_links(ann, 1)
        await wait_links(bob, 1)
        assert await ask(bob, ann) == Echo("hello")
        assert bob.statistics().dialled == 0


async def test_a_link_that_is_given_up_finishes_what_is_under_way(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        ann, bob = await w.start(), await w.start()
        body = await ann.request(bob.node_id, Want(10_000_000), deadline=soon())
        bob.closing(ann.node_id, "to make room")
        assert await read_all(body) == 10_000_000
        await wait_links(bob, 0)
        await wait_links(ann, 0)
        assert await ask(ann, bob) == Echo("hello")
        assert ann.statistics().dialled == 2


async def test_after_a_reset_requests_fail_at_once_and_new_ones_find_a_new_link(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        ann, bob = await w.start(), await w.start()
        body = await ann.request(bob.node_id, Want(50_000_000), deadline=soon())
        ann.reset("this machine woke up")
        with pytest.raises(PeerError, match="this machine woke up"):
            await read_all(body)
        assert ann.linked() == frozenset()
        assert ann.statistics().held == 0
        assert await ask(ann, bob) == Echo("hello")


async def test_idle_links_are_given_up_but_for_pinned_and_used_ones(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        ann = await w.start(limits=LinkLimits(idle=0.0, tick=1000))
        idle, pinned, used = [await w.start() for _ in range(3)]
        for peer in (idle, pinned, used):
            await ask(ann, peer)
        ann.pin(pinned.node_id)
        body = await ann.request(used.node_id, Want(10_000_000), deadline=soon())
        ann.tidy()
        assert ann.linked() == {pinned.node_id, used.node_id}
        assert await read_all(body) == 10_000_000
        ann.unpin(pinned.node_id)
        ann.tidy()
        await wait_links(ann, 0)
        await wait_links(pinned, 0)


async def test_a_link_in_use_is_not_idle(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        ann, bob = await w.start(limits=LinkLimits(idle=60)), await w.start()
        await ask(ann, bob)
        ann.tidy()
        assert ann.linked() == {bob.node_id}


async def test_a_node_that_stops_fails_what_was_asked_of_it(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        ann, bob = await w.start(), await w.start()
        body = await ann.request(bob.node_id, Want(50_000_000), deadline=soon())
        bob.reset("stopping")
        with pytest.raises(PeerError, match="closed the connection"):
            await read_all(body)
        assert ann.statistics().held == 0


async def test_a_small_question_does_not_wait_behind_bulk(tmp_path: Path) -> None:
    """With bodies filling the link both ways, an answer passes all but what the kernel and TLS hold already."""
    async with world(tmp_path) as w:
        ann, bob = await w.start(), await w.start()
        gate = trio.Event()

        async def read_when_told() -> int:
            body = await ann.request(bob.node_id, Want(40_000_000), deadline=soon())
            await gate.wait()
            return await read_all(body)

        async with trio.open_nursery() as nursery:
            for _ in range(4):
                nursery.start_soon(read_when_told)
            for number in range(20):
                assert await ask(ann, bob, str(number)) == Echo(str(number))
            before = ann.statistics().peers[0].received
            await ask(ann, bob)
            assert ann.statistics().peers[0].received - before < 4 << 20
            gate.set()
