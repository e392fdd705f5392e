"""The small parts: timing, local health, round trips, order, timers, rumours, sources."""

from __future__ import annotations

import math
from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pmods.membership import timing
from p2pmods.membership.awareness import Awareness
from p2pmods.membership.chance import jitter, sample
from p2pmods.membership.order import ProbeOrder
from p2pmods.membership.roundtrips import RoundTrips
from p2pmods.membership.sources import BURST, CROWD_BURST, MAX_PROVED, MAX_SOURCES, PROVED_FOR, RATE, Bucket, Sources
from p2pmods.membership.timers import Timers


@pytest.mark.parametrize(("members", "seconds"), [(1, 4), (10, 4), (100, 8), (1000, 12)])
def test_the_least_suspicion_grows_with_the_logarithm_of_the_swarm(members: int, seconds: float) -> None:
    assert timing.least_suspicion(members) == pytest.approx(seconds)


def test_a_suspicion_shrinks_from_six_times_the_least_with_each_confirmation() -> None:
    times = [timing.suspicion_timeout(100, confirmations) for confirmations in range(5)]
    assert times[0] == pytest.approx(6 * timing.least_suspicion(100))
    assert times[:4] == sorted(times, reverse=True)[:4]
    assert len(set(times[:4])) == 4
    assert times[3] == times[4] == timing.least_suspicion(100)


def test_where_nobody_could_confirm_a_suspicion_does_not_wait_for_it() -> None:
    assert timing.suspicion_timeout(2, 0) == timing.least_suspicion(2)
    assert timing.suspicion_timeout(3, 0) == 6 * timing.least_suspicion(3)
    assert timing.suspicion_timeout(3, 1) == timing.least_suspicion(3)


@pytest.mark.parametrize(("members", "times"), [(1, 4), (9, 4), (12, 8), (99, 8), (100, 12), (200, 12)])
def test_a_rumour_is_told_four_times_the_logarithm(members: int, times: int) -> None:
    assert timing.transmissions(members) == times


@pytest.mark.parametrize(("slowest", "timeout"), [(0, 0.5), (0.3, 0.5), (0.8, 0.8), (60, 2)])
def test_a_probe_waits_half_a_second_or_the_slowest_round_trip(slowest: float, timeout: float) -> None:
    assert timing.probe_timeout(slowest) == timeout


@pytest.mark.parametrize(("timeout", "deadline"), [(0.5, 1), (0.8, 1.6)])
def test_the_ways_round_get_as_long_as_the_direct_one(timeout: float, deadline: float) -> None:
    assert timing.probe_deadline(timeout) == deadline


def test_local_health_stays_within_one_and_eight() -> None:
    health = Awareness()
    health.better()
    assert health.multiplier == 1
    health.worse(3)
    assert health.multiplier == 4
    health.worse(9)
    assert health.multiplier == 8
    health.better()
    assert health.multiplier == 7


def test_the_slowest_of_few_round_trips_and_the_second_slowest_of_a_hundred() -> None:
    trips = RoundTrips()
    assert trips.p99() == 0
    trips.add(-1)
    assert trips.p99() == 0
    for milliseconds in range(1, 50):
        trips.add(milliseconds / 1000)
    assert trips.p99() == 0.049
    for milliseconds in range(50, 201):
        trips.add(milliseconds / 1000)
    assert trips.p99() == 0.199


@given(st.lists(st.integers(), unique=True), st.integers(0, 20), st.integers())
def test_a_sample_has_no_one_twice_and_nobody_else(items: list[int], count: int, seed: int) -> None:
    chosen = sample(Random(seed), items, count)
    assert len(chosen) == len(set(chosen)) == min(count, len(items))
    assert set(chosen) <= set(items)


def test_jitter_is_a_tenth_either_way() -> None:
    spread = [jitter(Random(seed), 10) for seed in range(200)]
    assert 9 <= min(spread) < 9.2
    assert 10.8 < max(spread) <= 11


@given(st.integers(1, 30), st.integers())
def test_everyone_is_probed_once_per_round(members: int, seed: int) -> None:
    nodes = [bytes([i]) for i in range(members)]
    order = ProbeOrder(Random(seed))
    for _ in range(3):
        assert sorted([order.next(nodes) or b"" for _ in nodes]) == nodes


