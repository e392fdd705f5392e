"""Who is told first of pieces that arrive: no piece twice while everybody passes on, and none kept from anybody."""

from __future__ import annotations

import math
import sys
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pmods.directory.patience import STILL
from p2pmods.swarm.bits import first_bits, pieces_of
from p2pmods.swarm.dealing import BUSY, HAND, LATE, SPREAD, Dealing
from p2pmods.swarm.pieces import MAX_PIECES

if TYPE_CHECKING:
    from collections.abc import Callable


def dealing(known: int, *followers: str) -> Dealing:
    one = Dealing()
    for node in followers:
        one.joined(node, now=0)
    one.grew(known, now=0)
    return one


def shown(one: Dealing, node: str) -> set[int]:
    return set(pieces_of(one.shown_to(node)))


def dealt(one: Dealing, *followers: str) -> list[str]:
    """The one of them that was dealt the only piece, and then the others."""
    (first,) = [node for node in followers if shown(one, node)]
    return [first, *(node for node in followers if node != first)]


def take(one: Dealing, node: str, *pieces: int, now: float = 0) -> None:
    for piece in pieces:
        one.sent(node, piece, now=now)


def test_each_piece_is_shown_to_one_follower() -> None:
    one = dealing(6, "ann", "bob", "eve")
    hands = [shown(one, node) for node in ("ann", "bob", "eve")]
    assert sorted(piece for hand in hands for piece in hand) == list(range(6))
    assert [len(hand) for hand in hands] == [2, 2, 2]


def test_who_does_not_follow_is_shown_nothing_that_is_dealt() -> None:
    assert shown(dealing(6, "ann"), "mallory") == set()


def test_no_more_is_dealt_than_a_hand_holds_until_it_has_gone() -> None:
    one = dealing(100, "ann", "bob")
    assert len(shown(one, "ann")) == HAND
    take(one, "ann", *shown(one, "ann"))
    assert len(shown(one, "ann")) == 2 * HAND
    assert len(shown(one, "bob")) == HAND


def test_who_takes_faster_is_dealt_more() -> None:
    one = dealing(20 * HAND, "ann", "bob")
    for now in range(10):
        take(one, "ann", *shown(one, "ann"), now=now / 10)
    assert len(shown(one, "ann")) > 5 * len(shown(one, "bob"))


def test_what_a_follower_has_already_is_not_dealt_to_it() -> None:
    one = Dealing()
    one.joined("ann", now=0)
    one.joined("bob", now=0)
    one.holds("ann", first_bits(4), now=0)
    one.grew(4, now=0)
    assert shown(one, "ann") == set()
    assert shown(one, "bob") == {0, 1, 2, 3}


def test_what_several_have_already_is_dealt_to_nobody() -> None:
    one = Dealing()
    for node in ("ann", "bob", "eve"):
        one.joined(node, now=0)
    for node in ("ann", "bob"):
        one.holds(node, first_bits(4), now=0)
    one.grew(4, now=0)
    assert shown(one, "eve") == set()


def test_what_came_from_elsewhere_makes_room_in_the_hand() -> None:
    one = dealing(100, "ann")
    one.holds("ann", one.shown_to("ann"), now=0)
    assert len(shown(one, "ann")) == 2 * HAND


def test_a_piece_that_its_receiver_keeps_to_itself_is_dealt_again() -> None:
    one = dealing(1, "ann", "bob")
    first, other = dealt(one, "ann", "bob")
    take(one, first, 0)
    assert one.next_timer() == SPREAD
    one.advance(now=SPREAD - 0.1)
    assert shown(one, other) == set()
    one.advance(now=SPREAD)
    assert shown(one, other) == {0}


def test_a_piece_that_was_passed_on_is_shown_to_everybody_in_the_end() -> None:
    one = dealing(1, "ann", "bob", "eve")
    first, second, third = dealt(one, "ann", "bob", "eve")
    take(one, first, 0)
    one.holds(second, 1, now=0.1)
    one.advance(now=SPREAD)
    assert shown(one, third) == {0}


def test_nothing_that_was_passed_on_is_shown_while_something_else_waits_to_go() -> None:
    one = dealing(2, "ann", "bob")
    (piece,) = shown(one, "ann")
    take(one, "ann", piece, now=0)
    one.holds("bob", 1 << piece, now=0)
    one.joined("eve", now=0)
    assert SPREAD > BUSY
    one.advance(now=SPREAD)
    assert shown(one, "eve") == set()
    (waiting,) = shown(one, "bob") - {piece}
    take(one, "bob", waiting, now=SPREAD)
    assert shown(one, "eve") == {piece}


def test_who_takes_nothing_is_not_waited_for() -> None:
    one = dealing(2 * HAND, "ann", "bob")
    hand = shown(one, "ann")
    take(one, "bob", *shown(one, "bob"), now=0.1)
    one.advance(now=LATE - 0.1)
    assert not hand & shown(one, "bob")
    assert one.next_timer() <= LATE
    one.advance(now=LATE)
    assert hand <= shown(one, "bob")
    one.grew(3 * HAND, now=LATE)
    assert shown(one, "ann") == hand


