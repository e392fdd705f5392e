"""Random histories: at no moment two leases of one key, no claim without an end, no table above its bound."""

from __future__ import annotations

import math
from collections import Counter
from random import Random
from typing import TYPE_CHECKING

import pytest

from p2pmods.directory import case as cases
from p2pmods.directory import providers
from p2pmods.directory.case import Case, Cases
from p2pmods.directory.claimant import Claimant
from p2pmods.directory.claimstate import State
from p2pmods.directory.granting import Granting
from p2pmods.directory.patience import AHEAD, LIVELY
from p2pmods.testing.conditions import Conditions
from p2pmods.testing.room import Room

if TYPE_CHECKING:
    from p2pmods.testing.network import Network

MODULES = [f"example.com/m{number}@v1.0.0" for number in range(3)]
PATIENCE = 25.0  # seconds for a claim
CHANGE = 10.0  # seconds after a change of home, in which two leases are allowed
DECIDED = (State.FETCHING, State.ALONE, State.ENDED)
BOUND = 3


class Watch:
    """The invariants. `changed` is when the homes last changed in anybody's view."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.sides: tuple[set[str], ...] = ()
        self.changed = -CHANGE
        self.frozen: dict[str, float] = {}  # who stood still, until when
        room.network.invariant(self)

    def __call__(self, network: Network) -> None:
        awake = [name for name in self.room.up() if self.frozen.get(name, -1.0) + 1 < network.now]
        if network.now > self.changed + CHANGE:
            self.one_lease(awake)
        self.no_claim_without_end(awake, network)
        for name in awake:
            assert self.room[name].home.statistics().cases <= BOUND
            assert self.room[name].holdings.table.statistics().keys <= BOUND

    def one_lease(self, awake: list[str]) -> None:
        leases = Counter(
            (key, self.side_of(name)) for name in awake for key in self.room[name].fetching if self.is_live(name, key)
        )
        assert all(count == 1 for count in leases.values()), f"two leases at {self.room.network.now}"

    def is_live(self, name: str, key: bytes) -> bool:
        """Whether a home still counts on the fetcher: one that was replaced hears of it with its next renewal."""
        tenure = self.room[name].downloads[key].claimant.tenure
        leases = [self.room[home].home.lease_of(key) for home in self.room.up()]
        return any(lease is not None and tenure is not None and lease.terms == tenure.terms for lease in leases)

    def no_claim_without_end(self, awake: list[str], network: Network) -> None:
        for name in awake:
            for download in self.room[name].downloads.values():
                deadline = download.began + PATIENCE
                deadline = max(deadline, min(deadline + download.received / LIVELY, download.last + AHEAD))
                overdue = network.clock(name) > deadline + 0.001
                assert not overdue or download.claimant.state in DECIDED

    def side_of(self, name: str) -> int:
        return next((number for number, side in enumerate(self.sides) if name in side), -1)


class History:
    """One seeded course of events in a room of ten."""

    def __init__(self, seed: int, *, troubles: bool) -> None:
        self.chance = Random(seed)
        self.room = Room(10, seed=seed, directors=8, conditions=Conditions(most_delay=0.03))
        self.room.upstream_takes = self.chance.choice([2.0, 8.0, 30.0])
        self.watch = Watch(self.room)
        self.distrust()
        at = 0.0
        while at < 60:
            at += self.chance.expovariate(1 / 6)
            self.room.network.at(at, self.trouble if troubles and self.chance.random() < 0.3 else self.storm)

    def run(self) -> None:
        self.room.network.run(95)

    def distrust(self) -> None:
        """Some have struck homes, each its own."""
        for name in self.room.up():
            if self.chance.random() < 0.4:
                struck = self.chance.choice(sorted(self.room.directors))
                self.room[name].strikes.strike(struck, now=0)

    def storm(self) -> None:
        module = self.chance.choice(MODULES)
        free = [name for name in self.room.up() if self.room.key_of(module) not in self.room[name].downloads]
        who = self.chance.sample(free, self.chance.randint(0, len(free)))
        self.room.want(who, module, patience=PATIENCE)

    def trouble(self) -> None:
        room, now = self.room, self.room.network.now
        match self.chance.choice(["kill", "partition", "heal", "stall", "sleep"]):
            case "kill" if len(room.up()) > 6:
                room.kill(self.chance.choice(room.up()))
                self.homes_change(now)
            case "partition" if not self.watch.sides:
                names = room.up()
                self.chance.shuffle(names)
                self.watch.sides = (set(names[:4]), set(names[4:]))
                room.partition(*self.watch.sides)
                self.homes_change(now)
            case "heal" if self.watch.sides:
                self.watch.sides = ()
                room.heal()
                self.homes_change(now)
            case "stall":
                self.freeze(now, sleep=False)
            case "sleep":
                self.freeze(now, sleep=True)

    def freeze(self, now: float, *, sleep: bool) -> None:
        name, seconds = self.chance.choice(self.room.up()), self.chance.uniform(1, 8)
        if self.watch.frozen.get(name, -1.0) > now:
            return
        self.watch.frozen[name] = now + seconds
        (self.room.network.sleep if sleep else self.room.network.stall)(name, seconds)
        self.watch.changed = max(self.watch.changed, now + seconds)  # it is a home that was not there

    def homes_change(self, now: float) -> None:
        self.watch.changed = max(self.watch.changed, now + self.room.detection)


@pytest.fixture(autouse=True)
def _small_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cases, "MAX_CASES", BOUND)
    monkeypatch.setattr(providers, "MAX_KEYS", BOUND)


@pytest.mark.parametrize("seed", range(10))
def test_nothing_breaks_the_invariants_while_all_is_well(seed: int) -> None:
    History(seed, troubles=False).run()


@pytest.mark.parametrize("seed", range(20))
def test_nothing_breaks_the_invariants_in_trouble(seed: int) -> None:
    History(seed, troubles=True).run()


def broken_within(seeds: int, *, troubles: bool = False) -> bool:
    for seed in range(seeds):
        try:
            History(seed, troubles=troubles).run()
        except AssertionError:
            return True
    return False


def test_homes_that_do_not_ask_each_other_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Granting, "_others", lambda self, key: [])
    assert broken_within(40)


def test_homes_that_end_leases_before_their_time_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def lapse(self: Cases, case: Case, *, now: float) -> None:
        if case.round is None:
            case.lease = None

    monkeypatch.setattr(Cases, "lapse", lapse)
    assert broken_within(40)


def test_a_claim_that_ignores_its_deadline_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Claimant, "next_timer", lambda self, *, now: math.inf)
    assert broken_within(20, troubles=True)
