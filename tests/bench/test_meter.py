"""Figures of a process, from the text that Linux gives."""

from __future__ import annotations

from simulations.bench.meter import parse_usage

STAT = "7 (a ) name (x) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 9 9 20 0 4 0 100 1000 10"
STATUS = "Name:\ta name\nVmHWM:\t    2000 kB\nVmRSS:\t    1000 kB\nThreads:\t4\n"


def test_cpu_is_user_and_system_time_of_the_process_whatever_its_name() -> None:
    usage = parse_usage(STAT, STATUS, 100)
    assert usage is not None
    assert usage.cpu == 3.0


def test_memory_is_in_bytes() -> None:
    usage = parse_usage(STAT, STATUS, 100)
    assert usage is not None
    assert (usage.resident, usage.peak) == (1_024_000, 2_048_000)


def test_a_zombie_has_no_figures() -> None:
    assert parse_usage(STAT, "Name:\tx\nState:\tZ (zombie)\n", 100) is None
