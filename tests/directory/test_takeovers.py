"""A fetcher goes in the middle, in whatever way and network: its waiters find another, for one more copy."""

from __future__ import annotations

from random import Random

import pytest

from p2pmods.testing.conditions import Conditions
from p2pmods.testing.room import Room
from p2pmods.testing.roomnode import Lie

NETWORKS = {
    "a good one": Conditions(),
    "tasks in any order": Conditions(jumble=0.02),
    "a slow one": Conditions(most_delay=0.03, jumble=0.01),
    "a very slow one": Conditions(most_delay=0.1, jumble=0.1),
    "one that loses": Conditions(loss=0.02, jumble=0.01),
}


class TakeOver:
    """Some want a zip within seconds, and then its fetcher goes. `goes` counts who did."""

    def __init__(self, seed: int, conditions: Conditions) -> None:
        self.chance = chance = Random(seed)
        self.room = room = Room(chance.choice([4, 5, 8, 12]), seed=seed, conditions=conditions)
        room.upstream_takes = chance.choice([4.0, 8.0, 20.0])
        room.link_breaks_after = chance.choice([0.0, 0.01, 0.3, 1.0])
        room.detection = chance.choice([0.0, 0.3, 3.0])
        room.spread = chance.choice([0.0, 0.1, 0.4])
        self.goes = 0
        self.struck = room.homes()[0] if chance.random() < 0.5 else ""
        self.distrust()
        within = chance.choice([0.0, 0.5, 3.0])
        for name in room.up():
            room.network.at(chance.uniform(0, within), lambda name=name: self.want(name))  # type: ignore[misc]

    def run(self) -> None:
        room, chance = self.room, self.chance
        room.network.run(chance.uniform(0, 3))
        fetchers = room.fetchers()
        if fetchers and fetchers[0] != self.struck:
            self.end(fetchers[0])
        assert room.run_until_all_have_it(within=60) is not None
        assert room.copies() <= 1 + self.goes

    def want(self, name: str) -> None:
        if self.room.is_up(name):
            self.room.want([name])

    def distrust(self) -> None:
        """In some histories some have struck the best home, and all homes live on."""
        for name in self.room.up():
            if self.struck and self.chance.random() < 0.4:
                self.room[name].strikes.strike(self.struck, now=0)

    def end(self, fetcher: str) -> None:
        room, chance = self.room, self.chance
        how = chance.choice(["is killed", "stops", "stalls and is killed", "stalls and stops", "dies with a home"])
        if how.startswith("stalls"):
            next(one for one in room.members if one.id == fetcher).lie = Lie.SENDS_NOTHING
            room.network.run(chance.uniform(0, 5.5))
        self.goes = 1
        (room.stop if how.endswith("stops") else room.kill)(fetcher)
        if how == "dies with a home" and not self.struck:
            room.network.run(chance.uniform(0, 0.5))
            room.kill(chance.choice([one for one in room.homes() if room.is_up(one) and one not in room.fetchers()]))


@pytest.mark.parametrize("network", NETWORKS)
def test_a_fetcher_that_goes_costs_one_more_copy(network: str) -> None:
    for seed in range(40):
        TakeOver(seed, NETWORKS[network]).run()
