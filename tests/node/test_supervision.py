"""A fault in background work is reported and survived."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from p2pmods.errors import StoreError
from p2pmods.fetch.sharing import Sharing, answer_of
from p2pmods.mesh.roles import Roles
from p2pmods.node import meshing
from p2pmods.node.supervision import AGAIN_AFTER, supervised
from tests.mesh.test_two_nodes import download
from tests.world import open_room, wait_met, wait_offered

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.world import World


async def test_background_work_that_fails_is_begun_again(autojump_clock: trio.testing.MockClock) -> None:
    begun: list[float] = []

    async def work(*, task_status: trio.TaskStatus[None]) -> None:
        begun.append(trio.current_time())
        if len(begun) < 3:
            raise RuntimeError("a fault of ours")
        task_status.started()

    async with trio.open_nursery() as nursery:
        await nursery.start(supervised, "work", work)
    assert [round(at - begun[0]) for at in begun] == [0, AGAIN_AFTER, 2 * AGAIN_AFTER]


@pytest.mark.parametrize("error", [StoreError("expected"), RuntimeError("a fault of ours")])
async def test_shared_work_that_fails_fails_its_waiters_and_not_the_node(error: Exception) -> None:
    async def make() -> int:
        await trio.lowlevel.checkpoint()
        raise error

    async with trio.open_nursery() as nursery:
        sharing: Sharing[int] = Sharing(nursery, StoreError)
        for _ in range(2):
            with pytest.raises(type(error), match=str(error)):
                await sharing.get("key", make)
        assert len(sharing) == 0


async def test_what_one_waiter_does_not_wait_for_the_others_still_get() -> None:
    done = trio.Event()

    async def make() -> int:
        await done.wait()
        return 42

    async with trio.open_nursery() as nursery:
        sharing: Sharing[int] = Sharing(nursery, StoreError)
        with trio.move_on_after(0):
            await sharing.get("key", make)
        work = sharing.start("key", make)
        assert not work.is_done
        done.set()
        assert await work.wait() == 42


async def test_work_that_fails_after_its_answer_fails_nobody() -> None:
    go_on = trio.Event()

    async def work(answer: Callable[[int], None]) -> None:
        answer(42)
        await go_on.wait()
        raise RuntimeError("a fault of ours")

    async with trio.open_nursery() as nursery:
        assert await answer_of(nursery, work, "work") == 42
        go_on.set()


async def test_work_that_fails_before_its_answer_fails_who_waits_for_it() -> None:
    async def work(_answer: Callable[[int], None]) -> None:
        await trio.lowlevel.checkpoint()
        raise StoreError("no room")

    async with trio.open_nursery() as nursery:
        with pytest.raises(StoreError, match="no room"):
            await answer_of(nursery, work, "work")


async def test_a_fault_in_the_mesh_ends_neither_the_node_nor_its_mesh(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meshing, "AGAIN_AFTER", 0.0)
    faults = iter([RuntimeError("a fault of ours"), RuntimeError("another")])
    wait = Roles.run

    async def fail(self: Roles) -> None:
        for error in faults:
            raise error
        await wait(self)

    world.publish()
    async with open_room(world) as room:
        ann = await room.start("ann")
        await download(ann)
        await ann.wait_proven()
        monkeypatch.setattr(Roles, "run", fail)
        bob = await room.start("bob", ann)
        await wait_met(ann, bob)
        await wait_offered(bob)
        assert (await download(bob))["zip"] == "peer"
        assert next(faults, None) is None
