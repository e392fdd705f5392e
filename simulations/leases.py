"""How many copies of a zip the upstream sends when a whole room wants it in the same second.

    python -m simulations.leases [SEEDS]

For rooms of several sizes and for several kinds of trouble: upstream downloads that were begun for each zip, mean and
worst of the seeds; how many claims were on their own; seconds until 99 % had it, and everybody. A room wants one zip.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from statistics import mean
from typing import TYPE_CHECKING, Final

from p2pmods.testing.conditions import LAN, Conditions
from p2pmods.testing.room import Room

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from random import Random

SIZES: Final = (8, 12, 64, 200)
SEEDS: Final = 20
WITHIN: Final = 120.0  # seconds
_SPREAD: Final = 1.0  # seconds in which all begin
_KILL_AT: Final = 2.0


@dataclass(frozen=True, slots=True)
class Outliers(Conditions):
    """One message of twenty on a link comes up to 2 s late, and so does what follows it."""

    share: float = 0.05
    most_late: float = 2.0

    def link_delay(self, chance: Random) -> float | None:
        late = chance.uniform(0.1, self.most_late) if chance.random() < self.share else 0.0
        return late + chance.uniform(self.least_delay, self.most_delay)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one room."""

    copies: int
    kills: int
    most_have_it: float
    all_have_it: float


def undisturbed(room: Room) -> int:
    """Nothing happens. How many were killed."""
    return 0


def kill_fetcher(room: Room) -> int:
    """Who fetches for all dies half way."""
    fetchers = room.fetchers()
    for name in fetchers[:1]:
        room.kill(name)
    return len(fetchers[:1])


def kill_silently(room: Room) -> int:
    """The same, and no link breaks: the machine lost its power."""
    room.link_breaks_after = 60.0
    return kill_fetcher(room)


def kill_home(room: Room) -> int:
    """The first home of the zip dies."""
    room.kill(room.homes()[0])
    return 1


SCENARIOS: Final[tuple[tuple[str, Conditions, Callable[[Room], int]], ...]] = (
    ("undisturbed", LAN, undisturbed),
    ("5 % of messages up to 2 s late", Outliers(), undisturbed),
    ("fetcher killed", LAN, kill_fetcher),
    ("fetcher loses power", LAN, kill_silently),
    ("home killed", LAN, kill_home),
)


def play(size: int, seed: int, conditions: Conditions, trouble: Callable[[Room], int]) -> Outcome:
    """One room, until all who live have the zip."""
    room = Room(size, seed=seed, conditions=conditions)
    for name in room.up():
        at = room.network.chance.uniform(0, _SPREAD)
        room.network.at(at, lambda name=name: room.want([name]))  # type: ignore[misc]
    room.network.run(_KILL_AT)
    kills = trouble(room)
    room.network.run(WITHIN - _KILL_AT)
    ended = sorted(download.ended - download.began for download in room.downloads().values())
    return Outcome(room.copies(), kills, ended[len(ended) * 99 // 100 - 1], ended[-1])


def rows(seeds: int) -> Iterator[str]:
    """The table in Markdown."""
    yield "| nodes | trouble | copies, mean | worst | allowed | 99 % have it, s | all, worst, s |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for name, conditions, trouble in SCENARIOS:
        for size in SIZES:
            outcomes = [play(size, seed, conditions, trouble) for seed in range(seeds)]
            copies = [outcome.copies for outcome in outcomes]
            allowed = "1.02" if trouble is undisturbed else f"{1 + max(o.kills for o in outcomes)}"
            most = mean(outcome.most_have_it for outcome in outcomes)
            last = max(outcome.all_have_it for outcome in outcomes)
            yield f"| {size} | {name} | {mean(copies):.3f} | {max(copies)} | {allowed} | {most:.1f} | {last:.1f} |"


if __name__ == "__main__":
    for row in rows(int(sys.argv[1]) if len(sys.argv) > 1 else SEEDS):
        print(row, flush=True)