def test_what_somebody_left_with_is_not_left_to_one_who_takes_nothing() -> None:
    one = dealing(1, "ann", "bob")
    idle, other = ("ann", "bob") if shown(one, "ann") else ("bob", "ann")
    one.advance(now=LATE)
    one.joined("eve", now=LATE)
    one.grew(2, now=LATE)
    assert shown(one, "eve") == {1}
    take(one, "eve", 1, now=LATE)
    one.left("eve", now=LATE)
    assert 1 in shown(one, other)
    assert 1 not in shown(one, idle)


def test_what_only_one_lacks_who_takes_nothing_is_open_to_it() -> None:
    one = dealing(1, "ann")
    one.advance(now=LATE)
    one.grew(2, now=LATE)
    assert shown(one, "ann") == {0, 1}


@pytest.mark.parametrize("pause", [0.1, 0.5 * BUSY, 0.95 * BUSY, 1.1 * BUSY, 0.95 * LATE])
def test_who_takes_all_but_one_for_ever_keeps_it_from_nobody_for_longer_than_others_wait(pause: float) -> None:
    one = dealing(2 * HAND, "mallory", "bob")
    kept, *taken = shown(one, "mallory")
    take(one, "bob", *shown(one, "bob"))
    now = 0.0
    while not shown(one, "bob") >= {kept} and now < 60:
        now += pause
        one.advance(now=now)
        take(one, "mallory", taken[0], now=now)
    assert now < 0.9 * STILL


def test_two_who_claim_to_have_nearly_everything_and_take_one_thing_for_ever_hide_nothing_for_long() -> None:
    one = Dealing()
    for node in ("mallory", "eve", "bob"):
        one.joined(node, now=0)
    for node in ("mallory", "eve"):
        one.holds(node, first_bits(100) & ~first_bits(HAND), now=0)
    one.grew(100, now=0)
    now = 0.0
    while not shown(one, "bob") >= set(range(HAND, 100)) and now < 60:
        now += 0.5 * BUSY
        one.advance(now=now)
        take(one, "mallory", min(shown(one, "mallory")), now=now)
    assert now < 0.9 * STILL


def test_one_that_was_late_is_dealt_to_again_once_it_takes_something() -> None:
    one = dealing(HAND, "ann")
    one.advance(now=LATE)
    one.grew(2 * HAND, now=LATE)
    assert len(shown(one, "ann")) == HAND
    take(one, "ann", 0, now=LATE)
    assert len(shown(one, "ann")) == 2 * HAND


def test_a_slow_cable_makes_nobody_late() -> None:
    """Everybody waits long for its turn, but each gets it."""
    nodes = [str(number) for number in range(7)]
    one = dealing(7 * HAND, *nodes)
    hands = {node: list(pieces_of(one.shown_to(node))) for node in nodes}
    now, sent = 0.0, []
    for turn in range(HAND):
        for node in nodes:
            now += 0.9 * BUSY
            take(one, node, hands[node][turn], now=now)
            sent.append(hands[node][turn])
            one.advance(now=now)
        others = {piece for node in nodes for piece in shown(one, node) - set(hands[node]) if piece not in sent}
        assert others == set()


@pytest.mark.parametrize("took", [True, False])
def test_what_was_with_nobody_but_one_who_left_is_dealt_again(took: bool) -> None:
    one = dealing(4, "ann")
    if took:
        take(one, "ann", 0, 1, 2, 3)
    one.left("ann", now=0)
    one.joined("bob", now=0)
    assert shown(one, "bob") == {0, 1, 2, 3}


def test_what_another_holds_too_is_not_dealt_again_when_one_leaves() -> None:
    one = dealing(1, "ann", "bob", "eve")
    first, second, third = dealt(one, "ann", "bob", "eve")
    take(one, first, 0)
    one.holds(second, 1, now=0)
    one.left(first, now=0)
    assert shown(one, third) == set()


def test_what_several_had_who_all_left_is_dealt_again() -> None:
    one = dealing(2, "ann", "bob")
    (piece,) = shown(one, "ann")
    take(one, "ann", piece)
    one.holds("bob", 1 << piece, now=0)
    one.advance(now=SPREAD)
    one.left("ann", now=SPREAD)
    one.joined("eve", now=SPREAD)
    assert shown(one, "eve") == set()
    one.left("bob", now=SPREAD)
    assert shown(one, "eve") == {0, 1}


def test_what_was_dealt_again_is_not_dealt_a_third_time_when_one_who_was_late_leaves() -> None:
    one = dealing(1, "ann", "bob")
    first, _ = dealt(one, "ann", "bob")
    one.advance(now=LATE)
    one.joined("eve", now=LATE)
    one.left(first, now=LATE)
    assert shown(one, "eve") == set()


def test_what_one_who_was_late_takes_after_all_is_not_dealt_again() -> None:
    one = dealing(2 * HAND, "ann", "bob")
    mine, others = shown(one, "ann"), shown(one, "bob")
    one.grew(3 * HAND, now=1)
    take(one, "bob", *others, now=1)
    one.advance(now=LATE)
    taken = min(mine)
    take(one, "ann", taken, now=LATE)
    take(one, "bob", *shown(one, "bob"), now=LATE)
    assert mine - {taken} <= shown(one, "bob")
    assert taken not in shown(one, "bob")


