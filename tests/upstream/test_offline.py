"""Being offline is noticed, costs little, and is forgotten by itself."""

from __future__ import annotations

from p2pmods.upstream.offline import PORTAL_FOR, PROBE_PATIENCE, OfflineState

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
