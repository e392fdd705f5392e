"""The floor under a body's speed is shared by all that come at once."""

from __future__ import annotations

from p2pmods.upstream.limits import Limits, RateFloor

LIMITS = Limits(floor=1000, window=10)


def test_a_body_is_judged_once_per_window() -> None:
    floor = RateFloor(LIMITS, now=0)
    assert floor.receive(1, sharers=1, now=9.9)
    assert not floor.receive(1, sharers=1, now=10)


def test_fast_enough_goes_on_and_the_next_window_counts_anew() -> None:
    floor = RateFloor(LIMITS, now=0)
    assert floor.receive(10_000, sharers=1, now=10)
    assert not floor.receive(9_999, sharers=1, now=20)


def test_a_line_shared_by_ten_may_give_each_a_tenth() -> None:
    assert RateFloor(LIMITS, now=0).receive(1000, sharers=10, now=10)
    assert not RateFloor(LIMITS, now=0).receive(999, sharers=10, now=10)


def test_a_line_as_slow_as_a_crowded_conference_s_is_borne() -> None:
    assert RateFloor(Limits(), now=0).receive(15 * 5000, sharers=1, now=15)
    assert not RateFloor(Limits(), now=0).receive(15 * 4000, sharers=1, now=15)
