"""What members make of each other, told on the virtual network."""

from __future__ import annotations

import pytest

from p2pmods.membership.actions import Changed, ClonedIdentity, Died, Joined, Left, Suspected
from p2pmods.membership.table import State
from p2pmods.testing.cluster import Cluster
from p2pmods.testing.conditions import Conditions

FIVE = ["ann", "bob", "eve", "kim", "max"]
TWELVE = [f"n{i}" for i in range(12)]
BOTH = pytest.mark.parametrize("hearsay_only", [False, True], ids=["members only", "strangers"])


def settled(names: list[str], *, seed: int = 1, hearsay_only: bool = False, loss: float = 0) -> Cluster:
    cluster = Cluster(seed, names, Conditions(loss=loss), hearsay_only=hearsay_only)
    cluster.settle()
    cluster.run(20)
    return cluster


def test_one_alone_is_a_member_of_its_own_swarm_and_says_nothing() -> None:
    cluster = settled(["ann"])
    assert list(cluster["ann"].members()) == [cluster.id_of("ann")]
    assert cluster["ann"].statistics().datagrams_out == 0


@BOTH
@pytest.mark.parametrize("seed", range(3))
def test_a_join_is_seen_by_everyone_within_three_seconds(seed: int, *, hearsay_only: bool) -> None:
    cluster = settled(TWELVE, seed=seed, hearsay_only=hearsay_only)
    cluster.run(120)
    cluster.add("late")
    cluster.run(3)
    assert cluster.is_settled()
    assert {h.name for h in cluster.events(Joined, of="late")} == set(TWELVE)


@BOTH
def test_a_killed_node_is_suspected_and_dies_everywhere(*, hearsay_only: bool) -> None:
    cluster = settled(TWELVE, hearsay_only=hearsay_only)
    cluster.network.crash("n5")
    cluster.run(60)
    assert {h.name for h in cluster.events(Died, of="n5")} == set(TWELVE) - {"n5"}
    assert len(cluster.events(Suspected, of="n5")) == len(cluster.events(Died)) == 11
    assert cluster.is_settled()


def test_a_suspect_has_its_time_to_refute() -> None:
    cluster = settled(["ann", "bob"])
    cluster.network.crash("bob")
    cluster.run(60)
    [suspected], [died] = cluster.events(Suspected), cluster.events(Died)
    assert 3.9 <= died.at - suspected.at <= 4.5


def test_a_suspect_refutes_with_a_higher_incarnation() -> None:
    cluster = settled(FIVE)
    before = cluster["ann"].members()[cluster.id_of("bob")].record.incarnation
    cluster.network.partition({"bob"}, set(FIVE) - {"bob"})
    cluster.network.run_until(lambda: bool(cluster.events(Suspected, of="bob")), within=30)
    assert any(cluster.state(of="bob", at=name) is State.SUSPECT for name in FIVE if name != "bob")
    cluster.network.heal()
    cluster.settle(20)
    assert cluster["ann"].members()[cluster.id_of("bob")].record.incarnation > before
    assert cluster.events(Died, of="bob") == []
    assert cluster.events(Changed, of="bob")


@BOTH
def test_two_halves_of_a_swarm_find_each_other_again(*, hearsay_only: bool) -> None:
    cluster = settled(TWELVE, hearsay_only=hearsay_only)
    cluster.network.partition(set(TWELVE[:5]), set(TWELVE[5:]))
    cluster.run(300)
    assert cluster.state(of="n1", at="n7") is cluster.state(of="n7", at="n1") is State.DEAD
    assert len(cluster["n1"].members()) == 5
    assert len(cluster["n7"].members()) == 7
    cluster.network.heal()
    cluster.settle(90)


def test_one_that_was_cut_off_for_long_comes_back_by_itself() -> None:
    cluster = settled(FIVE)
    cluster.network.partition({"ann"}, set(FIVE) - {"ann"})
    cluster.run(1800)
    assert len(cluster["ann"].members()) == 1
    cluster.network.heal()
    cluster.settle(30)


def test_a_stalled_node_blames_nobody_and_comes_back() -> None:
    cluster = settled(TWELVE)
    cluster.network.stall("n3", 60)
    cluster.run(59)
    assert cluster.state(of="n3", at="n4") is State.DEAD
    cluster.settle(30)
    assert {h.event.node_id for h in cluster.history if isinstance(h.event, (Suspected, Died))} == {
        cluster.id_of("n3")
    }


def test_nodes_that_stutter_do_not_bury_the_healthy() -> None:
    cluster = settled(TWELVE)
    for round_ in range(20):
        for name in ("n0", "n1", "n2"):
            cluster.network.stall(name, 1.5 + (round_ % 3))
        cluster.run(6)
    healthy = {cluster.id_of(name) for name in TWELVE[3:]}
    assert not [h for h in cluster.events(Died) if h.event.node_id in healthy]


