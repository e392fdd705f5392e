"""Lookups: one round trip, batched, hedged, never longer than a second."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from p2pmods.directory.lookup import LEAST_HEDGE, Latency, LookupRound
from p2pmods.directory.messages import MAX_BATCH, Found, Growing, Location
from p2pmods.directory.rendezvous import Rendezvous
from p2pmods.directory.strikes import SILENT_FOR, Strikes
from p2pmods.testing.room import MODULE
from tests.directory.parts import ANN, FIRST, KEY, MEMBERS, SECOND, THIRD, key_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from p2pmods.directory.actions import Ask
    from p2pmods.testing.room import Member

HERE = Location((), Growing(ANN.id, bytes(16), 0))
NOWHERE = Location((), None)


class Search:
    """For the modules, from second 0."""

    def __init__(
        self, modules: Iterable[str] = (MODULE,), directors: Iterable[Member] = (FIRST, SECOND, THIRD)
    ) -> None:
        self.strikes = Strikes(ANN.id)
        self.latency = Latency()
        wanted = {key_of(module): module for module in modules}
        view = Rendezvous(one.id for one in directors)
        self.round = LookupRound(wanted, view, self.strikes, self.latency, now=0)
        self.asks = self.round.start(now=0)


def here(ask: Ask) -> Found:
    return Found((HERE,) * len(ask.message.modules), ())


def test_the_first_home_answers_and_that_is_all() -> None:
    search = Search()
    (ask,) = search.asks
    assert ask.node == FIRST.id
    search.round.answered(ask.ask, Found((HERE,), (ANN.record,)), now=0.01)
    assert search.round.found == {KEY: HERE}
    assert search.round.records == [ANN.record]
    assert search.round.is_done
    assert search.round.next_timer() == math.inf


def test_that_nobody_holds_it_is_an_answer() -> None:
    search = Search()
    search.round.answered(search.asks[0].ask, Found((NOWHERE,), ()), now=0.01)
    assert search.round.is_done


def test_keys_of_one_home_go_in_one_request() -> None:
    modules = [f"a.com/m{n}@v1" for n in range(60)]
    search = Search(modules, MEMBERS)
    assert len({ask.node for ask in search.asks}) == len(search.asks) <= len(MEMBERS)
    assert sorted(m for ask in search.asks for m in ask.message.modules) == sorted(modules)
    for ask in search.asks:
        search.round.answered(ask.ask, here(ask), now=0.01)
    assert len(search.round.found) == 60


def test_requests_are_bounded() -> None:
    search = Search([f"a.com/m{n}@v1" for n in range(200)], [FIRST])
    assert [len(ask.message.modules) for ask in search.asks] == [MAX_BATCH] * 3 + [8]


def test_a_slow_home_is_hedged_by_the_second() -> None:
    search = Search()
    assert search.round.next_timer() == LEAST_HEDGE
    (hedge,) = search.round.handle_timer(now=LEAST_HEDGE)
    assert hedge.node == SECOND.id
    search.round.answered(hedge.ask, Found((HERE,), ()), now=0.2)
    assert search.round.is_done
    search.round.answered(search.asks[0].ask, Found((NOWHERE,), ()), now=0.3)
    assert search.round.found == {KEY: HERE}


def test_the_hedge_waits_for_the_ninetieth_percentile() -> None:
    latency = Latency()
    for hundredth in range(1, 101):
        latency.took(hundredth / 100)
    assert latency.hedge_after() == pytest.approx(0.94)  # of the last 64
    quick = Latency()
    quick.took(0.001)
    assert quick.hedge_after() == LEAST_HEDGE


def test_a_home_that_fails_is_struck_and_the_next_asked_at_once() -> None:
    search = Search()
    (second,) = search.round.unanswered(search.asks[0].ask, now=0.05)
    assert second.node == SECOND.id
    assert search.strikes.struck(now=1) == {FIRST.id}
    assert not search.strikes.struck(now=SILENT_FOR + 1)


def test_an_answer_to_another_question_is_a_failure() -> None:
    search = Search()
    (second,) = search.round.answered(search.asks[0].ask, Found((), ()), now=0.05)
    assert second.node == SECOND.id
    assert search.strikes.struck(now=SILENT_FOR + 1) == {FIRST.id}


def test_a_failure_after_the_hedge_waits_for_the_hedge() -> None:
    search = Search()
    (hedge,) = search.round.handle_timer(now=0.15)
    assert search.round.unanswered(search.asks[0].ask, now=0.2) == []
    (third,) = search.round.unanswered(hedge.ask, now=0.3)
    assert third.node == THIRD.id
    assert search.round.unanswered(third.ask, now=0.4) == []
    assert search.round.is_done


def test_after_a_second_it_is_over() -> None:
    search = Search()
    search.round.handle_timer(now=0.15)
    assert search.round.next_timer() == 1
    search.round.handle_timer(now=1)
    assert search.round.is_done
    assert search.round.found == {}


def test_without_homes_there_is_nothing_to_wait_for() -> None:
    search = Search(directors=())
    assert search.asks == []
    assert search.round.is_done


def test_an_answer_that_nobody_asked_for_is_nothing() -> None:
    search = Search()
    assert search.round.answered(99, Found((HERE,), ()), now=0) == []
    assert search.round.unanswered(99, now=0) == []
    assert search.round.found == {}
