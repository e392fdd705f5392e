"""What one link promises, told by two machines back to back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pmods.wire.events import (
    AnswerArrived,
    BodyEnded,
    Broken,
    Code,
    DataArrived,
    Event,
    GoingAway,
    NoticeArrived,
    Opened,
    RequestArrived,
    RequestCancelled,
    RequestFailed,
)
from p2pmods.wire.frames import HEAD, MAX_SLICE
from tests.wire.pair import Pair


def body_of(events: list[Event], request: int) -> bytes:
    return b"".join(e.data for e in events if isinstance(e, DataArrived) and e.id == request)


def opened() -> Pair:
    pair = Pair()
    pair.move()
    return pair


def test_both_sides_learn_that_the_other_speaks_the_protocol() -> None:
    pair = opened()
    assert pair.at_ann == pair.at_bob == [Opened()]


def test_a_request_is_answered() -> None:
    pair = opened()
    request = pair.ask(b"have you?")
    pair.move()
    assert pair.at_bob[-1] == RequestArrived(request, b"have you?")
    pair.bob.answer(request, b"yes", now=pair.now)
    pair.move()
    assert pair.at_ann[-1] == AnswerArrived(request, b"yes")
    assert pair.ann.is_quiet
    assert pair.bob.is_quiet
    assert pair.taken() == 0


def test_both_sides_ask_at_once_and_answers_come_in_any_order() -> None:
    pair = opened()
    first, second = pair.ask(b"1"), pair.ask(b"2")
    theirs = pair.bob.request(b"3", now=pair.now, deadline=200)
    pair.move()
    pair.bob.answer(second, b"two", now=pair.now)
    pair.bob.answer(first, b"one", now=pair.now)
    pair.ann.answer(theirs, b"three", now=pair.now)
    pair.move()
    assert pair.at_ann[-2:] == [AnswerArrived(second, b"two"), AnswerArrived(first, b"one")]
    assert pair.at_bob[-1] == AnswerArrived(theirs, b"three")


def stream(pair: Pair, body: bytes, *, length: int | None) -> int:
    request = pair.ask()
    pair.move()
    pair.bob.answer_stream(request, b"here", length, now=pair.now)
    pair.bob.send(request, body)
    pair.bob.end(request)
    return request


@pytest.mark.parametrize("length", [None, 50_000])
def test_a_body_arrives_whole_in_slices(length: int | None) -> None:
    pair = opened()
    body = bytes(range(250)) * 200
    request = stream(pair, body, length=length)
    pair.move()
    assert AnswerArrived(request, b"here", has_body=True, length=length) in pair.at_ann
    assert body_of(pair.at_ann, request) == body
    assert pair.at_ann[-1] == BodyEnded(request)
    assert max(len(e.data) for e in pair.at_ann if isinstance(e, DataArrived)) <= MAX_SLICE


def test_an_empty_body_is_a_body() -> None:
    pair = opened()
    request = stream(pair, b"", length=0)
    pair.move()
    assert pair.at_ann[-2:] == [AnswerArrived(request, b"here", has_body=True, length=0), BodyEnded(request)]
    assert pair.taken() == 0


def test_a_control_frame_goes_ahead_of_bodies() -> None:
    pair = opened()
    stream(pair, bytes(500_000), length=500_000)
    pair.to_ann(pair.bob.data_to_send(MAX_SLICE))
    pair.bob.notify(b"urgent")
    pair.to_ann(pair.bob.data_to_send(1))
    assert pair.at_ann[-1] == NoticeArrived(b"urgent")


def test_bodies_take_turns() -> None:
    pair = opened()
    first, second = pair.ask(), pair.ask()
    pair.move()
    for request in (first, second):
        pair.bob.answer_stream(request, b"here", None, now=pair.now)
        pair.bob.send(request, bytes(60_000))
    pair.to_ann(pair.bob.data_to_send(4 * MAX_SLICE))
    turns = [e.id for e in pair.at_ann if isinstance(e, DataArrived)]
    assert turns[:4] == [first, second, first, second]


def test_data_to_send_keeps_to_its_limit_but_for_a_frame() -> None:
    pair = opened()
    stream(pair, bytes(500_000), length=500_000)
    assert 20_000 <= len(pair.bob.data_to_send(20_000)) <= 20_000 + MAX_SLICE + HEAD.size


def test_a_cancelled_request_is_told_to_who_answers_and_its_room_is_free_at_once() -> None:
    pair = opened()
    request = stream(pair, bytes(2_000_000), length=2_000_000)
    pair.move()
    pair.ann.cancel(request, now=pair.now)
    assert pair.taken() == 0
    seen = len(pair.at_ann)
    pair.move()
    assert pair.at_ann[seen:] == []
    assert pair.ann.is_quiet
    assert pair.bob.is_quiet
    assert not pair.bob.is_wanted(request)


def test_who_answers_learns_of_the_cancellation() -> None:
    pair = opened()
    request = pair.ask()
    pair.move()
    pair.ann.cancel(request, now=pair.now)
    pair.move()
    assert pair.at_bob[-1] == RequestCancelled(request)
    pair.bob.answer(request, b"too late", now=pair.now)
    assert not pair.bob.has_output


@pytest.mark.parametrize("body", [0, 100_000])
def test_an_answer_that_crosses_a_cancellation_harms_nobody(body: int) -> None:
    pair = opened()
    request = stream(pair, bytes(body), length=body)
    crossing = pair.bob.data_to_send(1 << 20)
    pair.ann.cancel(request, now=pair.now)
    pair.to_ann(crossing)
    pair.move()
    pair.pass_time(60)
    assert all(isinstance(e, Opened) for e in pair.at_ann)
    assert not any(isinstance(e, RequestFailed) for e in pair.at_bob)
    assert pair.ann.is_quiet
    assert pair.bob.is_quiet


def test_a_refusal_has_a_code_and_a_reason() -> None:
    pair = opened()
    request = pair.ask()
    pair.move()
    pair.bob.refuse(request, 70, "not\nhere")
    pair.move()
    assert pair.at_ann[-1] == RequestFailed(request, 70, "not\\nhere")
    assert pair.taken() == 0


def test_a_refusal_in_the_middle_of_a_body_drops_what_waits() -> None:
    pair = opened()
    request = stream_without_end(pair)
    pair.to_ann(pair.bob.data_to_send(MAX_SLICE))
    pair.bob.refuse(request, Code.FAILED, "disk")
    pair.move()
    assert pair.at_ann[-1] == RequestFailed(request, Code.FAILED, "disk")
    assert len(body_of(pair.at_ann, request)) <= 2 * MAX_SLICE
    assert pair.taken() == 0


def stream_without_end(pair: Pair) -> int:
    request = pair.ask()
    pair.move()
    pair.bob.answer_stream(request, b"here", None, now=pair.now)
    pair.bob.send(request, bytes(100_000))
    return request


def test_a_body_of_another_length_than_announced_is_not_even_sent() -> None:
    pair = opened()
    request = pair.ask()
    pair.move()
    pair.bob.answer_stream(request, b"here", 10, now=pair.now)
    with pytest.raises(ValueError, match="more than the 10"):
        pair.bob.send(request, bytes(11))
    pair.bob.send(request, bytes(9))
    with pytest.raises(ValueError, match="9 of the 10"):
        pair.bob.end(request)


def test_a_notice_arrives_without_an_answer() -> None:
    pair = opened()
    pair.ann.notify(b"by the way")
    pair.move()
    assert pair.at_bob[-1] == NoticeArrived(b"by the way")
    assert pair.ann.is_quiet


def test_no_more_than_128_requests_are_under_way() -> None:
    pair = opened()
    requests = [pair.ask() for _ in range(128)]
    assert not pair.ann.is_free
    pair.move()
    pair.bob.answer(requests[5], b"!", now=pair.now)
    pair.move()
    assert pair.ann.is_free


def test_who_goes_away_finishes_what_is_under_way_and_the_rest_can_be_asked_elsewhere() -> None:
    pair = opened()
    early = pair.ask(b"early")
    pair.move()
    late = pair.ask(b"late")
    pair.bob.go_away("another link")
    pair.to_ann(pair.bob.data_to_send(1000))
    assert pair.at_ann[-2:] == [GoingAway("another link"), RequestFailed(late, Code.MOVED, "")]
    assert not pair.ann.is_free
    pair.bob.answer(early, b"still here", now=pair.now)
    pair.move()
    assert pair.at_ann[-1] == AnswerArrived(early, b"still here")
    assert pair.ann.is_quiet
    assert pair.bob.is_quiet
    assert RequestArrived(late, b"late") not in pair.at_bob


def test_what_is_under_way_is_lost_with_the_link() -> None:
    pair = opened()
    request, theirs = pair.ask(), pair.bob.request(b"?", now=pair.now, deadline=200)
    pair.move()
    assert pair.ann.lost("reset") == [RequestFailed(request, Code.LOST, "reset"), RequestCancelled(theirs)]
    assert pair.taken() == 0
    assert pair.ann.lost("again") == []
    assert pair.ann.receive_data(b"anything", now=pair.now) == []
    assert pair.ann.handle_timer(pair.now + 1000) == []


def test_before_the_preface_nobody_can_have_looked_at_a_request() -> None:
    pair = Pair()
    request = pair.ask()
    assert pair.ann.lost("refused") == [RequestFailed(request, Code.MOVED, "refused")]


def test_the_round_trip_is_measured_at_once() -> None:
    pair = opened()
    pair.ann.handle_timer(pair.now)
    ping = pair.ann.data_to_send(1000)
    pair.now += 0.020
    pair.to_bob(ping)
    pair.to_ann(pair.bob.data_to_send(1000))
    assert pair.ann.round_trip == pytest.approx(0.020)


def test_a_link_on_which_an_answer_is_long_in_coming_lives_on() -> None:
    pair = opened()
    pair.ask()
    pair.pass_time(600)
    assert not [event for event in pair.at_ann + pair.at_bob if isinstance(event, Broken)]


def test_a_link_that_is_idle_lives_on() -> None:
    pair = opened()
    pair.pass_time(3600)
    assert pair.at_ann == pair.at_bob == [Opened()]


actions = st.lists(
    st.tuples(st.sampled_from(["ask", "stream", "answer", "refuse", "cancel", "notify"]), st.integers(0, 40_000)),
    max_size=25,
)


@given(actions, st.lists(st.integers(1, 3000), min_size=1, max_size=20), st.integers(1, 70_000))
def test_how_bytes_are_cut_on_their_way_changes_nothing(
    todo: list[tuple[str, int]], cuts: list[int], limit: int
) -> None:
    pair = opened()
    pair.ann.handle_timer(pair.now)
    asked: list[int] = []
    for step, (what, number) in enumerate(todo):
        _act(pair, what, number, asked)
        if step % 3 == 2:
            pair.move()
    pair.move()
    outgoing = b"".join(iter(lambda: pair.bob.data_to_send(limit), b""))
    assert outgoing == b""
    _replay(todo, cuts, limit, pair)


def _replay(todo: list[tuple[str, int]], cuts: list[int], limit: int, first: Pair) -> None:
    """The same again with the bytes cut into pieces, and the same events."""
    again = Pair()
    _cut_move(again, cuts, limit)
    again.ann.handle_timer(again.now)
    asked: list[int] = []
    for step, (what, number) in enumerate(todo):
        _act(again, what, number, asked)
        if step % 3 == 2:
            _cut_move(again, cuts, limit)
    _cut_move(again, cuts, limit)
    assert _told(again.at_ann) == _told(first.at_ann)
    assert _told(again.at_bob) == _told(first.at_bob)
    assert again.taken() == first.taken()


def _act(pair: Pair, what: str, number: int, asked: list[int]) -> None:
    request = asked[number % len(asked)] if asked else 1
    if what == "ask":
        asked.append(pair.ask(b"q" * (number % 500 + 1)))
    elif what == "notify":
        pair.ann.notify(b"n" * (number % 500 + 1))
    elif what == "cancel":
        pair.ann.cancel(request, now=pair.now)
    elif what == "answer":
        pair.bob.answer(request, b"a" * (number % 500 + 1), now=pair.now)
    elif what == "refuse":
        pair.bob.refuse(request, 64, "no")
    elif what == "stream" and pair.bob.is_wanted(request):
        pair.bob.answer_stream(request, b"s", number, now=pair.now)
        pair.bob.send(request, b"b" * number)
        pair.bob.end(request)


def _cut_move(pair: Pair, cuts: list[int], limit: int) -> None:
    while pair.ann.has_output or pair.bob.has_output:
        for source, deliver in ((pair.ann, pair.to_bob), (pair.bob, pair.to_ann)):
            _deliver_cut(source.data_to_send(limit), cuts, deliver)


def _deliver_cut(data: bytes, cuts: list[int], deliver: object) -> None:
    at = turn = 0
    while at < len(data):
        size = cuts[turn % len(cuts)]
        deliver(data[at : at + size])  # type: ignore[operator]
        at += size
        turn += 1


def _told(events: list[Event]) -> list[object]:
    """The story of each request by itself, bodies in one piece: slices may differ, and so may the order of bodies."""
    ids = sorted({e.id for e in events if hasattr(e, "id")})
    told: list[object] = [e for e in events if not hasattr(e, "id")]
    for request in ids:
        told += [e for e in events if getattr(e, "id", 0) == request and not isinstance(e, DataArrived)]
        told.append(body_of(events, request))
    return told


def test_ids_are_odd_for_who_dialled_and_even_for_the_other() -> None:
    pair = opened()
    assert [pair.ask() for _ in range(3)] == [1, 3, 5]
    assert [pair.bob.request(b"?", now=0, deadline=1) for _ in range(3)] == [2, 4, 6]


def test_a_frame_too_long_to_send_is_refused_where_it_is_made() -> None:
    pair = opened()
    with pytest.raises(ValueError, match="65540"):
        pair.ask(bytes(65_537))
    assert pair.ann.is_quiet
    assert pair.taken() == 0
