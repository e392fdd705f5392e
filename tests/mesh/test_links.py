"""What links promise to the services above them, on loopback."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from p2pmods.errors import PeerError, PeerRefused
from p2pmods.identity.records import Endpoint
from p2pmods.mesh.limits import HELD_FLOOR, LinkLimits
from p2pmods.wire.events import Code
from tests.mesh.world import Echo, Unheard, Want, ask, listening, place_of, read_all, soon, world

if TYPE_CHECKING:
    from pathlib import Path

    from p2pmods.mesh.call import Call


async def test_a_node_asks_another_by_its_id_alone(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        ann, bob = await w.start(), await w.start()
        assert await ask(ann, bob, "hello") == Echo("hello")
        assert ann.linked() == {bob.node_id}
        assert bob.linked() == {ann.node_id}


async def test_who_was_dialled_asks_over_the_same_link(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        ann, bob = await w.start(is_known=False), await w.start()
        await ask(ann, bob)
        assert await ask(bob, ann, "back") == Echo("back")
        assert bob.statistics().dialled == 0


async def test_a_hundred_ask_at_once_and_there_is_one_dial(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        ann, bob = await w.start(), await w.start()
        async with trio.open_nursery() as nursery:
            for number in range(300):
                nursery.start_soon(ask, ann, bob, str(number))
        assert ann.statistics().dialled == 1
        assert bob.statistics().peers[0].answered == 300


async def test_who_asked_first_may_leave_without_harm_to_who_waits_for_the_same_dial(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        ann, bob = await w.start(), await w.start()
        with listening() as silent:
            w.places[bob.node_id].insert(0, Endpoint("127.0.0.1", silent.getsockname()[1]))
            first = trio.CancelScope()

            async def leave() -> None:
                with first:
                    await ask(ann, bob)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(leave)
                await wait_all_tasks_blocked()
                nursery.start_soon(ask, ann, bob)
                await wait_all_tasks_blocked()
                first.cancel()
        assert first.cancelled_caught
        assert ann.statistics().dialled == 2


@pytest.mark.parametrize("size", [0, 1, 100_000, 20_000_000])
async def test_a_body_arrives_whole(tmp_path: Path, size: int) -> None:
    async with world(tmp_path) as w:
        ann, bob = await w.start(), await w.start()
        answer = await ann.request(bob.node_id, Want(size), deadline=soon(), floor=HELD_FLOOR)
        assert answer.message == Want(size)
        assert answer.length == size
        assert answer.node_id == bob.node_id
        assert await read_all(answer) == size
        assert ann.statistics().held == 0


async def test_a_discarded_body_stops_and_holds_nothing(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        ann, bob = await w.start(), await w.start()
        stopped = trio.Event()

        async def endless(call: Call) -> None:
            try:
                await call.reply_stream(call.message)
                while True:
                    await call.send(bytes(100_000))
            finally:
                stopped.set()

        bob.on(Unheard, endless)
        answer = await ann.request(bob.node_id, Unheard(), deadline=soon())
        await anext(answer)
        await answer.discard()
        await stopped.wait()
        assert ann.statistics().held == 0
        with pytest.raises(PeerError, match="discarded"):
            await anext(answer)
        assert await ask(ann, bob) == Echo("hello")


async def test_a_message_that_nobody_handles_is_refused_and_the_link_goes_on(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        ann, bob = await w.start(), await w.start()
        with pytest.raises(PeerRefused, match="Unheard is not handled here") as caught:
            await ann.request(bob.node_id, Unheard(), deadline=soon())
        assert caught.value.code == Code.UNKNOWN
        assert await ask(ann, bob) == Echo("hello")
        assert ann.statistics().dialled == 1


async def test_a_refusal_brings_its_code_and_text(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        ann, bob = await w.start(), await w.start()

        async def refuse(call: Call) -> None:
            await call.refuse(77, "not today")

        bob.on(Unheard, refuse)
        with pytest.raises(PeerRefused, match=r"not today \(77\)") as caught:
            await ann.request(bob.node_id, Unheard(), deadline=soon())
        assert caught.value.code == 77
        assert caught.value.node_id == bob.node_id


@pytest.mark.parametrize("error", [RuntimeError("bug"), PeerError("x", "lost"), ExceptionGroup("", [OSError()])])
async def test_a_handler_that_fails_fails_its_request_alone(tmp_path: Path, error: Exception) -> None:
    async with world(tmp_path) as w:
        ann, bob = await w.start(), await w.start()

        async def fail(call: Call) -> None:
            await trio.lowlevel.checkpoint()
            raise error

        bob.on(Unheard, fail)
        with pytest.raises(PeerRefused) as caught:
            await ann.request(bob.node_id, Unheard(), deadline=soon())
        assert caught.value.code == Code.FAILED
        assert await ask(ann, bob) == Echo("hello")
        assert ann.statistics().dialled == 1


async def test_a_body_shorter_than_announced_is_an_error_and_not_a_body(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        ann, bob = await w.start(), await w.start()

        async def short(call: Call) -> None:
            await call.reply_stream(call.message, 100)
            await call.send(bytes(99))
            await call.end()

        bob.on(Unheard, short)
        answer = await ann.request(bob.node_id, Unheard(), deadline=soon())
        with pytest.raises(PeerRefused):
            await read_all(answer)


async def test_a_notice_is_handled_and_has_no_answer(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        ann, bob = await w.start(), await w.start()
        heard: list[str] = []
        done = trio.Event()

        async def hear(call: Call) -> None:
            heard.append(call.peer)
            assert call.is_notice
            await call.refuse(Code.FAILED, "in vain")
            done.set()

        bob.on(Unheard, hear)
        await ann.notify(bob.node_id, Unheard())
        await done.wait()
        assert heard == [ann.node_id]


async def test_a_notice_to_who_cannot_be_reached_is_dropped(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        ann, bob = await w.start(), await w.start(is_known=False)
        await ann.notify(bob.node_id, Unheard())
        assert ann.linked() == frozenset()


async def test_a_node_of_which_no_address_is_known_cannot_be_asked(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        ann, bob = await w.start(), await w.start(is_known=False)
        with pytest.raises(PeerError, match="no address of it is known"):
            await ask(ann, bob)


async def test_an_address_that_leads_nowhere_does_not_stop_the_next(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        ann, bob = await w.start(), await w.start()
        with listening() as closed:
            nowhere = Endpoint("127.0.0.1", closed.getsockname()[1])
        w.places[bob.node_id].insert(0, nowhere)
        assert await ask(ann, bob) == Echo("hello")


async def test_an_address_where_another_node_is_does_not_stop_the_next(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        ann, bob, eve = await w.start(), await w.start(), await w.start()
        w.places[bob.node_id].insert(0, place_of(eve))
        assert await ask(ann, bob) == Echo("hello")
        assert ann.linked() == {bob.node_id}
        with pytest.raises(PeerError, match="another node is at that address"):
            await ann.dial(place_of(eve), expect=bob.node_id, deadline=soon())


async def test_dialling_an_address_tells_who_is_there(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        ann, bob = await w.start(), await w.start(is_known=False)
        assert await ann.dial(place_of(bob), deadline=soon()) == bob.node_id
        assert await ask(ann, bob) == Echo("hello")


async def test_a_dial_to_ourselves_is_no_link(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        ann = await w.start()
        with pytest.raises(PeerError, match="this is the node itself"):
            await ann.dial(place_of(ann), deadline=soon())
        with pytest.raises(PeerError, match="this is the node itself"):
            await ask(ann, ann)
        assert ann.linked() == frozenset()


async def test_a_request_fails_at_its_deadline_and_cancels_its_handler(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        ann, bob = await w.start(), await w.start()
        stopped = trio.Event()

        async def never(_: Call) -> None:
            try:
                await trio.sleep_forever()
            finally:
                stopped.set()

        bob.on(Unheard, never)
        await ask(ann, bob)
        with pytest.raises(PeerError, match="no answer in time"):
            await ann.request(bob.node_id, Unheard(), deadline=trio.current_time() + 0.05)
        await stopped.wait()
        assert await ask(ann, bob) == Echo("hello")


async def test_a_cancelled_request_cancels_its_handler(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        ann, bob = await w.start(), await w.start()
        begun, stopped = trio.Event(), trio.Event()

        async def never(_: Call) -> None:
            begun.set()
            try:
                await trio.sleep_forever()
            finally:
                stopped.set()

        bob.on(Unheard, never)
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(lambda: ann.request(bob.node_id, Unheard(), deadline=soon()))
                await begun.wait()
                scope.cancel()
        await stopped.wait()
        assert ann.statistics().held == 0
        assert await ask(ann, bob) == Echo("hello")


async def test_a_reader_that_is_cancelled_gives_the_body_up(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        ann, bob = await w.start(), await w.start()
        answer = await ann.request(bob.node_id, Want(50_000_000), deadline=soon())
        with trio.CancelScope() as scope:
            async for _ in answer:
                scope.cancel()
        assert ann.statistics().held == 0
        assert await ask(ann, bob) == Echo("hello")


async def test_more_handlers_than_allowed_are_refused(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        ann, bob = await w.start(), await w.start(limits=LinkLimits(handlers=3))
        full, codes = trio.Event(), list[int]()
        begun = 0

        async def hold(call: Call) -> None:
            nonlocal begun
            begun += 1
            if begun == 3:
                full.set()
            await trio.sleep_forever()

        async def one() -> None:
            await ann.request(bob.node_id, Unheard(), deadline=soon())

        bob.on(Unheard, hold)
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(one)
            await full.wait()
            with pytest.raises(PeerRefused) as caught:
                await ask(ann, bob)
            codes.append(caught.value.code)
            nursery.cancel_scope.cancel()
        assert codes == [Code.BUSY]


async def test_requests_beyond_the_128_wait_for_their_turn(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        ann, bob = await w.start(), await w.start()
        gate, full = trio.Event(), trio.Event()
        begun = 0

        async def hold(call: Call) -> None:
            nonlocal begun
            begun += 1
            if begun == 128:
                full.set()
            await gate.wait()
            await call.reply(call.message)

        bob.on(Unheard, hold)
        async with trio.open_nursery() as nursery:
            for _ in range(200):
                nursery.start_soon(lambda: ann.request(bob.node_id, Unheard(), deadline=soon()))
            await full.wait()
            gate.set()
        assert begun == 200
        assert ann.statistics().dialled == 1
