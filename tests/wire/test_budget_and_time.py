"""Received bodies share 16 MiB, and no request waits for ever."""

from __future__ import annotations

import pytest

from p2pmods.wire.budget import TOTAL, Budget
from p2pmods.wire.events import (
    AnswerArrived,
    BodyEnded,
    Code,
    DataArrived,
    NoticeArrived,
    RequestCancelled,
    RequestFailed,
)
from p2pmods.wire.frames import CREDIT, LENGTH, MAX_SLICE, UNKNOWN_LENGTH, Kind
from tests.wire.pair import Pair, Stranger

SECOND = 64 << 10  # bytes, at the floor that is asked for


def opened(budget: Budget | None = None) -> Pair:
    pair = Pair(budget=budget)
    pair.move()
    return pair


def body(pair: Pair, size: int, *, length: int | None = None, floor: int = 0) -> int:
    request = pair.ask(floor=floor)
    pair.move()
    pair.bob.answer_stream(request, b"here", length, now=pair.now)
    pair.bob.send(request, bytes(size))
    pair.move()
    return request


def received(pair: Pair, request: int) -> int:
    return sum(len(e.data) for e in pair.at_ann if isinstance(e, DataArrived) and e.id == request)


def test_a_body_that_nobody_consumes_stops_at_its_window() -> None:
    pair = opened()
    request = body(pair, 4 << 20)
    assert received(pair, request) == pair.taken() == 512 << 10


def test_what_is_consumed_lets_the_body_go_on() -> None:
    pair = opened()
    request = body(pair, 2 << 20)
    while received(pair, request) < 2 << 20:
        before = received(pair, request)
        pair.ann.consumed(request, 256 << 10)
        pair.move()
        assert received(pair, request) > before
    pair.bob.end(request)
    pair.move()
    assert pair.at_ann[-1] == BodyEnded(request)
    assert pair.taken() == 512 << 10
    pair.ann.consumed(request, 512 << 10)
    assert pair.taken() == 0


def test_room_is_taken_for_what_is_announced_only() -> None:
    pair = opened()
    body(pair, 0, length=100_000)
    assert pair.taken() == 100_000


def test_no_credit_is_given_beyond_what_was_announced() -> None:
    pair = opened()
    request = body(pair, 50_000, length=60_000)
    pair.ann.consumed(request, 50_000)
    assert not pair.ann.has_output


def test_many_bodies_never_hold_more_than_the_budget() -> None:
    pair = opened()
    requests = [body(pair, 1 << 20) for _ in range(100)]
    assert pair.taken() <= TOTAL
    assert sum(received(pair, request) for request in requests) <= TOTAL
    assert min(received(pair, request) for request in requests[:50]) >= MAX_SLICE


def test_without_room_a_body_waits_and_goes_on_when_there_is_some() -> None:
    told: list[bool] = []
    pair = opened(Budget(64 << 10))
    pair.ann._asking._told = lambda: told.append(True)
    first = body(pair, 1 << 20)
    while pair.budget.free:
        body(pair, 1 << 20)
    hungry = body(pair, 1 << 20)
    assert received(pair, hungry) == 0
    pair.ann.cancel(first, now=pair.now)
    assert told
    pair.move()
    assert received(pair, hungry) >= MAX_SLICE


def test_who_does_not_wait_any_more_is_passed_over() -> None:
    budget = Budget(MAX_SLICE)
    pair = opened(budget)
    holder, first, second = (body(pair, 1 << 20) for _ in range(3))
    pair.ann.cancel(first, now=pair.now)
    pair.ann.cancel(holder, now=pair.now)
    pair.move()
    assert received(pair, first) == 0
    assert received(pair, second) == MAX_SLICE


def test_the_share_of_a_body_shrinks_as_room_gets_scarce() -> None:
    budget = Budget(1 << 20)
    shares = list(iter(lambda: budget.take(1 << 20), 0))
    assert shares[0] == 64 << 10
    assert shares == sorted(shares, reverse=True)
    assert shares[-1] == MAX_SLICE
    assert budget.free < MAX_SLICE


def test_a_request_fails_at_its_deadline_and_the_other_side_is_told() -> None:
    pair = opened()
    request = pair.ask(deadline=pair.now + 5)
    pair.move()
    pair.pass_time(4.9)
    assert not any(isinstance(e, RequestFailed) for e in pair.at_ann)
    pair.pass_time(0.2)
    assert RequestFailed(request, Code.TOO_SLOW, "no answer in time") in pair.at_ann
    assert RequestCancelled(request) in pair.at_bob
    assert pair.ann.is_quiet


def test_the_deadline_is_for_the_whole_body() -> None:
    pair = opened()
    request = pair.ask(deadline=pair.now + 5)
    pair.move()
    pair.bob.answer_stream(request, b"here", None, now=pair.now)
    for _ in range(6):
        pair.bob.send(request, b"x")
        pair.move()
        pair.pass_time(1)
    assert RequestFailed(request, Code.TOO_SLOW, "no answer in time") in pair.at_ann
    assert pair.taken() == 0


