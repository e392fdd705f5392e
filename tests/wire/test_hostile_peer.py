"""A peer that breaks the protocol loses its link, with the reason; one that merely lost a race does not."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pmods.wire.budget import Budget
from p2pmods.wire.events import AnswerArrived, Broken, Code, Event, RequestArrived, RequestCancelled, RequestFailed
from p2pmods.wire.frames import CREDIT, LENGTH, MAX_SLICE, PREFACE, UNKNOWN_LENGTH, Kind
from p2pmods.wire.mux import Mux
from tests.wire.pair import Stranger

NO_CREDIT = CREDIT.pack(0)
CREDIT_1K = CREDIT.pack(1024)


def asked(*, deadline: float = 1000.0, floor: int = 0) -> tuple[Stranger, int]:
    """A stranger whom the node has asked something."""
    stranger = Stranger()
    request = stranger.node.request(b"?", now=stranger.now, deadline=deadline, floor=floor)
    stranger.hears()
    return stranger, request


def streaming(length: int = UNKNOWN_LENGTH) -> tuple[Stranger, int]:
    stranger, request = asked()
    stranger.says(Kind.STREAM, request, LENGTH.pack(length) + b"here")
    stranger.hears()
    return stranger, request


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"GET / HTTP/1.1\r\n", "not this protocol"),
        (b"\x16\x03\x01", "not this protocol"),
        (b"p2pmods\x02", "speaks version 2 of the protocol, and this node 1"),
        (b"p2pmodz\x01", "not this protocol"),
        (b"\0", "not this protocol"),
    ],
)
def test_another_protocol_is_told_apart_by_its_first_bytes(data: bytes, reason: str) -> None:
    mux = Mux(is_dialler=False, budget=Budget(), now=0)
    (event,) = mux.receive_data(data, now=0)
    assert isinstance(event, Broken)
    assert reason in event.reason


@pytest.mark.parametrize(
    ("kind", "request_id", "length", "reason"),
    [
        (0, 1, 0, "kind 0"),
        (12, 1, 10, "kind 12"),
        (255, 1, 10, "kind 255"),
        (Kind.REQUEST, 1, 4, "has 5 to"),
        (Kind.REQUEST, 1, 65_541, "has 5 to 65540"),
        (Kind.ANSWER, 2, 0, "has 1 to"),
        (Kind.STREAM, 2, 8, "has 9 to"),
        (Kind.DATA, 2, 0, "has 1 to"),
        (Kind.DATA, 2, MAX_SLICE + 1, "has 1 to 16384"),
        (Kind.END, 2, 1, "has 0 to 0"),
        (Kind.RESET, 1, 1, "has 2 to"),
        (Kind.RESET, 1, 203, "has 2 to 202"),
        (Kind.CREDIT, 1, 3, "has 4 to 4"),
        (Kind.NOTICE, 0, 0, "has 1 to"),
        (Kind.NOTICE, 0, (1 << 24) - 1, "has 1 to 65536"),
        (Kind.PING, 0, 7, "has 8 to 8"),
        (Kind.GOAWAY, 0, 3, "has 4 to"),
        (Kind.REQUEST, 0, 5, "REQUEST for request 0"),
        (Kind.PING, 1, 8, "PING for request 1"),
    ],
)
def test_a_frame_is_refused_by_its_head_alone(kind: int, request_id: int, length: int, reason: str) -> None:
    stranger = Stranger()
    head = struct.pack(">II", length << 8 | kind, request_id)
    stranger.events += stranger.node.receive_data(head, now=stranger.now)
    assert reason in stranger.verdict


@pytest.mark.parametrize(
    ("kind", "request_id", "payload", "reason"),
    [
        (Kind.REQUEST, 3, NO_CREDIT + b"?", "request 3, where 1 comes next"),
        (Kind.REQUEST, 2, NO_CREDIT + b"?", "from the wrong side"),
        (Kind.REQUEST, 1, CREDIT.pack((16 << 20) + 1) + b"?", "credit of 16777217 bytes"),
        (Kind.CREDIT, 1, CREDIT_1K, "which was not made"),
        (Kind.CREDIT, 2, CREDIT_1K, "from the wrong side"),
        (Kind.RESET, 1, b"\0\1", "which was not made"),
        (Kind.RESET, 2, b"\0\1", "not under way"),
        (Kind.ANSWER, 2, b"!", "not under way"),
        (Kind.ANSWER, 1, b"!", "from the wrong side"),
        (Kind.STREAM, 4, LENGTH.pack(1) + b"!", "not under way"),
        (Kind.DATA, 2, b"!", "not under way"),
        (Kind.END, 2, b"", "not under way"),
        (Kind.PONG, 0, bytes(8), "PONG without PING"),
    ],
)
def test_a_frame_out_of_place_ends_the_link(kind: Kind, request_id: int, payload: bytes, reason: str) -> None:
    stranger = Stranger()
    stranger.says(kind, request_id, payload)
    assert reason in stranger.verdict
    (goodbye,) = (frame for frame in stranger.hears() if frame.kind is Kind.GOAWAY)
    assert reason in goodbye.payload.decode()


def test_an_id_is_never_used_again() -> None:
    stranger = Stranger()
    stranger.says(Kind.REQUEST, 1, NO_CREDIT + b"?")
    stranger.node.answer(1, b"!", now=stranger.now)
    stranger.hears()
    stranger.says(Kind.REQUEST, 1, NO_CREDIT + b"?")
    assert "request 1, where 3 comes next" in stranger.verdict


def test_an_answer_is_given_once() -> None:
    stranger, request = asked()
    stranger.says(Kind.ANSWER, request, b"!")
    stranger.says(Kind.ANSWER, request, b"!")
    assert "not under way" in stranger.verdict


@pytest.mark.parametrize(
    ("kind", "payload", "reason"),
    [(Kind.DATA, b"x", "DATA out of turn"), (Kind.END, b"", "END out of turn")],
)
def test_a_body_has_a_head_first(kind: Kind, payload: bytes, reason: str) -> None:
    stranger, request = asked()
    stranger.says(kind, request, payload)
    assert stranger.verdict == reason


@pytest.mark.parametrize(
    ("kind", "payload", "reason"),
    [(Kind.STREAM, LENGTH.pack(5) + b"!", "STREAM out of turn"), (Kind.ANSWER, b"!", "ANSWER out of turn")],
)
def test_an_answer_has_one_head(kind: Kind, payload: bytes, reason: str) -> None:
    stranger, request = streaming()
    stranger.says(kind, request, payload)
    assert stranger.verdict == reason


def test_no_byte_more_than_there_is_credit_for() -> None:
    stranger, request = streaming()
    for _ in range(512 // 16):
        stranger.says(Kind.DATA, request, bytes(MAX_SLICE))
    assert stranger.verdict == ""
    stranger.says(Kind.DATA, request, b"x")
    assert stranger.verdict == "1 bytes of a body, with credit for 0"
    stranger.node.consumed(request, 32 * MAX_SLICE)
    assert stranger.budget.free == stranger.budget.total


def test_a_body_is_no_longer_than_announced() -> None:
    stranger, request = streaming(10)
    stranger.says(Kind.DATA, request, bytes(11))
    assert stranger.verdict == "a body longer than the 10 bytes announced"


def test_a_body_is_no_shorter_than_announced() -> None:
    stranger, request = streaming(10)
    stranger.says(Kind.DATA, request, bytes(9))
    stranger.says(Kind.END, request)
    assert stranger.verdict == "a body of 9 bytes, announced as 10"
    assert [e.code for e in stranger.events if isinstance(e, RequestFailed)] == [Code.LOST]


@pytest.mark.parametrize("is_streaming", [False, True])
@pytest.mark.parametrize("amount", [0, 16 << 20, (1 << 32) - 1])
def test_credit_has_a_bound_and_is_never_nothing(amount: int, is_streaming: bool) -> None:
    stranger = Stranger()
    stranger.says(Kind.REQUEST, 1, CREDIT_1K + b"?")
    if is_streaming:
        stranger.node.answer_stream(1, b"here", None, now=stranger.now)
    stranger.says(Kind.CREDIT, 1, CREDIT.pack(amount))
    assert stranger.verdict == f"{amount} bytes of credit on top of 1024"


def test_credit_that_comes_before_the_body_counts() -> None:
    stranger = Stranger()
    stranger.says(Kind.REQUEST, 1, NO_CREDIT + b"?")
    stranger.says(Kind.CREDIT, 1, CREDIT_1K)
    stranger.node.answer_stream(1, b"here", None, now=stranger.now)
    stranger.node.send(1, bytes(5000))
    assert [len(f.payload) for f in stranger.hears() if f.kind is Kind.DATA] == [1024]
    stranger.says(Kind.CREDIT, 1, CREDIT_1K)
    assert [len(f.payload) for f in stranger.hears()] == [1024]


def test_128_requests_at_once_and_no_more() -> None:
    stranger = Stranger()
    for number in range(128):
        stranger.says(Kind.REQUEST, 2 * number + 1, NO_CREDIT + b"?")
    assert stranger.verdict == ""
    stranger.says(Kind.REQUEST, 257, NO_CREDIT + b"?")
    assert stranger.verdict == "more than 128 requests at once"


def test_answers_that_are_not_read_count_as_requests_under_way() -> None:
    stranger = Stranger()
    for number in range(129):
        stranger.says(Kind.REQUEST, 2 * number + 1, NO_CREDIT + b"?")
        stranger.node.refuse(2 * number + 1, Code.UNKNOWN, "")
    assert stranger.verdict == "more than 128 requests at once"


def test_requests_made_only_to_be_cancelled_are_bounded() -> None:
    stranger = Stranger()
    for number in range(513):
        stranger.says(Kind.REQUEST, 2 * number + 1, NO_CREDIT + b"?")
        stranger.says(Kind.RESET, 2 * number + 1, b"\0\1")
        stranger.hears()
    assert stranger.verdict == "it makes requests only to cancel them"


def test_cancelling_now_and_then_is_nobody_s_business() -> None:
    stranger = Stranger()
    for number in range(2000):
        stranger.now += 1 / 50
        stranger.says(Kind.REQUEST, 2 * number + 1, NO_CREDIT + b"?")
        stranger.says(Kind.RESET, 2 * number + 1, b"\0\1")
        stranger.hears()
    assert stranger.verdict == ""


def test_a_ping_waits_for_the_last_pong() -> None:
    stranger = Stranger()
    for token in (b"11111111", b"22222222"):
        stranger.says(Kind.PING, 0, token)
        assert [f.payload for f in stranger.hears() if f.kind is Kind.PONG] == [token]
    stranger.says(Kind.PING, 0, bytes(8))
    stranger.says(Kind.PING, 0, bytes(8))
    assert stranger.verdict == "PING before the PONG for the last one"


def test_after_going_away_nothing_is_asked() -> None:
    stranger = Stranger()
    stranger.says(Kind.GOAWAY, 0, bytes(4) + b"bye")
    stranger.says(Kind.REQUEST, 1, NO_CREDIT + b"?")
    assert stranger.verdict == "a request after GOAWAY"


def test_a_request_that_crossed_our_going_away_is_left_to_be_asked_elsewhere() -> None:
    stranger = Stranger()
    stranger.node.go_away("bye")
    assert stranger.says(Kind.REQUEST, 1, NO_CREDIT + b"?") == []
    assert stranger.says(Kind.RESET, 1, b"\0\1") == []
    assert stranger.says(Kind.CREDIT, 1, CREDIT_1K) == []


@pytest.mark.parametrize(("kind", "payload"), [(Kind.CREDIT, CREDIT_1K), (Kind.RESET, b"\0\1")])
def test_frames_that_crossed_our_last_one_are_nothing(kind: Kind, payload: bytes) -> None:
    stranger = Stranger()
    stranger.says(Kind.REQUEST, 1, NO_CREDIT + b"?")
    stranger.node.answer(1, b"!", now=stranger.now)
    assert stranger.says(kind, 1, payload) == []
    assert stranger.kinds() == [Kind.ANSWER]
    assert stranger.says(kind, 1, payload) == []
    assert stranger.verdict == ""


def test_a_body_that_waits_is_cancelled_even_when_it_is_complete_here() -> None:
    stranger = Stranger()
    stranger.says(Kind.REQUEST, 1, NO_CREDIT + b"?")
    stranger.node.answer_stream(1, b"here", 5, now=stranger.now)
    stranger.node.send(1, b"12345")
    stranger.node.end(1)
    stranger.hears()
    assert stranger.says(Kind.RESET, 1, b"\0\1") == []
    assert stranger.kinds() == [Kind.RESET]
    assert stranger.node.is_quiet


def test_data_for_a_cancelled_request_is_dropped_within_its_credit() -> None:
    stranger, request = asked()
    stranger.node.cancel(request, now=stranger.now)
    assert stranger.says(Kind.STREAM, request, LENGTH.pack(UNKNOWN_LENGTH) + b"!") == []
    for _ in range(4):
        assert stranger.says(Kind.DATA, request, bytes(MAX_SLICE)) == []
    assert stranger.says(Kind.DATA, request, b"x") != []
    assert "with credit for 0" in stranger.verdict
    assert stranger.budget.free == stranger.budget.total


@pytest.mark.parametrize("code", [Code.MOVED, Code.LOST])
def test_what_only_this_side_can_tell_is_not_taken_from_the_other(code: Code) -> None:
    stranger, request = asked()
    (failed,) = stranger.says(Kind.RESET, request, code.to_bytes(2, "big") + b"again!")
    assert failed == RequestFailed(request, Code.FAILED, "again!")


def test_a_cancellation_must_be_acknowledged() -> None:
    stranger, request = asked()
    stranger.node.cancel(request, now=stranger.now)
    stranger.says(Kind.PING, 0, bytes(8))  # it is there, and answers nothing
    stranger.events += stranger.node.handle_timer(stranger.now + 29.9)
    assert stranger.verdict == ""
    stranger.events += stranger.node.handle_timer(stranger.now + 30)
    assert stranger.verdict == "it does not acknowledge that a request was cancelled"


def test_who_falls_silent_is_gone_after_a_ping_and_ten_seconds() -> None:
    stranger = Stranger()
    stranger.node.handle_timer(stranger.now)
    (ping,) = (f for f in stranger.hears() if f.kind is Kind.PING)
    stranger.says(Kind.PONG, 0, ping.payload)
    assert stranger.node.next_timer() == stranger.now + 15
    assert stranger.node.handle_timer(stranger.now + 14.9) == []
    assert stranger.kinds() == []
    stranger.node.handle_timer(stranger.now + 15)
    assert stranger.kinds() == [Kind.PING]
    assert stranger.node.next_timer() == stranger.now + 25
    stranger.events += stranger.node.handle_timer(stranger.now + 24.9)
    assert stranger.verdict == ""
    stranger.events += stranger.node.handle_timer(stranger.now + 25)
    assert stranger.verdict == "nothing was heard for 10 seconds"


def test_who_falls_silent_while_an_answer_is_waited_for_is_gone_after_seven_seconds() -> None:
    stranger = Stranger()
    stranger.node.handle_timer(stranger.now)
    (ping,) = (f for f in stranger.hears() if f.kind is Kind.PING)
    stranger.says(Kind.PONG, 0, ping.payload)
    stranger.node.request(b"?", now=stranger.now, deadline=1e9)
    stranger.hears()
    assert stranger.node.next_timer() == stranger.now + 2
    assert stranger.node.handle_timer(stranger.now + 1.9) == []
    assert stranger.kinds() == []
    stranger.node.handle_timer(stranger.now + 2)
    assert stranger.kinds() == [Kind.PING]
    assert stranger.node.next_timer() == stranger.now + 7
    stranger.events += stranger.node.handle_timer(stranger.now + 6.9)
    assert stranger.verdict == ""
    stranger.events += stranger.node.handle_timer(stranger.now + 7)
    assert stranger.verdict == "nothing was heard for 5 seconds"


def test_an_endless_frame_is_never_held_beyond_its_bound() -> None:
    stranger = Stranger()
    head = struct.pack(">II", 65_536 << 8 | Kind.NOTICE, 0)
    events: list[Event] = stranger.node.receive_data(head + bytes(65_535), now=stranger.now)
    assert events == []
    (notice,) = stranger.node.receive_data(b"\0" + head, now=stranger.now)
    assert len(getattr(notice, "message", b"")) == 65_536


@given(st.binary(max_size=300))
def test_nothing_that_a_stranger_sends_raises(data: bytes) -> None:
    stranger = Stranger()
    stranger.node.receive_data(data, now=stranger.now)
    stranger.node.data_to_send(1 << 20)
    stranger.node.handle_timer(stranger.now + 100)


frames = st.tuples(st.sampled_from(Kind), st.integers(0, 6), st.binary(max_size=20))


@given(st.lists(frames, max_size=30))
def test_no_order_of_frames_raises_or_keeps_room(said: list[tuple[Kind, int, bytes]]) -> None:
    stranger = Stranger()
    for _ in range(3):
        stranger.node.request(b"?", now=stranger.now, deadline=1000)
    for kind, request, payload in said:
        for event in stranger.says(kind, request, payload):
            if isinstance(event, RequestArrived):
                stranger.node.answer_stream(event.id, b"here", None, now=stranger.now)
                stranger.node.send(event.id, bytes(100))
        stranger.hears()
    stranger.node.lost("the end")
    for request in (2, 4, 6):
        stranger.node.cancel(request, now=stranger.now)
    assert stranger.budget.free == stranger.budget.total


def test_the_last_event_is_that_it_broke() -> None:
    stranger, request = asked()
    events = stranger.node.receive_data(PREFACE, now=stranger.now)
    assert [type(e) for e in events] == [RequestFailed, Broken]
    assert stranger.says(Kind.ANSWER, request, b"!") == []
    assert not any(isinstance(e, AnswerArrived | RequestCancelled) for e in stranger.events)
