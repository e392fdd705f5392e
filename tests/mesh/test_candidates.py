"""Which address is dialled next: the best first, a few at a time, failures ever later, all with a bound."""

from __future__ import annotations

import itertools
import math
import random

import pytest

from p2pmods.mesh.candidates import (
    HEAD_START,
    LAST_RETRY,
    LOOK_AGAIN,
    MAX_DIALING,
    MAX_PER_HOST,
    MAX_PER_NODE,
    MAX_TRIES,
    STAGGER,
    Attempt,
    Candidates,
    Origin,
)
from tests.mesh.people import ANN, BOB, EVE, at, node

NEAR, FAR, PEER = at("10.0.0.2:4000"), at("172.16.0.2:4000"), at("peer.example.com:4000")


class Table(Candidates):
    """Candidates with a clock, and an impatient driver."""

    def __init__(self) -> None:
        self.members: set[str] = set()
        super().__init__(ANN, is_member=self.members.__contains__, entropy=random.Random(1))
        self.move(frozenset({at("10.0.0.1:4000")}), lambda host: host.startswith("10."), now=0.0)

    def hint(self, text: str, node_id: str | None = BOB, origin: Origin = Origin.MDNS, *, now: float = 0.0) -> None:
        self.add(at(text), origin, node_id, now=now)

    def starts(self, *, until: float = 60.0, since: float = 0.0) -> list[tuple[float, str]]:
        """When each dial began, while none of them ends."""
        now, found = since, []
        while now <= until:
            attempt = self.next_attempt(now=now)
            if attempt:
                found.append((round(now, 6), attempt.address.host))
            else:
                now = max(self.next_time(), now + 0.001) if self.next_time() < math.inf else math.inf
        return found


def test_the_configured_first_then_the_near_then_the_far_and_older_news_last() -> None:
    table = Table()
    table.hint("172.16.0.9:1", node("old"), Origin.REMEMBERED)
    table.hint("172.16.0.2:1", node("far"))
    table.hint("10.0.0.9:1", node("old, near"), Origin.REMEMBERED)
    table.hint("10.0.0.3:1", node("told"), Origin.LEARNED)
    table.hint("10.0.0.2:1", node("near"))
    table.hint("peer.example.com:1", None, Origin.CONFIGURED)
    assert [host for _, host in table.starts()] == [
        "peer.example.com",
        "10.0.0.2",
        "10.0.0.3",
        "10.0.0.9",
        "172.16.0.2",
        "172.16.0.9",
    ]


def test_remembered_members_are_dialled_newest_first() -> None:
    table = Table()
    for n in range(5):
        table.hint(f"10.0.0.{n + 2}:1", node(str(n)), Origin.REMEMBERED)
    assert [host for _, host in table.starts()] == [f"10.0.0.{n + 2}" for n in range(5)]


def test_dials_are_staggered_and_only_a_few_run_at_once() -> None:
    table = Table()
    for n in range(20):
        table.hint(f"10.0.1.{n}:1", node(str(n)))
    starts = [now for now, _ in table.starts()]
    assert len(starts) == MAX_DIALING == table.dialing
    assert all(later - earlier >= STAGGER - 1e-6 for earlier, later in itertools.pairwise(starts))
    assert table.next_time() == math.inf


def test_another_address_of_the_same_node_has_to_wait_a_moment() -> None:
    table = Table()
    table.hint("10.0.0.2:1")
    table.hint("10.0.0.3:1")
    (first, _), (second, _) = table.starts()
    assert second - first >= HEAD_START


def test_a_failure_waits_twice_as_long_each_time_with_jitter() -> None:
    table, now, waits = Table(), 0.0, []
    table.add(PEER, Origin.CONFIGURED, None, now=0)
    for _ in range(12):
        attempt = table.next_attempt(now=now)
        assert attempt == Attempt(PEER, None)
        table.failed(attempt, now=now)
        waits.append(table.next_time() - now)
        assert table.next_attempt(now=table.next_time() - 0.001) is None
        now = table.next_time()
    for wait, middle in zip(waits, (1, 2, 4, 8, 16, 32, *[LAST_RETRY] * 6), strict=True):
        assert 0.75 * middle <= wait <= 1.25 * middle
    assert len(set(waits[6:])) > 1


def test_what_keeps_failing_is_forgotten_unless_it_was_configured() -> None:
    table = Table()
    table.add(NEAR, Origin.MDNS, BOB, now=0)
    for _ in range(MAX_TRIES):
        attempt = table.next_attempt(now=table.next_time())
        assert attempt is not None
        table.failed(attempt, now=table.next_time())
    assert len(table) == 0
    assert table.next_time() == math.inf


def test_who_did_not_fail_yet_goes_before_who_did() -> None:
    table = Table()
    table.add(NEAR, Origin.MDNS, BOB, now=0)
    attempt = table.next_attempt(now=0)
    assert attempt is not None
    table.failed(attempt, now=0)
    table.add(FAR, Origin.REMEMBERED, EVE, now=5)
    assert [host for _, host in table.starts(since=5)] == [FAR.host, NEAR.host]


def test_members_are_not_dialled_until_they_are_lost() -> None:
    table = Table()
    table.members.add(BOB)
    table.add(NEAR, Origin.MDNS, BOB, now=0)
    assert table.next_attempt(now=0) is None
    assert table.next_time() == LOOK_AGAIN
    table.members.clear()
    assert table.next_attempt(now=LOOK_AGAIN) == Attempt(NEAR, BOB)


