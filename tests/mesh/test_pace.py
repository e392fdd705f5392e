"""How often something may happen."""

from __future__ import annotations

from p2pmods.mesh.pace import Pace


def test_some_at_once_and_then_at_its_rate() -> None:
    pace = Pace(rate=2, burst=3)
    assert [pace.take(now=10) for _ in range(5)] == [True, True, True, False, False]
    assert [pace.take(now=10.5) for _ in range(2)] == [True, False]
    assert sum(pace.take(now=now) for now in range(11, 21)) == 10


def test_a_long_pause_saves_up_no_more_than_a_burst() -> None:
    pace = Pace(rate=2, burst=3)
    assert pace.take(now=0)
    assert [pace.take(now=3600) for _ in range(4)] == [True, True, True, False]