def test_the_deadline_is_also_for_using_the_body() -> None:
    pair = opened()
    request = pair.ask(deadline=pair.now + 5)
    pair.move()
    pair.bob.answer_stream(request, b"here", 3, now=pair.now)
    pair.bob.send(request, b"abc")
    pair.bob.end(request)
    pair.move()
    assert pair.taken() == 3
    pair.pass_time(5)
    assert pair.at_ann[-1] == RequestFailed(request, Code.TOO_SLOW, "its body was not used in time")
    assert pair.taken() == 0
    pair.ann.consumed(request, 3)
    assert pair.taken() == 0


def test_a_body_that_was_complete_when_the_link_ended_holds_no_room() -> None:
    pair = opened()
    request = body(pair, 100_000, length=100_000)
    pair.bob.end(request)
    pair.move()
    pair.ann.lost("reset")
    assert pair.taken() == 0
    pair.ann.consumed(request, 100_000)
    assert pair.taken() == 0


def drip(pair: Pair, request: int, seconds: int, size: int) -> None:
    """A body of `size` bytes a second, each consumed as it comes."""
    for _ in range(seconds):
        pair.bob.send(request, bytes(size))
        before = received(pair, request)
        pair.move()
        pair.ann.consumed(request, received(pair, request) - before)
        pair.move()
        pair.pass_time(1)


def test_one_byte_a_second_is_below_the_floor() -> None:
    pair = opened()
    request = body(pair, 0, floor=SECOND)
    drip(pair, request, 16, 1)
    assert RequestFailed(request, Code.TOO_SLOW, "slower than 65536 bytes a second") in pair.at_ann


def test_a_body_at_the_floor_goes_on() -> None:
    pair = opened()
    request = body(pair, 0, floor=SECOND)
    drip(pair, request, 60, SECOND)
    assert not any(isinstance(e, RequestFailed) for e in pair.at_ann)
    drip(pair, request, 31, SECOND - 3000)
    assert any(isinstance(e, RequestFailed) for e in pair.at_ann)


def test_without_a_floor_a_body_may_be_slow() -> None:
    pair = opened()
    request = body(pair, 0)
    drip(pair, request, 60, 1)
    assert not any(isinstance(e, RequestFailed) for e in pair.at_ann)


def test_a_body_that_we_do_not_take_is_not_the_other_side_s_fault() -> None:
    pair = opened()
    body(pair, 1 << 20, floor=SECOND)
    pair.pass_time(120, move=True)
    assert not any(isinstance(e, RequestFailed) and "slower" in e.text for e in pair.at_ann)


def test_a_body_that_nobody_takes_is_given_up_after_a_minute() -> None:
    stranger = Stranger()
    stranger.says(Kind.REQUEST, 1, CREDIT.pack(10) + b"?")
    stranger.node.answer_stream(1, b"here", None, now=stranger.now)
    stranger.node.send(1, bytes(100))
    stranger.hears()
    assert stranger.node.handle_timer(stranger.now) == []
    stranger.says(Kind.CREDIT, 1, CREDIT.pack(10))
    stranger.hears()
    assert stranger.node.handle_timer(stranger.now + 5) == []
    stranger.says(Kind.PONG, 0, (1).to_bytes(8, "big"))
    assert stranger.node.handle_timer(stranger.now + 64) == []
    assert stranger.node.handle_timer(stranger.now + 65) == [RequestCancelled(1)]
    assert Kind.RESET in stranger.kinds()


def test_a_body_waits_in_the_sender_up_to_its_room() -> None:
    stranger = Stranger()
    stranger.says(Kind.REQUEST, 1, CREDIT.pack(0) + b"?")
    stranger.node.answer_stream(1, b"here", None, now=stranger.now)
    assert stranger.node.room(1) == 128 << 10
    stranger.node.send(1, bytes(100 << 10))
    assert stranger.node.room(1) == 28 << 10
    stranger.says(Kind.CREDIT, 1, CREDIT.pack(50 << 10))
    stranger.hears()
    assert stranger.node.room(1) == 78 << 10


@pytest.mark.parametrize("length", [UNKNOWN_LENGTH, 1 << 20])
def test_a_head_brings_the_whole_window(length: int) -> None:
    stranger = Stranger()
    request = stranger.node.request(b"?", now=stranger.now, deadline=1000)
    (asked,) = (f for f in stranger.hears() if f.kind is Kind.REQUEST)
    assert CREDIT.unpack_from(asked.payload) == (64 << 10,)
    (head,) = stranger.says(Kind.STREAM, request, LENGTH.pack(length) + b"here")
    assert head == AnswerArrived(request, b"here", has_body=True, length=None if length == UNKNOWN_LENGTH else length)
    (more,) = stranger.hears()
    assert CREDIT.unpack(more.payload) == (448 << 10,)


def test_a_body_that_fails_while_it_waits_for_room_takes_none_later() -> None:
    pair = opened(Budget(MAX_SLICE))
    holder, hungry = body(pair, 1 << 20), body(pair, 1 << 20)
    pair.bob.refuse(hungry, Code.FAILED, "disk")
    pair.move()
    pair.ann.cancel(holder, now=pair.now)
    assert pair.taken() == 0


def test_notices_are_dropped_while_the_other_side_reads_nothing() -> None:
    pair = opened()
    for _ in range(10):
        pair.ann.notify(bytes(60_000))
    assert 256 << 10 <= len(pair.ann.data_to_send(1 << 30)) < (256 << 10) + 61_000
    pair.ann.notify(b"again")
    pair.move()
    assert pair.at_bob[-1] == NoticeArrived(b"again")
