"""Whatever happens to a swarm: who lives and can be reached is not dead for good, and no table outgrows its cap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from p2pmods.membership.rumours import MAX_RUMOURS
from p2pmods.membership.table import MAX_GONE, MAX_MEMBERS
from p2pmods.testing.cluster import Cluster
from p2pmods.testing.conditions import Conditions

if TYPE_CHECKING:
    from p2pmods.testing.network import Network

NAMES = ["a", "b", "c", "d", "e", "f"]


@dataclass(frozen=True)
class Step:
    """One thing that goes wrong, and the seconds until the next."""

    fault: str
    who: str
    amount: float
    then: float


steps = st.builds(
    Step,
    st.sampled_from(["crash", "restart", "stall", "sleep", "jump", "back", "cut off", "heal", "leave", "one way"]),
    st.sampled_from(NAMES),
    st.floats(0.1, 20),
    st.floats(0.1, 20),
)
conditions = st.builds(
    Conditions,
    loss=st.sampled_from([0.0, 0.05, 0.3]),
    duplicate=st.sampled_from([0.0, 0.2]),
    corrupt=st.sampled_from([0.0, 0.1]),
    reorder=st.sampled_from([0.0, 0.3]),
)


def happen(cluster: Cluster, step: Step) -> None:
    network, who = cluster.network, step.who
    others = set(NAMES) - {who}
    match step.fault:
        case "crash":
            network.crash(who)
        case "restart":
            network.restart(who)
        case "stall":
            network.stall(who, step.amount)
        case "sleep" if network.nodes[who].frozen_until <= network.now:
            network.sleep(who, step.amount)
        case "jump" | "back":
            network.jump_clock(who, step.amount * (100 if step.fault == "jump" else -100))
        case "cut off":
            network.partition({who, min(others)}, others - {min(others)})
        case "heal":
            network.heal()
        case "one way":
            network.reach.block(who, min(others))
        case "leave" if network.nodes[who].is_up:
            cluster.leave(who)
        case _:
            pass
    cluster.run(step.then)


def within_caps(cluster: Cluster) -> None:
    for name in cluster:
        statistics = cluster[name].statistics()
        assert statistics.members <= MAX_MEMBERS + 1
        assert statistics.gone <= MAX_GONE
        assert statistics.rumours <= MAX_RUMOURS
        assert 1 <= statistics.health <= 8


def history(seed: int, weather: Conditions, faults: list[Step], *, hearsay_only: bool) -> Cluster:
    cluster = Cluster(seed, NAMES, weather, hearsay_only=hearsay_only)

    def caps(network: Network) -> None:
        if network.trace.events % 16 == 0:
            within_caps(cluster)

    cluster.network.invariant(caps)
    cluster.run(10)
    for step in faults:
        happen(cluster, step)
    return cluster


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 1000), conditions, st.lists(steps, max_size=8), st.booleans())
def test_whoever_lives_and_can_be_reached_is_seen_alive_in_the_end(
    seed: int, weather: Conditions, faults: list[Step], hearsay_only: bool
) -> None:
    cluster = history(seed, weather, faults, hearsay_only=hearsay_only)
    cluster.network.heal()
    cluster.network.conditions = Conditions()
    for name in NAMES:
        if not cluster.network.nodes[name].is_up:
            cluster.network.restart(name)
    cluster.settle(within=200)


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 1000), conditions, st.lists(steps, max_size=5), st.booleans())
def test_the_same_seed_gives_the_same_trace(
    seed: int, weather: Conditions, faults: list[Step], hearsay_only: bool
) -> None:
    traces = {history(seed, weather, faults, hearsay_only=hearsay_only).network.trace.digest() for _ in range(2)}
    assert len(traces) == 1
