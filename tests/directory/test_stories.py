"""A room of nodes that want the same zip: what happens to it, and how many copies the upstream sends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from p2pmods.directory.claimstate import State
from p2pmods.directory.messages import MAX_DELAY
from p2pmods.testing.conditions import Conditions
from p2pmods.testing.room import MODULE, UNABLE, Room
from p2pmods.testing.roomnode import Lie

if TYPE_CHECKING:
    from random import Random

OTHER = "example.com/other@v1.0.0"


@dataclass(frozen=True, slots=True)
class Late(Conditions):
    """One message of twenty comes up to 2 s late, and what follows it on its link waits for it."""

    def link_delay(self, chance: Random) -> float | None:
        return chance.uniform(0.1, 2.0) if chance.random() < 0.05 else chance.uniform(0.0002, 0.002)


def storm(room: Room, module: str = MODULE) -> None:
    room.want(room.up(), module)


def lies(room: Room, who: tuple[str, ...], lie: Lie) -> None:
    for member in room.members:
        if member.id in who:
            member.lie = lie


def states(room: Room) -> set[State]:
    return {download.claimant.state for download in room.downloads().values()}


# Nobody fails.


@pytest.mark.parametrize("nodes", [2, 3, 8, 40])
def test_of_all_who_want_it_in_the_same_instant_one_fetches(nodes: int) -> None:
    room = Room(nodes)
    storm(room)
    took = room.run_until_all_have_it()
    assert room.copies() == 1
    assert took is not None
    assert took < room.upstream_takes + 0.5


def test_leaves_are_served_as_directors_are() -> None:
    room = Room(20, directors=4)
    room.want(room.up()[4:])
    assert room.run_until_all_have_it() is not None
    assert room.copies() == 1


def test_who_comes_later_takes_it_from_those_who_have_it() -> None:
    room = Room(8)
    room.want([0])
    room.run_until_all_have_it()
    room.network.run(1)
    room.want(range(1, 8))
    took = room.run_until_all_have_it()
    assert took is not None
    assert took < 1
    assert room.copies() == 1


def test_one_node_alone_waits_for_nobody() -> None:
    room = Room(1)
    storm(room)
    assert room.run_until_all_have_it() == pytest.approx(room.upstream_takes)


def test_a_change_of_homes_forgets_neither_holders_nor_fetchers() -> None:
    room = Room(12, directors=3)
    room.upstream_takes = 30
    room.want([5])
    room.want([6], OTHER)
    room.network.run(1)
    room.directors = frozenset(member.id for member in room.members[:12])
    room.tell_all()
    room.network.run(3)
    room.want(range(7, 12))
    room.want(range(7, 12), OTHER)
    assert room.run_until_all_have_it() is not None
    assert room.copies() == 2


@pytest.mark.parametrize("seed", range(10))
def test_messages_that_come_late_make_no_second_copy(seed: int) -> None:
    room = Room(20, seed=seed, conditions=Late())
    storm(room)
    assert room.run_until_all_have_it() is not None
    assert room.copies() == 1


@pytest.mark.parametrize("after", [0.05, 0.1, 0.2, 0.3, 0.5])
@pytest.mark.parametrize("nodes", [3, 5, 8])
def test_a_fetcher_that_dies_while_homes_are_asked_about_it_is_replaced_at_once(nodes: int, after: float) -> None:
    room = Room(nodes, conditions=Conditions(least_delay=0.15, most_delay=0.2))
    room.link_breaks_after = 0.05
    room.upstream_takes = 60
    room.want([0])
    room.network.run(1.5)
    fetchers = room.fetchers()
    lies(room, tuple(fetchers), Lie.SENDS_NOTHING)
    room.want(range(1, nodes))
    asking = [room[number] for number in range(1, nodes)]
    assert room.network.run_until(lambda: any(node.is_asking_again for node in asking), within=10) is not None
    room.network.run(after)
    room.kill(fetchers[0])
    assert room.network.run_until(lambda: bool(room.fetchers()), within=2.5) is not None
    assert room.copies() == 2


def test_nodes_that_distrust_different_homes_still_agree_on_one_fetcher() -> None:
    room = Room(12)
    for number, home in enumerate([*room.homes(), *room.homes()]):
        room[number].strikes.strike(home, now=0)
    storm(room)
    assert room.run_until_all_have_it() is not None
    assert room.copies() == 1


def test_nodes_that_do_not_know_the_best_home_are_passed_on() -> None:
    room = Room(12)
    best = room.homes()[0]
    for name in set(room.up()).difference(room.homes()):
        room.views[name] = room.directors - {best}
    room.tell_all()
    storm(room)
    assert room.run_until_all_have_it() is not None
    assert room.copies() == 1


# Fetchers fail.


def test_when_the_fetcher_is_killed_another_takes_over_within_seconds() -> None:
    room = Room(12)
    storm(room)
    room.network.run(2)
    (fetcher,) = room.fetchers()
    room.kill(fetcher)
    before = {name: download.upstream_since for name, download in room.downloads().items()}
    room.network.run(4)
    (other,) = room.fetchers()
    assert before[other] != room[other].downloads[room.key_of(MODULE)].upstream_since
    assert room.run_until_all_have_it() is not None
    assert room.copies() == 2


def test_a_fetcher_that_loses_power_is_missed_after_three_seconds() -> None:
    room = Room(12)
    room.link_breaks_after = 1000
    storm(room)
    room.network.run(2)
    room.kill(room.fetchers()[0])
    assert room.network.run_until(lambda: bool(room.fetchers()), within=5) is not None
    took = room.run_until_all_have_it()
    assert took is not None
    assert took < room.upstream_takes + 1
    assert room.copies() == 2


def test_a_fetcher_that_stands_still_is_replaced_and_stops_counting() -> None:
    room = Room(12)
    storm(room)
    room.network.run(2)
    (fetcher,) = room.fetchers()
    room.network.stall(fetcher, 20)
    assert room.network.run_until(lambda: len(room.fetchers()) == 2, within=6) is not None
    room.network.run(20)
    assert room.copies() == 2
    assert states(room) == {State.ENDED}


def test_a_fetcher_that_renews_and_sends_nothing_is_replaced_by_one() -> None:
    room = Room(12)
    room.upstream_takes = 40
    storm(room)
    room.network.run_until(lambda: bool(room.fetchers()), within=1)
    (first,) = room.fetchers()
    lies(room, (first,), Lie.SENDS_NOTHING)
    room.network.run(12)
    assert len([name for name in room.fetchers() if name != first]) == 1
    room.network.run(40)
    assert room.copies() == 2
    assert states(room) == {State.ENDED}


def test_after_two_failed_fetchers_all_go_alone_but_not_in_the_same_instant() -> None:
    room = Room(10)
    room.upstream_takes = 30
    storm(room)
    for _ in range(2):
        room.network.run_until(lambda: bool(room.fetchers()), within=10)
        room.network.run(2.5)
        room.kill(room.fetchers()[0])
    room.network.run(12)
    assert room.fetchers() == []
    began = sorted(download.upstream_since for download in room.downloads().values())
    assert len(began) == 8
    assert 0.3 < began[-1] - began[0] < MAX_DELAY / 1000 + 1


def test_a_killed_fetcher_that_returns_is_served_like_anyone() -> None:
    room = Room(6)
    storm(room)
    room.network.run(1)
    (fetcher,) = room.fetchers()
    room.kill(fetcher)
    room.network.run(1)
    room.network.restart(fetcher)
    room.want([fetcher])
    assert room.run_until_all_have_it() is not None
    assert room.copies() == 2


# Homes fail or lie.


def test_a_home_that_dies_unnoticed_costs_a_second() -> None:
    room = Room(12)
    room.kill(room.homes()[0])
    storm(room)
    took = room.run_until_all_have_it()
    assert took is not None
    assert took < room.upstream_takes + 1.5
    assert room.copies() == 1


def test_when_the_home_dies_that_granted_its_lease_lives_on() -> None:
    room = Room(12)
    home = room.homes()[0]
    room.want([name for name in room.up() if name != home][:6])
    room.network.run(1)
    room.kill(home)
    room.want([name for name in room.up() if name not in room.downloads()])
    assert room.run_until_all_have_it() is not None
    assert room.copies() == 1


@pytest.mark.parametrize("lie", [Lie.ALWAYS_WAIT, Lie.DEAF])
def test_a_home_that_lies_costs_seconds_once(lie: Lie) -> None:
    room = Room(12)
    liar = room.homes()[0]
    lies(room, (liar,), lie)
    honest = [name for name in room.up() if name != liar]
    room.want(honest)
    took = room.run_until_all_have_it()
    assert took is not None
    assert took < room.upstream_takes + 5
    assert room.copies() <= 2
    again = next(m for m in (f"a.com/m{n}@v1.0.0" for n in range(1000)) if room.homes(m)[0] == liar)
    room.want(honest, again)
    took = room.run_until_all_have_it(again)
    assert took is not None
    assert took < room.upstream_takes + 1


def test_two_homes_that_lie_together_cost_seconds_and_no_build() -> None:
    room = Room(12)
    lies(room, room.homes()[:2], Lie.ALWAYS_WAIT)
    room.want([name for name in room.up() if name not in room.homes()])
    took = room.run_until_all_have_it()
    assert took is not None
    assert took < room.upstream_takes + 12


def test_when_everybody_lies_all_get_it_by_themselves_in_the_end() -> None:
    room = Room(8)
    lies(room, tuple(room.up()), Lie.ALWAYS_WAIT)
    storm(room)
    assert room.run_until_all_have_it(within=60) is not None


# Partitions.


def test_each_side_of_a_partition_has_one_lease_and_one_is_stopped_when_it_heals() -> None:
    room = Room(12)
    room.upstream_takes = 40
    names = room.up()
    one, other = set(names[:6]), set(names[6:])
    room.partition(one, other)
    room.network.run(4)
    storm(room)
    room.network.run(8)
    assert sorted(len(side & set(room.fetchers())) for side in (one, other)) == [1, 1]
    room.heal()
    room.network.run(8)
    assert len(room.fetchers()) == 1
    assert room.run_until_all_have_it(within=120) is not None
    assert room.copies() == 2


# Starting, not being able, sleeping.


def test_a_room_that_starts_together_agrees_on_one_fetcher() -> None:
    room = Room(16)
    room.cold = True
    room.views = {member.id: frozenset([member.id]) for member in room.members}
    for number, member in enumerate(room.members):
        room.network.crash(member.id)
        room.network.at(0.02 * number, lambda name=member.id: start(room, name))  # type: ignore[misc]
    room.network.run(0.5)
    assert room.run_until_all_have_it() is not None
    assert room.copies() == 1


def start(room: Room, name: str) -> None:
    """It starts knowing nobody, wants it at once, and meets the others one by one within half a second."""
    room.network.restart(name)
    room.want([name])
    for step in range(1, 6):
        room.network.at(room.network.now + 0.1 * step, lambda step=step: meet(room, name, step))  # type: ignore[misc]


def meet(room: Room, name: str, step: int) -> None:
    known = frozenset(room.up()[: step * 4]) | {name}
    room.network.touch(name, lambda _, now: room[name].see(known, now=now))


def test_who_cannot_fetch_for_all_fetches_for_itself() -> None:
    room = Room(5)
    for member in room.members:
        member.ability = UNABLE
    storm(room)
    assert room.run_until_all_have_it() is not None
    assert room.copies() == 5
    assert room.fetchers() == []


def test_who_cannot_fetch_for_all_waits_for_one_who_can() -> None:
    room = Room(5)
    for member in room.members[1:]:
        member.ability = UNABLE
    room.want([0])
    room.network.run(1)
    room.want(range(1, 5))
    assert room.run_until_all_have_it() is not None
    assert room.copies() == 1


def test_a_home_that_slept_grants_no_second_lease_once_it_heard_a_renewal() -> None:
    room = Room(8)
    room.upstream_takes = 60
    home = room.homes()[0]
    others = [name for name in room.up() if name != home]
    room.want(others[:3])
    room.network.run(1)
    room.network.sleep(home, 600)
    room.network.run(603)
    room.want(others[3:], OTHER)
    assert room.copies() <= 3


def test_a_fetcher_that_slept_is_no_fetcher_any_more() -> None:
    room = Room(8)
    room.upstream_takes = 30
    storm(room)
    room.network.run(2)
    (fetcher,) = room.fetchers()
    room.network.sleep(fetcher, 12)
    room.network.run(13)
    assert fetcher not in room.fetchers()
    assert len(room.fetchers()) == 1
    assert room.run_until_all_have_it(within=120) is not None


@pytest.mark.parametrize("jump", [-3600.0, 3600.0])
def test_a_clock_that_jumps_ends_no_build(jump: float) -> None:
    room = Room(8)
    storm(room)
    room.network.run(1)
    for number in (0, 3):
        room.network.jump_clock(room.members[number].id, jump)
    assert room.run_until_all_have_it(within=4000) is not None


def test_the_same_seed_tells_the_same_story() -> None:
    def digest() -> str:
        room = Room(6, seed=9, conditions=Late())
        storm(room)
        room.network.run(10)
        return room.network.trace.digest()

    assert digest() == digest()