@pytest.mark.parametrize("links", [True, False])
@pytest.mark.parametrize("seed", range(2))
def test_nobody_dies_of_five_percent_loss(seed: int, *, links: bool) -> None:
    cluster = settled(TWELVE, seed=seed, loss=0.05)
    if not links:
        for name in TWELVE:
            cluster.network.reach.block_links(name)
    cluster.run(600)
    assert cluster.events(Died) == []


@BOTH
def test_thirty_percent_loss_kills_nobody_for_good_and_hides_no_death(*, hearsay_only: bool) -> None:
    cluster = settled(TWELVE, loss=0.3, hearsay_only=hearsay_only)
    cluster.run(60)
    cluster.network.crash("n5")
    cluster.run(60)
    assert {h.name for h in cluster.events(Died, of="n5")} == set(TWELVE) - {"n5"}
    assert not [h for h in cluster.events(Died) if h.event.node_id != cluster.id_of("n5")]
    cluster.settle(60)


def test_doubled_late_and_damaged_datagrams_change_nothing() -> None:
    cluster = Cluster(3, TWELVE, Conditions(duplicate=0.3, reorder=0.3, late=0.4, corrupt=0.05))
    cluster.settle()
    cluster.run(300)
    assert cluster.is_settled()
    assert cluster.events(Died) == []
    assert sum(cluster[name].statistics().malformed for name in cluster) > 0


@pytest.mark.parametrize("seconds", [3600.0, -3600.0])
def test_a_clock_that_jumps_kills_nobody(seconds: float) -> None:
    cluster = settled(FIVE)
    cluster.network.jump_clock("ann", seconds)
    cluster.run(60)
    assert cluster.is_settled()
    assert cluster.events(Died) == []
    cluster.network.crash("bob")
    cluster.run(60)
    assert cluster.state(of="bob", at="ann") is State.DEAD


def test_a_sleeper_is_back_as_soon_as_it_wakes() -> None:
    cluster = settled(FIVE)
    cluster.network.sleep("ann", 3600)
    cluster.run(3599)
    assert cluster.state(of="ann", at="bob") is State.DEAD
    cluster.run(2)
    cluster.settle(3)
    assert cluster.events(Died, at="ann") == []


def test_who_suspected_before_sleep_has_forgotten_it() -> None:
    cluster = settled(FIVE)
    cluster.network.crash("bob")
    cluster.network.run_until(lambda: cluster.state(of="bob", at="ann") is State.SUSPECT, within=30)
    cluster["ann"].wake(now=cluster.network.clock("ann") + 100)
    assert cluster.state(of="bob", at="ann") is State.ALIVE


@BOTH
def test_a_node_that_starts_again_is_believed(*, hearsay_only: bool) -> None:
    cluster = settled(FIVE, hearsay_only=hearsay_only)
    cluster["bob"].set_own_record((cluster.endpoint("bob"),), 5, now=cluster.network.clock("bob"))
    cluster.run(5)
    old = cluster["ann"].members()[cluster.id_of("bob")].record
    cluster.network.crash("bob")
    cluster.network.restart("bob")
    cluster.run(3)
    new = cluster["ann"].members()[cluster.id_of("bob")].record
    assert (new.session, new.flags) != (old.session, old.flags)
    assert new.session == cluster["bob"].members()[cluster.id_of("bob")].record.session
    assert cluster.is_settled()
    assert cluster.events(ClonedIdentity) == []


def test_a_node_that_starts_again_after_its_death_is_believed() -> None:
    cluster = settled(FIVE)
    cluster.network.crash("bob")
    cluster.run(120)
    cluster.network.restart("bob")
    cluster.settle(3)
    assert cluster.events(ClonedIdentity) == []


def test_many_restarts_are_no_clone() -> None:
    cluster = settled(FIVE)
    for _ in range(10):
        cluster.network.crash("bob")
        cluster.run(5)
        cluster.network.restart("bob")
        cluster.run(5)
    cluster.settle(10)
    assert cluster.events(ClonedIdentity) == []


def test_a_cloned_key_is_noticed() -> None:
    cluster = settled(FIVE)
    cluster.add("copy", key_of="bob")
    cluster.run(30)
    assert {h.name for h in cluster.events(ClonedIdentity)} & {"bob", "copy"}
    assert all(h.event.node_id == cluster.id_of("bob") for h in cluster.events(ClonedIdentity))
    assert len(cluster.events(ClonedIdentity)) <= 2


def test_clones_do_not_outbid_each_other_without_end() -> None:
    cluster = settled(FIVE)
    cluster.add("copy", key_of="bob")
    cluster.run(200)
    assert cluster["bob"].statistics().refutations <= 5 + 200 * 0.2 + 1