def test_a_configured_peer_that_answered_is_dialled_again_when_it_is_lost() -> None:
    table = Table()
    table.add(PEER, Origin.CONFIGURED, None, now=0)
    attempt = table.next_attempt(now=0)
    assert attempt == Attempt(PEER, None)
    table.succeeded(attempt, BOB, now=1)
    table.members.add(BOB)
    assert table.starts(since=1) == []
    table.members.clear()
    # Whoever answers there now: the machine may have been set up anew.
    assert table.next_attempt(now=100) == Attempt(PEER, None)


def test_a_configured_peer_that_is_also_heard_is_dialled_once() -> None:
    table = Table()
    table.add(NEAR, Origin.CONFIGURED, None, now=0)
    table.add(NEAR, Origin.MDNS, BOB, now=0)
    assert table.next_attempt(now=0) == Attempt(NEAR, None)
    assert table.next_attempt(now=STAGGER) is None


def test_the_own_addresses_are_never_dialled() -> None:
    table = Table()
    table.hint("10.0.0.1:4000", BOB)
    table.hint("10.0.0.2:4000", ANN)
    table.hint("10.0.0.1:4000", None, Origin.CONFIGURED)
    assert len(table) == 0
    table.move(frozenset({NEAR}), lambda _: True, now=0)
    table.hint("10.0.0.2:4000", BOB)
    assert table.starts() == []


def test_a_name_that_leads_to_this_node_is_not_dialled_again() -> None:
    table = Table()
    table.add(PEER, Origin.CONFIGURED, None, now=0)
    attempt = table.next_attempt(now=0)
    assert attempt is not None
    table.succeeded(attempt, ANN, now=0)
    assert table.starts(until=3600) == []


def test_another_network_is_a_new_chance_for_all() -> None:
    table = Table()
    table.add(FAR, Origin.MDNS, BOB, now=0)
    attempt = table.next_attempt(now=0)
    assert attempt is not None
    table.failed(attempt, now=0)
    table.hint("10.0.0.2:1", EVE, now=0.5)
    table.move(frozenset(), lambda host: host == FAR.host, now=0.5)
    assert [host for _, host in table.starts(since=0.5)] == [FAR.host, "10.0.0.2"]


def test_a_lie_about_an_address_does_not_take_its_place() -> None:
    table = Table()
    table.add(NEAR, Origin.REMEMBERED, BOB, now=0)
    table.add(NEAR, Origin.MDNS, EVE, now=0)
    attempt = table.next_attempt(now=0)
    assert attempt == Attempt(NEAR, EVE)
    table.failed(attempt, now=0.2)
    assert table.next_attempt(now=1) == Attempt(NEAR, BOB)


def test_a_remembered_member_that_is_heard_goes_before_one_that_is_told_of() -> None:
    table = Table()
    table.hint("10.0.0.2:1", BOB, Origin.REMEMBERED)
    table.hint("10.0.0.3:1", EVE, Origin.LEARNED)
    table.hint("10.0.0.2:1", BOB, Origin.MDNS)
    assert [host for _, host in table.starts()] == ["10.0.0.2", "10.0.0.3"]


def test_a_dial_under_way_keeps_its_place() -> None:
    table = Table()
    table.add(NEAR, Origin.MDNS, BOB, now=0)
    attempt = table.next_attempt(now=0)
    assert attempt is not None
    table.failed(attempt, now=0)
    assert table.next_attempt(now=5) == attempt
    for n in range(600):
        table.hint(f"10.1.{n % 200}.{n // 200}:1", node(str(n)), now=5)
    assert len(table) == 512
    assert table.dialing == 1


def test_hints_make_no_port_scanner() -> None:
    table = Table()
    for port in range(1, 1000):
        table.hint(f"10.0.0.7:{port}", node(str(port)))
    assert len(table) == MAX_PER_HOST


def test_one_node_has_a_few_addresses() -> None:
    table = Table()
    for n in range(100):
        table.hint(f"10.0.2.{n}:1", BOB)
    assert len(table) == MAX_PER_NODE


def test_a_flood_of_one_kind_leaves_room_for_the_others() -> None:
    table = Table()
    for n in range(3000):
        table.hint(f"10.1.{n % 200}.{n // 200}:1", node(str(n)))
    assert len(table) == 512
    table.add(NEAR, Origin.LEARNED, BOB, now=0)
    table.add(PEER, Origin.CONFIGURED, None, now=0)
    assert len(table) == 514
    assert table.next_attempt(now=0) == Attempt(PEER, None)


def test_what_fails_makes_room_for_what_is_new() -> None:
    table = Table()
    for n in range(512):
        table.hint(f"10.1.{n % 200}.{n // 200}:1", node(str(n)))
    attempt = table.next_attempt(now=0)
    assert attempt is not None
    table.failed(attempt, now=0)
    table.hint("10.9.9.9:1", node("new"))
    table.hint("10.9.9.8:1", node("too many"))
    assert len(table) == 512
    table.failed(attempt, now=0)  # its dial ends after it was forgotten
    hosts = set()
    for n in range(600):
        attempt = table.next_attempt(now=n * STAGGER + 0.01 * n)
        if attempt:
            hosts.add(attempt.address.host)
            table.succeeded(attempt, attempt.expect or "", now=n)
    assert "10.9.9.9" in hosts
    assert "10.9.9.8" not in hosts


@pytest.mark.parametrize("count", [1001])
def test_even_configured_peers_have_a_bound(count: int) -> None:
    table = Table()
    for n in range(count):
        table.hint(f"h{n}:1", None, Origin.CONFIGURED)
    assert len(table) == 1000
