"""Files that are read along while they are received: every reader gets all bytes of one beginning, or is told."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from p2pmods.fetch.receiving import IN_MEMORY, Receiver
from p2pmods.gomod.module import FileKey, FileKind
from p2pmods.mesh.growing import WINDOW, Growing, GrowingFiles, GrowthStopped, Uploads
from p2pmods.store.temp import TempFile
from p2pmods.swarm.pieces import LARGE
from tests.world import WIDGET

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from trio.testing import MockClock

KEY = FileKey(WIDGET, FileKind.ZIP)


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    made = Receiver(lambda: TempFile(tmp_path))
    yield made
    made.discard()


class Reading:
    """One reader in a task of its own: what it got, and how it ended."""

    def __init__(self, nursery: trio.Nursery, growing: Growing, offset: int = 0) -> None:
        self.data = b""
        self.end = ""
        nursery.start_soon(self._read, growing, offset)

    async def _read(self, growing: Growing, offset: int) -> None:
        try:
            with growing.reader(offset) as reader:
                async for piece in reader:
                    assert 0 < len(piece) <= WINDOW
                    self.data += piece
                self.end = "complete"
        except GrowthStopped as error:
            self.end = str(error)


def growing_of(receiver: Receiver, sizes: list[int] | None = None) -> Growing:
    return Growing(receiver, (sizes if sizes is not None else []).append, lambda _size: None)


async def test_readers_follow_from_wherever_they_begin(receiver: Receiver) -> None:
    sizes: list[int] = []
    growing = growing_of(receiver, sizes)
    async with trio.open_nursery() as nursery:
        early = Reading(nursery, growing)
        await wait_all_tasks_blocked()
        growing.write(b"abc")
        await wait_all_tasks_blocked()
        assert early.data == b"abc"
        middle, ahead = Reading(nursery, growing, 1), Reading(nursery, growing, 4)
        growing.write(b"def")
        growing.finish()
        late = Reading(nursery, growing)
    assert (early.data, middle.data, ahead.data, late.data) == (b"abcdef", b"bcdef", b"ef", b"abcdef")
    assert {reading.end for reading in (early, middle, ahead, late)} == {"complete"}
    assert sizes == [3, 6]


async def test_readers_follow_from_memory_into_the_file(receiver: Receiver) -> None:
    growing = growing_of(receiver)
    pieces = [os.urandom(IN_MEMORY // 2) for _ in range(7)]
    async with trio.open_nursery() as nursery:
        slow = growing.reader(0)
        first = Reading(nursery, growing)
        growing.write(pieces[0])
        beginning = await anext(slow)
        for piece in pieces[1:]:
            growing.write(piece)
            await wait_all_tasks_blocked()
        last = Reading(nursery, growing, IN_MEMORY)
        growing.finish()
    with slow:
        rest = b"".join([piece async for piece in slow])
    assert beginning + rest == first.data == b"".join(pieces)
    assert last.data == b"".join(pieces)[IN_MEMORY:]


async def test_a_reader_outlives_the_file_that_it_reads(receiver: Receiver) -> None:
    growing = growing_of(receiver)
    data = os.urandom(IN_MEMORY * 3)
    growing.write(data)
    growing.finish()
    with growing.reader(0) as reader:
        beginning = await anext(reader)
        receiver.discard()  # as after a commit
        assert beginning + b"".join([piece async for piece in reader]) == data


async def test_who_has_read_nothing_goes_along_with_another_beginning(receiver: Receiver) -> None:
    growing = growing_of(receiver)
    async with trio.open_nursery() as nursery:
        reading = Reading(nursery, growing)
        await wait_all_tasks_blocked()
        growing.restart()
        growing.write(b"new")
        growing.finish()
    assert (reading.data, reading.end) == (b"new", "complete")


async def test_who_has_read_something_cannot_go_on_after_another_beginning(receiver: Receiver) -> None:
    growing = growing_of(receiver)
    async with trio.open_nursery() as nursery:
        reading = Reading(nursery, growing)
        growing.write(b"old")
        await wait_all_tasks_blocked()
        growing.restart()
        assert growing.size == 0
        growing.write(b"newer")
        growing.finish()
        late = Reading(nursery, growing)
    assert (reading.data, reading.end) == (b"old", "it began anew from another source")
    assert (late.data, late.end) == (b"newer", "complete")


@pytest.mark.parametrize("again", [b"", b"n", b"newer and longer"])
async def test_a_beginning_in_the_moment_of_reading_is_noticed(
    receiver: Receiver, again: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    growing = growing_of(receiver)
    growing.write(b"old")

    async def begin_again() -> None:
        growing.restart()
        growing.write(again)

    with growing.reader(0) as reader:
        monkeypatch.setattr(trio.lowlevel, "checkpoint", begin_again)  # others run while one waits
        with pytest.raises(GrowthStopped, match="anew"):
            await anext(reader)


async def test_readers_are_told_when_it_stops(receiver: Receiver) -> None:
    growing = growing_of(receiver)
    async with trio.open_nursery() as nursery:
        reading = Reading(nursery, growing)
        growing.write(b"abc")
        await wait_all_tasks_blocked()
        growing.stop("the upstream is gone")
        late = Reading(nursery, growing)
    assert (reading.data, reading.end) == (b"abc", "the upstream is gone")
    assert (late.data, late.end) == (b"", "the upstream is gone")


async def test_stopping_what_is_complete_takes_nothing_away(receiver: Receiver) -> None:
    growing = growing_of(receiver)
    growing.write(b"abc")
    growing.finish()
    growing.stop("late")
    async with trio.open_nursery() as nursery:
        reading = Reading(nursery, growing)
    assert (reading.data, reading.end) == (b"abc", "complete")


async def test_a_file_that_is_cut_is_noticed(receiver: Receiver, tmp_path: Path) -> None:
    growing = growing_of(receiver)
    growing.write(bytes(IN_MEMORY + 1))
    (path,) = tmp_path.iterdir()
    os.truncate(path, 0)
    with growing.reader(0) as reader, pytest.raises(GrowthStopped, match="cut"):
        await anext(reader)


async def test_a_shared_file_is_found_by_its_name_and_token_while_it_is_shared(
    receiver: Receiver, autojump_clock: MockClock
) -> None:
    files = GrowingFiles()
    growing = growing_of(receiver)
    with files.share(KEY, b"token", growing):
        assert await files.find(KEY, b"token") is growing
        assert await files.find(KEY, b"other") is None
        assert await files.find(FileKey(WIDGET, FileKind.MOD), b"token") is None
    assert await files.find(KEY, b"token") is None
    assert len(files) == 0
    with growing.reader(0) as reader, pytest.raises(GrowthStopped, match="the fetch failed"):
        await anext(reader)


async def test_who_asks_a_moment_too_early_is_given_the_file_when_it_begins(
    receiver: Receiver, autojump_clock: MockClock
) -> None:
    files = GrowingFiles()
    growing = growing_of(receiver)
    found: list[Growing | None] = []

    async def find() -> None:
        found.append(await files.find(KEY, b"token"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(find)
        await wait_all_tasks_blocked()
        with files.share(KEY, b"other", growing), files.share(KEY, b"token", growing):
            await wait_all_tasks_blocked()
    assert found == [growing]


async def test_a_cap_lets_a_second_of_it_out_at_once_and_then_its_rate(autojump_clock: MockClock) -> None:
    uploads = Uploads(1000.0)
    start = trio.current_time()
    await uploads.take(1000)
    assert trio.current_time() == start
    await uploads.take(500)
    assert trio.current_time() - start == pytest.approx(0.5)
    await trio.sleep(60)
    start = trio.current_time()
    await uploads.take(1000)  # silence earns no more than one second
    assert trio.current_time() == start
    await uploads.take(2000)
    assert trio.current_time() - start == pytest.approx(2.0)


async def test_without_a_cap_nobody_waits(autojump_clock: MockClock) -> None:
    start = trio.current_time()
    await Uploads(None).take(1 << 40)
    assert trio.current_time() == start


@pytest.mark.parametrize(("length", "is_large"), [(LARGE, True), (LARGE - 1, False), (None, False)])
async def test_whether_it_is_large_is_known_from_the_head_of_the_answer(
    receiver: Receiver, length: int | None, is_large: bool
) -> None:
    growing = growing_of(receiver)
    growing.expects(length)
    growing.write(b"PK")
    assert await growing.is_large() == is_large


async def test_whether_it_is_large_is_waited_for(receiver: Receiver) -> None:
    growing = growing_of(receiver)
    known: list[bool] = []

    async def ask() -> None:
        known.append(await growing.is_large())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        await wait_all_tasks_blocked()
        assert known == []
        growing.expects(LARGE)
    assert known == [True]


async def test_one_that_never_begins_is_neither(receiver: Receiver) -> None:
    growing = growing_of(receiver)
    growing.stop("the fetch failed")
    with pytest.raises(GrowthStopped):
        await growing.is_large()