def test_who_leaves_is_gone_at_once_and_suspected_by_nobody() -> None:
    cluster = settled(TWELVE)
    cluster.leave("n4")
    cluster.run(2)
    assert {h.name for h in cluster.events(Left, of="n4")} == set(TWELVE) - {"n4"}
    assert cluster.state(of="n4", at="n0") is State.LEFT
    assert cluster.events(Suspected) == []
    cluster.run(60)
    cluster.network.restart("n4")
    cluster.settle(3)


def test_a_director_that_steps_down_is_a_member_no_more_and_silent() -> None:
    cluster = settled(FIVE)
    cluster.announce("bob", flags=4)
    cluster.run(2)
    assert cluster.state(of="bob", at="ann") is State.LEFT
    sent = cluster["bob"].statistics().datagrams_out
    cluster.run(60)
    assert cluster["bob"].statistics().datagrams_out == sent
    assert cluster["bob"].next_timer() > 1e9


def test_where_udp_is_blocked_the_links_carry_it() -> None:
    cluster = settled(FIVE)
    cluster.network.reach.block_datagrams("kim")
    cluster.run(300)
    assert cluster.events(Died) == []
    cluster.network.crash("max")
    cluster.run(60)
    assert cluster.state(of="max", at="kim") is State.DEAD


def test_who_has_no_udp_at_all_joins_over_a_link() -> None:
    cluster = settled(["ann", "bob"])
    cluster.network.reach.block_datagrams("kim")
    cluster.add("kim")
    cluster.settle(20)


def test_where_links_are_blocked_datagrams_still_find_the_dead() -> None:
    cluster = settled(FIVE)
    for name in FIVE:
        cluster.network.reach.block_links(name)
    cluster.run(60)
    assert cluster.events(Suspected) == []
    cluster.network.crash("bob")
    cluster.run(60)
    assert cluster.state(of="bob", at="ann") is State.DEAD


def test_one_that_two_cannot_reach_lives_by_the_others() -> None:
    cluster = settled(FIVE)
    for other in ("ann", "bob"):
        cluster.network.reach.block("eve", other)
        cluster.network.reach.block(other, "eve")
    cluster.run(300)
    assert cluster.events(Died) == []


def test_what_one_missed_comes_by_comparing_tables() -> None:
    cluster = settled(TWELVE)
    cluster.network.partition({"n11"}, set(TWELVE) - {"n11"})
    cluster.add("late")  # in no group: it reaches everyone, but n11 hears of it from nobody
    cluster.network.reach.block("n11", "late")
    cluster.network.reach.block("late", "n11")
    cluster.run(4)
    assert cluster.state(of="late", at="n11") is None
    cluster.network.partition()
    cluster.run(60)
    assert cluster.state(of="late", at="n11") is State.ALIVE
    assert sum(cluster[name].statistics().differences for name in TWELVE) > 0


def test_equal_tables_are_not_compared() -> None:
    cluster = settled(TWELVE)
    before = sum(cluster[name].statistics().differences for name in TWELVE)
    sent = sum(node.traffic.link_messages_out for node in cluster.network.nodes.values())
    cluster.run(600)
    assert sum(cluster[name].statistics().differences for name in TWELVE) == before
    assert sum(node.traffic.link_messages_out for node in cluster.network.nodes.values()) == sent


@pytest.mark.parametrize("count", [12, 30])
def test_an_idle_member_costs_less_than_half_a_kilobyte_a_second(count: int) -> None:
    cluster = settled([f"n{i}" for i in range(count)])
    cluster.run(80)
    before = {name: node.traffic.datagram_bytes_out for name, node in cluster.network.nodes.items()}
    cluster.run(300)
    for name, node in cluster.network.nodes.items():
        both_ways = 2 * (node.traffic.datagram_bytes_out - before[name])
        assert both_ways / 300 <= 512


def test_the_same_seed_gives_the_same_history() -> None:
    def history(seed: int) -> str:
        cluster = Cluster(seed, TWELVE, Conditions(loss=0.1, duplicate=0.1, reorder=0.1, corrupt=0.1))
        cluster.run(20)
        cluster.network.crash("n2")
        cluster.network.stall("n3", 5)
        cluster.run(40)
        return cluster.network.trace.digest()

    assert history(1) == history(1) != history(2)


@pytest.mark.parametrize("seed", range(6))
def test_two_that_were_dead_and_start_again_together_are_seen_whatever_their_sessions_are(seed: int) -> None:
    """The second asks only the first, which knows nothing of its former life; the others hold it dead."""
    cluster = Cluster(seed, ["a", "b", "c", "d"])
    cluster.run(10)
    for name in ("a", "b"):
        cluster.network.crash(name)
        cluster.run(20)
    for name in ("a", "b"):
        cluster.network.restart(name)
    cluster.settle(within=120)
