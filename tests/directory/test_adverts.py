"""Adverts: a provider and its homes agree on what it holds, whatever gets lost between them."""

from __future__ import annotations

from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pmods.directory.adverts import Advertiser
from p2pmods.directory.holdings import Holdings
from p2pmods.directory.messages import MAX_DELTAS, Advert
from p2pmods.directory.rendezvous import Rendezvous
from p2pmods.errors import MalformedData
from tests.directory.parts import ANN, BOB, MEMBERS, holding

if TYPE_CHECKING:
    from p2pmods.directory.actions import Ask

HOMES = [one.id for one in MEMBERS[:5]]


class Town:
    """One provider, ann, and the homes that it tells; time passes in steps."""

    def __init__(self, directors: list[str]) -> None:
        self.view = Rendezvous(directors)
        self.ann = Advertiser(b"session1", ANN.record, self.view, now=0)
        self.homes = {home: Holdings(Random(1)) for home in HOMES}
        self.now = 0.0
        self.sent: list[Ask] = []

    def step(self, seconds: float = 0.2, *, lose: str = "") -> None:
        """Send what is due; `lose` is "question" or "answer"."""
        self.now += seconds
        for ask in self.ann.due(now=self.now):
            self.sent.append(ask)
            answer = None
            if lose != "question":
                answer = self.homes[ask.node].intake.receive(ANN.id, ask.message, now=self.now)
            if answer is None or lose == "answer":
                self.ann.unanswered(ask.ask, now=self.now)
            else:
                self.ann.answered(ask.ask, answer, now=self.now)

    def settle(self) -> None:
        for _ in range(400):
            if self.ann.next_timer() == float("inf"):
                return
            self.step(max(self.ann.next_timer() - self.now, 0.01))
        raise AssertionError("never told")

    def keys_at(self, home: str) -> set[bytes]:
        return {
            n for n in (holding(i).key for i in range(2000)) if self.homes[home].table.holders(n, 1, now=self.now)
        }

    def keys_for(self, home: str, held: list[int]) -> set[bytes]:
        return {holding(n).key for n in held if home in self.view.homes(holding(n).key)}


def test_every_home_learns_its_keys_and_no_others() -> None:
    town = Town(HOMES)
    for number in range(50):
        town.ann.hold(holding(number))
    town.settle()
    for home in HOMES:
        assert town.keys_at(home) == town.keys_for(home, list(range(50)))


def test_what_is_withdrawn_is_withdrawn_everywhere() -> None:
    town = Town(HOMES)
    town.ann.hold(holding(1))
    town.settle()
    town.ann.withdraw(holding(1).key)
    town.ann.withdraw(holding(2).key)
    town.settle()
    assert all(town.keys_at(home) == set() for home in HOMES)


def test_what_is_told_is_not_told_again() -> None:
    town = Town(HOMES)
    town.ann.hold(holding(1))
    town.settle()
    town.sent.clear()
    town.ann.hold(holding(1))
    town.settle()
    assert town.sent == []


def test_a_lost_question_is_asked_again() -> None:
    town = Town(HOMES[:1])
    town.ann.hold(holding(1))
    town.step(lose="question")
    assert town.keys_at(HOMES[0]) == set()
    town.settle()
    assert town.keys_at(HOMES[0]) == {holding(1).key}


def test_a_lost_answer_does_no_harm() -> None:
    town = Town(HOMES[:1])
    town.ann.hold(holding(1))
    town.settle()
    town.ann.hold(holding(2))
    town.step(1, lose="answer")
    town.ann.hold(holding(3))
    town.settle()
    assert town.keys_at(HOMES[0]) == {holding(n).key for n in (1, 2, 3)}
    assert [ask.message.begins for ask in town.sent] == [True, False, False, False]


def test_a_home_that_forgot_gets_the_whole_list() -> None:
    town = Town(HOMES[:1])
    for number in range(5):
        town.ann.hold(holding(number))
    town.settle()
    town.homes[HOMES[0]].clear()
    town.ann.hold(holding(5))
    town.ann.withdraw(holding(0).key)
    town.settle()
    assert town.keys_at(HOMES[0]) == {holding(n).key for n in range(1, 6)}


def test_a_new_session_begins_anew_and_what_the_old_one_held_is_gone() -> None:
    town = Town(HOMES[:1])
    town.ann.hold(holding(1))
    town.settle()
    town.ann = Advertiser(b"session2", ANN.record, town.view, now=town.now)
    town.ann.hold(holding(2))
    town.settle()
    assert town.keys_at(HOMES[0]) == {holding(2).key}


def test_a_change_of_directors_tells_only_keys_whose_homes_changed() -> None:
    town = Town(HOMES[:4])
    held = list(range(200))
    for number in held:
        town.ann.hold(holding(number))
    town.settle()
    before = {n: town.view.homes(holding(n).key) for n in held}
    town.sent.clear()
    town.view.update(HOMES)
    town.ann.directors_changed()
    town.settle()
    changed = {holding(n).key for n in held if town.view.homes(holding(n).key) != before[n]}
    told = {one.key for ask in town.sent for one in ask.message.added}
    untold = {key for ask in town.sent for key in ask.message.removed}
    assert told == untold == changed
    assert 0 < len(changed) < len(held)
    for home in HOMES:
        assert town.keys_at(home) == town.keys_for(home, held)


