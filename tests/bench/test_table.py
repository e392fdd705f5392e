"""The benchmark's table says what was measured, and neither more nor less."""

from __future__ import annotations

import json

import pytest

from simulations.bench.table import Reach, Row, amount, format_table

COLD = Row("cold", "s", (11.0, 10.0, 90.0), (10.0, 8.0, 12.0), Reach("≤", 1.15), ("a note",))
MEMORY = Row("memory", "MB", (95e6,), (), Reach("≤", 90e6))


def test_a_ratio_is_median_over_median_so_one_bad_round_does_not_count() -> None:
    assert COLD.ratio == pytest.approx(1.1)
    assert COLD.is_reached is True


def test_the_spread_shows_the_bad_round() -> None:
    assert COLD.spread is not None
    assert COLD.spread == pytest.approx((1.1, 7.5))
    assert Row("once", "s", (1.0,), (2.0,)).spread is None


def test_without_a_baseline_the_median_itself_is_held_against_the_number() -> None:
    assert MEMORY.ratio is None
    assert MEMORY.is_reached is False


@pytest.mark.parametrize(
    ("how", "value", "expected"),
    [("≤", 1.0, True), ("≤", 1.1, False), ("≥", 0.9, False), ("=", 1.0, True), ("=", 2, False)],
)
def test_at_most_at_least_and_exactly(how: str, value: float, expected: bool) -> None:
    assert Reach(how, 1.0).is_met(value) is expected


def test_a_number_that_is_reached_in_no_known_way_is_refused() -> None:
    with pytest.raises(ValueError, match="none of"):
        Reach("<", 1.0)


def test_nothing_measured_and_rounds_that_do_not_pair_are_no_rows() -> None:
    with pytest.raises(ValueError, match="nothing was measured"):
        Row("empty")
    with pytest.raises(ValueError, match="not as many rounds"):
        Row("uneven", "s", (1.0, 2.0), (1.0,))


def test_what_could_not_be_measured_has_neither_passed_nor_missed() -> None:
    row = Row("zip", reach=Reach("≥", 1.3), failed="the node has gone")
    assert row.is_reached is None
    assert "the node has gone" in format_table([row])
    assert "not measured" in format_table([row])


def test_what_was_never_reached_is_missed() -> None:
    row = Row("proven", "s", (float("inf"),), (), Reach("≤", 60))
    assert row.is_reached is False
    assert "never" in format_table([row])
    assert json.loads(json.dumps(row.as_json(), allow_nan=False))["node"] == [None]


def test_columns_are_aligned_and_verdicts_are_words() -> None:
    lines = format_table([COLD, MEMORY]).splitlines()
    assert len(lines) == 4
    column = lines[0].index("reach")
    assert lines[2][column:].startswith("≤ 1.15")
    assert lines[3][column:].startswith("≤ 90 MB")
    assert "pass" in lines[2]
    assert "MISSED" in lines[3]


def test_the_json_has_every_round() -> None:
    document = json.loads(json.dumps(COLD.as_json()))
    assert document["node"] == [11.0, 10.0, 90.0]
    assert document["reach"] == "≤ 1.15"
    assert document["reached"] is True
    assert document["failed"] is None


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1.234, "s", "1.23 s"),
        (0.25, "ms", "250 ms"),
        (130e6, "MB", "130 MB"),
        (3.5e9, "B/s", "3.50 GB/s"),
        (1, "", "1"),
    ],
)
def test_amounts_are_for_people(value: float, unit: str, text: str) -> None:
    assert amount(value, unit) == text