def test_a_newcomer_is_shown_all_that_everybody_else_was_shown() -> None:
    one = dealing(3 * HAND, "ann")
    for _ in range(3):
        take(one, "ann", *shown(one, "ann"))
    one.advance(now=SPREAD)
    one.joined("bob", now=SPREAD)
    assert shown(one, "bob") == set(range(3 * HAND))


def test_one_who_takes_nothing_does_not_keep_from_others_what_was_passed_on() -> None:
    one = dealing(HAND + 1, "ann", "bob")
    idle = "ann" if 0 in shown(one, "bob") else "bob"
    other = "bob" if idle == "ann" else "ann"
    take(one, other, 0)
    one.holds(idle, 1, now=0)
    one.advance(now=LATE)
    take(one, other, *shown(one, other) - {0}, now=LATE)
    one.joined("eve", now=LATE)
    assert 0 in shown(one, "eve")


def test_two_who_claim_to_have_everything_cost_a_moment() -> None:
    one = Dealing()
    for node in ("mallory", "oscar", "ann"):
        one.joined(node, now=0)
    for node in ("mallory", "oscar"):
        one.holds(node, first_bits(100), now=0)
    one.grew(100, now=0)
    one.advance(now=SPREAD)
    assert shown(one, "ann") == set(range(100))


def test_strangers_change_nothing() -> None:
    one = dealing(2, "ann")
    one.holds("mallory", first_bits(2), now=0)
    one.sent("mallory", 0, now=0)
    one.left("mallory", now=0)
    assert shown(one, "ann") == {0, 1}


def test_nothing_is_due_when_nothing_was_dealt() -> None:
    assert dealing(4).next_timer() == math.inf


class Followers:
    """Some pass on what they have, some keep it to themselves, some take nothing, and now and then one leaves."""

    def __init__(self, one: Dealing, count: int, silent: float, chance: Random) -> None:
        self.one, self.chance = one, chance
        self.have = {str(number): 0 for number in range(count)}
        others = list(self.have)[1:]
        self.selfish = {node for node in others if chance.random() < silent}
        self.idle = {node for node in others if chance.random() < silent / 2}
        for node in self.have:
            one.joined(node, now=0)

    def takers(self) -> list[str]:
        return [node for node in self.have if node not in self.idle]

    def step(self, now: float) -> None:
        for node in self.takers():
            self.take(node, now)
        others = list(self.have)[1:]
        if others and self.chance.random() < 0.01:
            leaver = self.chance.choice(others)
            self.one.left(leaver, now=now)
            del self.have[leaver]

    def take(self, node: str, now: float) -> None:
        if from_here := self.one.shown_to(node) & ~self.have[node]:
            piece = self.chance.choice(list(pieces_of(from_here)))
            self.have[node] |= 1 << piece
            self.one.sent(node, piece, now=now)
        for other in sorted(self.have.keys() - self.selfish):
            lacks = self.have[other] & ~self.have[node]
            if lacks and self.chance.random() < 0.5:
                self.have[node] |= 1 << self.chance.choice(list(pieces_of(lacks)))
        if node not in self.selfish:
            self.one.holds(node, self.have[node], now=now)


@given(st.integers(1, 60), st.integers(1, 6), st.floats(0, 1), st.integers(0, 1 << 30))
@settings(max_examples=100, deadline=None)
def test_everybody_gets_everything_whoever_is_silent_or_leaves(
    known: int, count: int, silent: float, seed: int
) -> None:
    """And the timer never stands still."""
    chance = Random(seed)
    one = Dealing()
    followers = Followers(one, count, silent, chance)
    grown = 0
    for step in range(4000):
        now = step / 20
        grown = min(known, grown + chance.randrange(3))
        one.grew(grown, now=now)
        followers.step(now)
        one.advance(now=now)
        assert one.next_timer() > now
        if grown == known and all(followers.have[node] == first_bits(known) for node in followers.takers()):
            return
    raise AssertionError("somebody lacks something for good")


def calls_of(work: Callable[[], object]) -> int:
    """How many functions were called meanwhile: what it costs, on every machine alike."""
    count = 0

    def note(*_: object) -> None:
        nonlocal count
        count += 1

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def test_what_nobody_can_be_dealt_is_not_gone_through_for_each_news() -> None:
    one = dealing(0, *map(str, range(20)), "mallory")
    one.holds("mallory", first_bits(MAX_PIECES), now=0)
    one.grew(MAX_PIECES, now=0)
    assert calls_of(lambda: one.advance(now=0)) < 1_000


def test_news_of_what_is_known_costs_nothing() -> None:
    one = dealing(0, *map(str, range(20)), "mallory")
    one.holds("mallory", first_bits(MAX_PIECES), now=0)
    one.grew(MAX_PIECES, now=0)
    assert calls_of(lambda: one.holds("mallory", 1, now=0)) < 10
