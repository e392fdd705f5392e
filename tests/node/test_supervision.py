"""A fault in background work is reported and survived."""

from __future__ import annotations

import pytest
import trio

from p2pmods.errors import StoreError
from p2pmods.fetch.sharing import Sharing
from p2pmods.node.supervision import AGAIN_AFTER, supervised


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
