"""What a seed still has to copy: in turn, within bounds, again later when nobody gives it, and after a restart."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from p2pmods.directory import entrusted
from p2pmods.directory.entrusted import (
    FIRST_RETRY,
    KEPT,
    LAST_RETRY,
    MAX_OF_PEER,
    SETTLE,
    Copy,
    CopyQueue,
)
from p2pmods.gomod.module import FileKey, FileKind, ModuleVersion

ANN, BOB = "ann", "bob"
NOON = 1.7e9


def version(number: int) -> ModuleVersion:
    return ModuleVersion("example.org/m", f"v1.0.{number}")


def zip_of(number: int) -> FileKey:
    return FileKey(version(number), FileKind.ZIP)


def mod_of(number: int) -> FileKey:
    return FileKey(version(number), FileKind.MOD)


def filled(*keys: FileKey) -> CopyQueue:
    queue = CopyQueue()
    for key in keys:
        assert queue.put(key, ANN, now=0.0, at=NOON)
    return queue


def test_the_files_of_a_version_are_one_copy_and_the_builds_of_the_moment_go_first() -> None:
    queue = filled(mod_of(1), zip_of(1), zip_of(1), mod_of(2))
    assert len(queue) == 2
    assert queue.next(now=SETTLE - 0.01) is None
    assert queue.next_timer() == SETTLE
    first, second = queue.next(now=SETTLE), queue.next(now=SETTLE)
    assert (first, second) == (Copy(version(1), True), Copy(version(2), False))
    assert first is not None
    assert first.names == (mod_of(1), zip_of(1))
    assert second is not None
    assert second.names == (mod_of(2),)
    assert queue.next(now=1e9) is None
    assert queue.next_timer() == math.inf
    queue.done(first, now=2.0)
    queue.done(second, now=2.0)
    assert len(queue) == 0


def test_a_zip_that_is_named_while_the_small_files_are_copied_is_not_forgotten() -> None:
    queue = filled(mod_of(1))
    copy = queue.next(now=SETTLE)
    assert copy == Copy(version(1), False)
    queue.put(zip_of(1), BOB, now=1.5, at=NOON)
    queue.done(copy, now=2.0)
    again = queue.next(now=2.0)
    assert again == Copy(version(1), True)
    queue.put(mod_of(1), BOB, now=2.1, at=NOON)
    queue.done(again, now=2.2)
    assert len(queue) == 0


def test_what_nobody_gives_is_tried_again_later_and_later_and_given_up_after_a_week() -> None:
    queue = filled(zip_of(1))
    now, pauses = SETTLE, []
    for _ in range(12):
        copy = queue.next(now=now)
        assert copy is not None
        queue.failed(copy, now=now, at=NOON + KEPT)
        pauses.append(queue.next_timer() - now)
        now = queue.next_timer()
    assert pauses[:4] == [FIRST_RETRY, FIRST_RETRY * 2, FIRST_RETRY * 4, FIRST_RETRY * 8]
    assert pauses[-3:] == [LAST_RETRY] * 3
    copy = queue.next(now=now)
    assert copy is not None
    queue.failed(copy, now=now, at=NOON + KEPT + 1)
    assert len(queue) == 0
    assert queue.next_timer() == math.inf


def test_nobody_fills_the_queue_alone_and_all_together_not_beyond_its_bound() -> None:
    queue = CopyQueue()
    for number in range(MAX_OF_PEER):
        assert queue.put(mod_of(number), ANN, now=0.0, at=NOON)
    assert not queue.put(mod_of(MAX_OF_PEER), ANN, now=0.0, at=NOON)
    assert queue.put(zip_of(1), ANN, now=0.0, at=NOON)  # it is there already
    for number in range(MAX_OF_PEER, entrusted.MAX_WAITING):
        assert queue.put(mod_of(number), f"peer {number // 1000}", now=0.0, at=NOON)
    assert not queue.put(mod_of(entrusted.MAX_WAITING), BOB, now=0.0, at=NOON)
    copy = queue.next(now=SETTLE)
    assert copy is not None
    queue.done(copy, now=SETTLE)
    assert queue.put(mod_of(entrusted.MAX_WAITING), ANN, now=0.0, at=NOON)


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=30))
def test_what_waited_waits_after_a_restart(puts: list[tuple[int, bool]]) -> None:
    queue = CopyQueue()
    for number, with_zip in puts:
        queue.put(zip_of(number) if with_zip else mod_of(number), ANN, now=0.0, at=NOON + number)
    queue.next(now=SETTLE)  # what is being copied is not done
    other = CopyQueue()
    other.restore(queue.entries(), now=100.0)
    assert other.entries() == queue.entries()
    assert other.next_timer() == (100.0 + SETTLE if puts else math.inf)
    copies = []
    while copy := other.next(now=100.0 + SETTLE):
        copies.append(copy)
        other.done(copy, now=102.0)
    assert {copy.module for copy in copies} == {version(number) for number, _ in puts}
    assert {copy.module for copy in copies if copy.with_zip} == {version(n) for n, with_zip in puts if with_zip}


def test_no_more_is_restored_than_may_wait() -> None:
    queue = CopyQueue()
    entries = [(zip_of(number), NOON) for number in range(entrusted.MAX_WAITING + 5)]
    queue.restore([*entries[:2], *entries], now=0.0)
    assert len(queue) == entrusted.MAX_WAITING - 2
