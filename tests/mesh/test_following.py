"""Following somebody: its news are heard in order, and whatever it says it takes nobody's turn for long."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest
import trio

from p2pmods.errors import MalformedData
from p2pmods.mesh.following import follow
from p2pmods.swarm.pieces import Follow, Followed, Have, ObjectName, pack_news

if TYPE_CHECKING:
    from p2pmods.mesh.links import Links

WANTED = Follow(ObjectName("example.com/m", "v1.0.0", None, bytes(16)), 0, b"")


class FakeAnswer:
    """One who answers with `message` and then says all of `data` at once."""

    def __init__(self, message: object, data: bytes) -> None:
        self.message = message
        self.data = data
        self.is_discarded = False

    def __aiter__(self) -> FakeAnswer:
        return self

    async def __anext__(self) -> bytes:
        await trio.lowlevel.checkpoint()
        data, self.data = self.data, b""
        if not data:
            raise StopAsyncIteration
        return data

    async def discard(self) -> None:
        await trio.lowlevel.checkpoint()
        self.is_discarded = True

    async def request(self, _node: str, _message: object, *, deadline: float) -> Any:
        assert deadline < trio.current_time() + 1_000
        await trio.lowlevel.checkpoint()
        return self


def saying(count: int, message: object = Followed()) -> tuple[FakeAnswer, Links]:
    answer = FakeAnswer(message, count * pack_news(Have(b"\x01")))
    return answer, cast("Links", answer)


async def test_one_who_says_very_much_at_once_takes_nobodys_turn() -> None:
    _, links = saying(1_000)
    heard: list[object] = []
    most = 0

    async def do_something_else() -> None:
        nonlocal most
        while len(heard) < 1_000:
            before = len(heard)
            await trio.lowlevel.checkpoint()
            most = max(most, len(heard) - before)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(do_something_else)
        await follow(links, "eve", WANTED, heard.append)
    assert len(heard) == 1_000
    assert most < 10


async def test_what_comes_after_nonsense_is_not_wanted() -> None:
    answer, links = saying(1)

    def hear(_news: object) -> None:
        raise MalformedData("news", "nonsense")

    with pytest.raises(MalformedData):
        await follow(links, "eve", WANTED, hear)
    assert answer.is_discarded


async def test_whoever_answers_something_else_is_not_followed() -> None:
    answer, links = saying(1, Have(b""))
    heard: list[object] = []
    with pytest.raises(MalformedData):
        await follow(links, "eve", WANTED, heard.append)
    assert answer.is_discarded
    assert heard == []


async def test_who_follows_no_more_does_not_want_the_rest() -> None:
    answer, links = saying(1_000)
    with trio.CancelScope() as scope:
        await follow(links, "eve", WANTED, lambda _news: scope.cancel())
    assert scope.cancelled_caught
    assert answer.is_discarded