def test_a_new_member_is_probed_in_the_round_under_way() -> None:
    nodes = [bytes([i]) for i in range(10)]
    order = ProbeOrder(Random(1))
    first = order.next(nodes)
    order.add(b"new")
    rest = [order.next([*nodes, b"new"]) for _ in range(10)]
    assert set(rest) | {first} == {*nodes, b"new"}


def test_urgent_members_take_every_other_turn_at_most() -> None:
    nodes = [bytes([i]) for i in range(10)]
    order = ProbeOrder(Random(1))
    order.next(nodes)
    turns = []
    for _ in range(20):
        order.urge(b"\x03")
        turns.append(order.next(nodes))
    assert turns[::2].count(b"\x03") + turns[1::2].count(b"\x03") <= 12
    assert max(Counter(turns).values()) >= 10
    assert len(set(turns)) >= 9


def test_a_crowd_of_urgent_members_is_cut() -> None:
    order = ProbeOrder(Random(1))
    urgent = [bytes([1, i]) for i in range(100)]
    for node in urgent:
        order.urge(node)
    turns = [order.next([b"a", *urgent[:20]]) for _ in range(60)]
    first = [node for node in turns if node in urgent[16:20]]
    assert len(first) <= 3 * 4  # by their turn in the rounds alone
    alone = ProbeOrder(Random(1))
    for node in urgent[:16]:
        alone.urge(node)
    same = [alone.next([b"a", *urgent[:20]]) for _ in range(60)]
    assert turns == same


def test_who_is_gone_is_not_probed() -> None:
    order = ProbeOrder(Random(1))
    order.urge(b"gone")
    assert order.next([b"a", b"b"]) in (b"a", b"b")
    assert [order.next([b"a"]) for _ in range(4)] == [b"a"] * 4
    assert order.next([]) is None


def test_timers_come_in_the_order_of_their_time_and_once() -> None:
    timers = Timers()
    timers.set("late", 3)
    timers.set("early", 1)
    timers.set_no_later("late", 2)
    timers.set_no_later("late", 9)
    assert timers.next() == 1
    assert [timers.pop_due(2), timers.pop_due(2), timers.pop_due(2)] == ["early", "late", None]
    assert timers.next() == math.inf


def test_time_that_did_not_count_moves_every_timer() -> None:
    timers = Timers()
    timers.set("a", 1)
    timers.shift(5)
    assert timers.next() == 6
    timers.cancel("a")
    assert timers.next() == math.inf


def test_a_bucket_fills_with_time_and_not_beyond_its_size() -> None:
    bucket = Bucket(2, 3, now=0)
    assert [bucket.take(0) for _ in range(4)] == [True, True, True, False]
    assert [bucket.take(0.5), bucket.take(0.5)] == [True, False]
    assert not bucket.take(-100)
    assert [bucket.take(1000) for _ in range(4)] == [True, True, True, False]


def test_a_host_has_its_rate_whatever_ports_it_uses() -> None:
    sources = Sources(0)
    assert sum(sources.admit(("10.0.0.1", port), 0) for port in range(1000)) == BURST
    assert sum(sources.admit(("10.0.0.1", port), 1) for port in range(1000)) == RATE
    assert sources.admit(("10.0.0.2", 1), 0)


def test_a_crowd_of_strangers_leaves_the_proved_ones_their_share() -> None:
    sources = Sources(0)
    sources.prove(("10.0.0.1", 1), 0)
    crowd = sum(sources.admit((f"10.{i >> 8}.{i & 255}.9", 1), 0) for i in range(5000))
    assert crowd == CROWD_BURST
    assert sources.admit(("10.0.0.1", 1), 0)


def test_a_proof_is_for_one_port_and_one_hour() -> None:
    sources = Sources(0)
    sources.prove(("10.0.0.1", 1), 0)
    assert sources.has_proved(("10.0.0.1", 1), PROVED_FOR)
    assert not sources.has_proved(("10.0.0.1", 2), 1)
    assert not sources.has_proved(("10.0.0.1", 1), PROVED_FOR + 1)
    assert sources.sizes() == (0, 0)


def test_the_tables_of_sources_have_caps() -> None:
    sources = Sources(0)
    for i in range(3000):
        sources.admit((str(i), 1), 0)
        sources.prove((str(i % 7), i), 0)
    assert sources.sizes() == (MAX_SOURCES, MAX_PROVED)
    assert not sources.has_proved(("0", 0), 1)
    assert sources.has_proved((str(2999 % 7), 2999), 1)
