"""When a build fetches as fast as it can, what can wait does."""

from __future__ import annotations

from p2pmods.fetch.storm import LONGEST, MANY, QUIET, Storm


def test_a_few_fetches_are_no_storm() -> None:
    storm = Storm()
    for i in range(MANY - 1):
        storm.note(now=i * 0.01)
    assert not storm.is_on(now=0.1)
    assert storm.wait(now=0.1) == 0


def test_many_fetches_slowly_are_no_storm() -> None:
    storm = Storm()
    for i in range(10 * MANY):
        storm.note(now=i * 0.6)
        assert not storm.is_on(now=i * 0.6)


def test_many_fetches_at_once_are_a_storm_that_ends_when_they_do() -> None:
    storm = Storm()
    for i in range(MANY):
        storm.note(now=100 + i * 0.01)
    assert storm.is_on(now=100.2)
    assert storm.wait(now=100.2) > 0
    assert not storm.is_on(now=101 + QUIET)
    assert storm.wait(now=101 + QUIET) == 0


def test_what_waits_for_a_storm_does_not_wait_for_ever() -> None:
    storm = Storm()
    for i in range(1000):
        storm.note(now=i * 0.1)
    assert storm.is_on(now=100)
    assert storm.wait(now=1) > 0
    assert storm.wait(now=LONGEST + 2) == 0