def test_a_home_that_is_no_director_any_more_is_told_nothing() -> None:
    town = Town(HOMES[:1])
    town.ann.hold(holding(1))
    town.view.update([])
    town.ann.directors_changed()
    town.settle()
    assert town.sent == []


def test_a_long_list_goes_in_bounded_batches_at_a_bounded_pace() -> None:
    town = Town(HOMES[:1])
    for number in range(3 * MAX_DELTAS + 1):
        town.ann.hold(holding(number))
    for _ in range(10):
        town.step(0.01)
    assert len(town.sent) == 1  # the next one after a tenth of a second
    town.settle()
    assert [len(ask.message.added) for ask in town.sent] == [MAX_DELTAS] * 3 + [1]


def test_many_homes_are_told_at_a_bounded_pace_together() -> None:
    town = Town([one.id for one in MEMBERS])
    for number in range(200):
        town.ann.hold(holding(number))
    town.homes = {one.id: Holdings(Random(1)) for one in MEMBERS}
    town.step(0.0)
    assert len(town.sent) <= 8
    town.sent.clear()
    for number in range(200):
        town.ann.withdraw(holding(number).key)
        town.ann.hold(holding(number + 200))
    for _ in range(20):
        town.step(0.05)
    assert len(town.sent) <= 8 + 20


def test_a_silent_home_is_asked_ever_less_often() -> None:
    town = Town(HOMES[:1])
    town.ann.hold(holding(1))
    times = []
    for _ in range(12):
        town.now = max(town.ann.next_timer(), town.now)
        times.append(town.now)
        for ask in town.ann.due(now=town.now):
            town.ann.unanswered(ask.ask, now=town.now)
    gaps = [b - a for a, b in pairwise(times)]
    assert gaps[:4] == [1, 2, 4, 8]
    assert gaps[-1] == 60


def advert(sequence: int, number: int, *, session: bytes = b"session1", begins: bool = False) -> Advert:
    return Advert(session, sequence, begins, ANN.record, (holding(number),), ())


def test_a_gap_wants_the_log_from_its_beginning() -> None:
    intake = Holdings(Random(1)).intake
    assert intake.receive(ANN.id, advert(0, 0), now=0).wanted is None
    assert intake.receive(ANN.id, advert(7, 0, begins=True), now=0).wanted == 8
    assert intake.receive(ANN.id, advert(8, 1), now=0).wanted == 9
    assert intake.receive(ANN.id, advert(10, 2), now=0).wanted is None
    assert intake.receive(ANN.id, advert(9, 2), now=0).wanted is None  # it was told to begin again
    assert intake.receive(ANN.id, advert(0, 2, session=b"session2"), now=0).wanted is None


def test_the_same_advert_twice_is_applied_once() -> None:
    held = Holdings(Random(1))
    held.intake.receive(ANN.id, advert(0, 0, begins=True), now=0)
    for _ in range(2):
        assert held.intake.receive(ANN.id, advert(1, 1), now=5).wanted == 2
    assert held.table.holders(holding(1).key, 1, now=9)[0].age == 4


def test_an_advert_with_another_s_record_is_refused() -> None:
    held = Holdings(Random(1))
    with pytest.raises(MalformedData):
        held.intake.receive(BOB.id, advert(0, 0, begins=True), now=0)
    assert held.table.statistics().entries == 0


def test_logs_are_bounded_and_the_silent_provider_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2pmods.directory.intake.MAX_LOGS", 2)
    held = Holdings(Random(1))
    for one in MEMBERS[:3]:
        held.intake.receive(one.id, Advert(bytes(8), 0, True, one.record, (holding(1),), ()), now=0)
    assert {h.node for h in held.table.holders(holding(1).key, 9, now=0)} == {one.id for one in MEMBERS[1:3]}


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["hold", "withdraw", "views", "lose question", "lose answer", "forget", "step"]),
            st.integers(0, 7),
        ),
        max_size=40,
    )
)
def test_in_every_history_the_homes_end_up_with_what_is_held(history: list[tuple[str, int]]) -> None:
    town, held = Town(HOMES[:3]), set[int]()
    for what, number in history:
        if what == "hold":
            town.ann.hold(holding(number))
            held.add(number)
        elif what == "withdraw":
            town.ann.withdraw(holding(number).key)
            held.discard(number)
        elif what == "views":
            town.view.update(HOMES[: number % 5 + 1])
            town.ann.directors_changed()
        elif what == "forget":
            town.homes[HOMES[number % 5]].clear()
        else:
            town.step(0.2, lose=what.removeprefix("lose "))
    for number in range(8, 60):  # so that a home that forgot hears of it
        town.ann.hold(holding(number))
    town.settle()
    for home in town.view.directors:
        assert town.keys_at(home) == town.keys_for(home, [*held, *range(8, 60)])


def test_a_home_that_answers_again_is_back_and_one_that_always_answers_is_not() -> None:
    town = Town(HOMES[:1])
    back: list[str] = []
    town.ann.on_back = back.append
    town.ann.hold(holding(1))
    town.settle()
    assert back == []
    town.ann.hold(holding(2))
    town.step(lose="question")
    town.settle()
    assert back == HOMES[:1]
    town.ann.hold(holding(3))
    town.settle()
    assert back == HOMES[:1]
