"""What a download asks of whom: everything once, rare things first, late things of others too."""

from __future__ import annotations

import math
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pmods.swarm.bits import first_bits, span
from p2pmods.swarm.download import LATE, LATE_AT_THE_END, PIECES_UNDER_WAY, REQUESTS, REST, Download, Request
from p2pmods.swarm.pieces import MAX_SPAN


def download(known: int, *, complete: bool = True, **neighbours: int) -> Download:
    """One with neighbours and the pieces that they have."""
    made = Download(Random(1))
    made.known, made.is_list_complete = known, complete
    for node, pieces in neighbours.items():
        made.joined(node)
        made.has(node, pieces)
    return made


def covered(requests: list[Request]) -> int:
    return sum(span(one.first, one.count) for one in requests)


def bring(one: Download, request: Request, now: float) -> list[Request]:
    useless = []
    for piece in range(request.first, request.first + request.count):
        useless += one.arrived(request.node, piece, now=now)
    one.ended(request)
    return useless


@given(st.integers(1, 400), st.integers(1, 6), st.randoms(use_true_random=False))
@settings(max_examples=60)
def test_everything_comes_and_nothing_twice_while_everybody_delivers(known: int, nodes: int, chance: Random) -> None:
    one = Download(chance)
    one.known, one.is_list_complete = known, True
    for number in range(nodes):
        one.joined(str(number))
        one.has(str(number), chance.getrandbits(known) if number else first_bits(known))
    under_way: list[Request] = []
    came = 0
    while not one.is_complete:
        under_way += one.next(now=0)
        assert under_way
        assert sum(request.count for request in under_way) <= PIECES_UNDER_WAY + MAX_SPAN
        request = under_way.pop(chance.randrange(len(under_way)))
        assert not came & span(request.first, request.count)
        came |= span(request.first, request.count)
        assert bring(one, request, 0) == []
    assert came == first_bits(known)
    assert one.is_idle


def test_however_many_neighbours_there_are_so_much_is_under_way_and_no_more() -> None:
    everything = first_bits(4000)
    one = download(4000)
    for number in range(60):
        one.joined(str(number))
        one.has(str(number), everything)
    requests = one.next(now=0)
    assert PIECES_UNDER_WAY <= sum(request.count for request in requests) < PIECES_UNDER_WAY + MAX_SPAN
    bring(one, requests[0], 1)
    assert sum(request.count for request in one.next(now=1)) <= requests[0].count + MAX_SPAN


def test_what_has_all_it_wants_waits_for_nothing() -> None:
    one = download(1, ann=1)
    for request in one.next(now=0):
        bring(one, request, 0)
    assert one.next_timer(now=0) == math.inf


def test_only_what_a_neighbour_has_and_the_list_names_is_asked_for() -> None:
    one = download(4, ann=0b110010)
    assert covered(one.next(now=0)) == 0b10
    assert one.next(now=0) == []


def test_rare_pieces_come_first() -> None:
    everything = first_bits(64)
    one = download(64, ann=everything, bob=everything, eve=everything | 1)
    for other in ("ann", "bob"):
        one.left(other)
        one.joined(other)
        one.has(other, everything & ~span(20, 4))
    first = one.next(now=0)[0]
    assert first.node == "eve"
    assert 20 <= first.first < 24


def test_work_is_spread_over_those_who_can_do_it() -> None:
    everything = first_bits(64)
    requests = download(64, ann=everything, bob=everything, eve=everything).next(now=0)
    counts = {node: sum(one.count for one in requests if one.node == node) for node in ("ann", "bob", "eve")}
    assert all(count >= 8 for count in counts.values())
    assert all(sum(one.node == node for one in requests) <= REQUESTS for node in counts)


def test_who_gives_most_is_asked_first() -> None:
    one = download(8, ann=0b11, bob=0)
    for request in one.next(now=0):
        bring(one, request, 0)
    one.has("ann", 0b100)
    one.has("bob", 0b100)
    assert [request.node for request in one.next(now=0)] == ["ann"]


def test_what_is_late_is_asked_of_another_too_and_the_first_to_bring_it_counts() -> None:
    one = download(100, complete=False, ann=0b1)
    (late,) = one.next(now=0)
    one.has("ann", 0b110)
    one.joined("bob")
    one.has("bob", 0b1)
    assert one.next_timer(now=0) == LATE
    assert all(request.node != "bob" for request in one.next(now=LATE - 0.1))
    again = [request for request in one.next(now=LATE + 0.1) if request.node == "bob"]
    assert [(request.first, request.count) for request in again] == [(0, 1)]
    assert one.arrived("bob", 0, now=LATE + 0.2) == [late]


def test_who_is_late_is_asked_for_nothing_more() -> None:
    one = download(100, complete=False, ann=0b1)
    assert len(one.next(now=0)) == 1
    one.has("ann", 0b100)
    assert one.next(now=LATE + 0.1) == []


def test_at_the_end_nobody_is_waited_for_long() -> None:
    one = download(1, ann=1, bob=1)
    assert len(one.next(now=0)) == 1
    assert one.next(now=LATE_AT_THE_END - 0.01) == []
    assert len(one.next(now=LATE_AT_THE_END + 0.01)) == 1
    assert one.next(now=LATE_AT_THE_END * 5) == []  # two are enough


def test_who_leaves_or_ends_owes_nothing() -> None:
    one = download(2, ann=0b11, bob=0b11)
    first = one.next(now=0)
    for request in first:
        one.ended(request)
    assert covered(one.next(now=0)) == 0b11
    one.left("ann")
    one.left("ann")
    assert {request.node for request in one.next(now=0)} <= {"bob"}
    one.has("ann", 1)
    assert one.arrived("ann", 0, now=0) is not None
    assert one.have == 1


def test_who_is_busy_rests() -> None:
    one = download(2, ann=0b11)
    one.busy("ann", now=0)
    assert one.next(now=REST / 2) == []
    assert one.next_timer(now=REST / 2) == REST
    assert one.next(now=REST) != []


def test_a_list_that_still_grows_is_never_complete() -> None:
    one = download(1, complete=False, ann=1)
    bring(one, one.next(now=0)[0], 0)
    assert not one.is_complete
    assert one.givers() == ["ann"]


@pytest.mark.parametrize("count", [0, 1])
def test_an_empty_object_is_complete_at_once(count: int) -> None:
    assert download(count, complete=True).is_complete is (count == 0)
