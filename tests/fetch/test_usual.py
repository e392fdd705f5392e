"""How long the upstream usually takes: the last times count most, and failures not at all."""

from __future__ import annotations

import pytest

from p2pmods.fetch.usual import UsualTime


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def times(*seconds: float) -> float:
    clock = Clock()
    usual = UsualTime(clock)
    for one in seconds:
        with usual.measured():
            clock.now += one
    return usual.seconds


def test_nothing_is_known_before_the_first_time() -> None:
    assert times() == 0


def test_what_always_takes_as_long_usually_takes_that_long() -> None:
    assert times(*[0.4] * 30) == pytest.approx(0.4, rel=0.01)


def test_one_slow_time_changes_little_and_many_change_all() -> None:
    assert times(*[0.1] * 30, 1.0) == pytest.approx(0.28, rel=0.01)
    assert times(*[0.1] * 30, *[1.0] * 30) == pytest.approx(1.0, rel=0.01)


def test_a_time_that_failed_does_not_count() -> None:
    usual = UsualTime(Clock())
    usual.seconds = 0.4
    with pytest.raises(OSError), usual.measured():
        raise OSError
    assert usual.seconds == 0.4
