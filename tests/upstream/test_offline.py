"""Being offline is noticed, costs little, and is forgotten by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from p2pmods.gomod.goproxy import parse_goproxy
from p2pmods.upstream.failure import UpstreamUnavailable
from p2pmods.upstream.offline import PORTAL_FOR, PROBE_PATIENCE, WANTED_FOR, OfflineState
from p2pmods.upstream.sumdb_route import SumdbRoute

if TYPE_CHECKING:
    from p2pmods.gomod.goproxy import ProxyStep
    from p2pmods.upstream.limits import Want

HOST, OTHER = "proxy.example.com:443", "git.example.com:443"


def lost(state: OfflineState, host: str = HOST, *, now: float) -> None:
    """One request that begins, and fails at once."""
    assert state.wait(host, now=now) == 0
    state.failed(host, started=now, now=now)


def test_a_host_that_fails_is_left_alone_for_a_growing_while() -> None:
    state, now, waits = OfflineState(first_period=2, longest_period=10), 0.0, []
    for _ in range(5):
        lost(state, now=now)
        waits.append(state.wait(HOST, now=now))
        now += waits[-1]
    assert waits == [2, 4, 8, 10, 10]


def test_one_request_alone_tries_again() -> None:
    state = OfflineState(first_period=2)
    lost(state, now=0)
    assert state.wait(HOST, now=2) == 0
    assert state.wait(HOST, now=2) > 0
    state.succeeded(HOST, now=2.5)
    assert state.wait(HOST, now=2.5) == 0


def test_a_probe_that_never_returns_does_not_block_for_ever() -> None:
    state = OfflineState(first_period=2)
    lost(state, now=0)
    assert state.wait(HOST, now=2) == 0
    assert state.wait(HOST, now=2 + PROBE_PATIENCE) == 0


def test_many_that_fail_together_count_once() -> None:
    state = OfflineState(first_period=2)
    for _ in range(100):
        state.failed(HOST, started=0, now=1)
    assert state.wait(HOST, now=1) == 2


def test_one_that_got_through_later_outweighs_one_that_began_before() -> None:
    state = OfflineState()
    state.succeeded(HOST, now=5)
    state.failed(HOST, started=4, now=6)
    assert state.wait(HOST, now=6) == 0


def test_the_node_is_offline_when_nothing_is_in_reach_and_online_for_all_when_one_is_again() -> None:
    state = OfflineState(first_period=2)
    lost(state, HOST, now=0)
    lost(state, OTHER, now=1)
    assert state.offline
    assert state.wait(HOST, now=2) == 0
    state.succeeded(HOST, now=2)
    assert state.wait(OTHER, now=2) == 0
    assert [state.offline] == [False]


def test_one_host_down_is_not_offline_and_does_not_get_forgotten() -> None:
    state = OfflineState()
    state.succeeded(OTHER, now=0)
    lost(state, HOST, now=0)
    state.succeeded(OTHER, now=1)
    assert not state.offline
    assert state.wait(HOST, now=1) > 0


def test_that_something_is_in_reach_again_is_told_once() -> None:
    state, told = OfflineState(), []
    state.on_back = lambda: told.append(state.offline)
    state.succeeded(HOST, now=0)
    lost(state, HOST, now=1)
    lost(state, OTHER, now=1)
    state.succeeded(HOST, now=2)
    state.succeeded(OTHER, now=3)
    assert told == [False]


def test_that_one_host_of_several_is_in_reach_again_is_not_told() -> None:
    state, told = OfflineState(), []
    state.on_back = lambda: told.append("back")
    state.succeeded(OTHER, now=0)
    lost(state, HOST, now=1)
    state.succeeded(HOST, now=2)
    assert told == []


def test_hosts_out_of_reach_are_looked_after_in_turn_while_they_are_wanted() -> None:
    state = OfflineState()
    known = [HOST, OTHER, "never.example.com:443"]
    lost(state, HOST, now=0)
    lost(state, OTHER, now=0)
    assert [state.host_to_look_after(known, now=at) for at in (1, 2, 3)] == [HOST, OTHER, HOST]
    assert state.host_to_look_after([OTHER], now=4) == OTHER
    assert state.wait(HOST, now=100) == 0  # somebody wants something of it once more
    assert state.host_to_look_after(known, now=WANTED_FOR + 1) == HOST
    assert state.host_to_look_after(known, now=WANTED_FOR + 2) == HOST
    assert state.host_to_look_after(known, now=100 + WANTED_FOR) is None


def test_nothing_is_looked_after_behind_a_portal_or_against_the_setting() -> None:
    for state in (OfflineState(forced=True), OfflineState()):
        lost(state, now=0)
        state.met_portal(now=0)
        assert state.host_to_look_after([HOST], now=1) is None
    assert OfflineState(forced=True).host_to_look_after([HOST], now=PORTAL_FOR + 1) is None


def test_another_network_begins_anew() -> None:
    state = OfflineState()
    lost(state, now=0)
    state.network_changed()
    assert state.wait(HOST, now=0) == 0
    assert not state.offline


def test_the_setting_wins() -> None:
    state = OfflineState(forced=True)
    state.succeeded(HOST, now=0)
    assert state.offline


def test_a_portal_is_forgotten_after_a_while_and_on_another_network() -> None:
    state = OfflineState()
    assert not state.is_captive(now=0)
    state.met_portal(now=0)
    assert state.is_captive(now=PORTAL_FOR - 1)
    assert not state.is_captive(now=PORTAL_FOR)
    state.met_portal(now=1000)
    state.network_changed()
    assert not state.is_captive(now=1000)


async def test_who_wants_the_database_does_not_wait_for_the_one_that_looks_whether_it_is_back(
    autojump_clock: trio.testing.MockClock,
) -> None:
    state = OfflineState(first_period=2)
    lost(state, now=trio.current_time())

    async def get(step: ProxyStep, endpoint: str, want: Want) -> bytes:
        if state.wait(HOST, now=trio.current_time()):
            raise UpstreamUnavailable(HOST, "out of reach")
        await trio.sleep_forever()
        raise AssertionError

    route = SumdbRoute(parse_goproxy(f"https://{HOST}"), get, state)
    await trio.sleep(3)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(route.fetch, "sum.example.org", "latest", None)
        await trio.testing.wait_all_tasks_blocked()
        started = trio.current_time()
        with pytest.raises(UpstreamUnavailable), trio.fail_after(1):
            await route.fetch("sum.example.org", "lookup/x", None)
        assert trio.current_time() == started
        nursery.cancel_scope.cancel()
