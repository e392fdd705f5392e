"""One claim: whom it asks, whom it believes, and that it is on its way in the end."""

from __future__ import annotations

import math
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from p2pmods.directory.actions import Ask, FetchFrom, GoUpstream, Relay, Settle, Tell
from p2pmods.directory.asking import Surroundings, Wanted
from p2pmods.directory.claimant import INSIST, MAX_SOURCES, Claimant
from p2pmods.directory.claimstate import State
from p2pmods.directory.coldstart import ColdStart
from p2pmods.directory.inflow import FLOOR, Inflow
from p2pmods.directory.messages import (
    DONE,
    FAILED,
    LEFT,
    MAX_SIZE,
    STOPPED,
    Alone,
    Claim,
    Found,
    Grant,
    Growing,
    Holder,
    Providers,
    Release,
    Renew,
    Stop,
    Wait,
)
from p2pmods.directory.patience import AHEAD, FURTHEST, LIVELY, NEARLY, Deadline
from p2pmods.directory.proof import grant_terms
from p2pmods.directory.rendezvous import Rendezvous
from p2pmods.directory.strikes import SILENT_FOR, Strikes
from p2pmods.testing.room import ABLE, MODULE
from tests.directory.parts import ANN, BOB, EVE, FIRST, KEY, SECOND, THIRD, changed, holding_of, key_of, of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from p2pmods.directory.messages import Terms
    from p2pmods.testing.room import Member

DEADLINE = 100.0
OTHER = "example.com/other@v1.0.0"


class Ann:
    """ann and one claim of hers, which she makes at second 10, long after her start at 0."""

    def __init__(
        self, directors: Iterable[Member] = (FIRST, SECOND, THIRD), *, at: float = 10, started: float = 0
    ) -> None:
        self.view = Rendezvous(one.id for one in directors)
        self.apart: frozenset[str] = frozenset()
        self.homes, self.silent = Strikes(ANN.id, lambda: self.apart), Strikes(ANN.id)
        self.inflow = Inflow()
        self.cold = ColdStart(started=started)
        self.around = Surroundings(
            ANN.id, self.view, self.homes, self.silent, self.inflow, self.cold, lambda _: self.round_trip
        )
        self.round_trip = 0.01
        self.now = at
        self.claim = Claimant(Wanted(KEY, MODULE, ABLE, ANN.record), self.around, deadline=DEADLINE)
        self.did: list[Any] = []
        self._do(self.claim.handle_timer(now=at))

    def _do(self, actions: list[Any]) -> list[Any]:
        self.did += actions
        return actions

    @property
    def asked(self) -> Ask:
        """The last question."""
        return of(Ask, self.did)[-1]

    def answer(self, message: object, *, after: float = 0.0) -> list[Any]:
        self.now += after
        return self._do(self.claim.answered(self.asked.ask, message, now=self.now))

    def silence(self) -> list[Any]:
        self.now += 1
        return self._do(self.claim.unanswered(self.asked.ask, now=self.now))

    def wait(self, seconds: float) -> list[Any]:
        """Until then every timer rings."""
        end, actions = self.now + seconds, []
        while (at := self.claim.next_timer(now=self.now)) <= end:
            self.now = max(at, self.now)
            actions += self._do(self.claim.handle_timer(now=self.now))
        self.now = end
        return actions

    def receive(self, count: int = 100_000) -> None:
        self.claim.received(count, now=self.now)

    def lose(self) -> list[Any]:
        return self._do(self.claim.lost(now=self.now))


def waiting_for(who: Member, token: bytes = bytes(16), *, limited: bool = False, has: int = 0) -> Wait:
    return Wait(Growing(who.id, token, has), limited, who.record)


def terms(home: Member = FIRST, who: Member = ANN) -> Terms:
    return grant_terms(home.key, KEY, who.id, b"t" * 16)


def held_by(*who: Member) -> Providers:
    return Providers(tuple(Holder(one.id, bytes(32), 9, 0) for one in who), ())


def upstream(actions: list[Any]) -> list[bool]:
    """For every way upstream whether it is for all."""
    return [action.tenure is not None for action in of(GoUpstream, actions)]


# The four answers.


def test_the_best_home_is_asked_by_name_with_what_the_claimant_can_do() -> None:
    ann = Ann()
    assert ann.asked.node == FIRST.id
    assert ann.asked.message == Claim(MODULE, ABLE, ANN.record)


def test_providers_are_fetched_from() -> None:
    ann = Ann()
    answer = held_by(BOB, EVE)
    assert ann.answer(answer) == [FetchFrom(answer.holders, answer.records)]


def test_a_fetcher_is_relayed_from() -> None:
    ann = Ann()
    assert ann.answer(waiting_for(BOB)) == [Relay(Growing(BOB.id, bytes(16), 0), BOB.record)]


def test_a_grant_goes_upstream_and_is_told_to_all_homes_every_two_seconds() -> None:
    ann = Ann()
    actions = ann.answer(Grant(terms()))
    assert upstream(actions) == [True]
    assert {tell.node for tell in of(Tell, actions)} == {FIRST.id, SECOND.id, THIRD.id}
    ann.claim.progress(77, limited=True, now=ann.now)
    told = of(Tell, ann.wait(2))
    assert [tell.message for tell in told] == [Renew(KEY, terms(), 77, True, ANN.record)] * 3
    assert len(of(Tell, ann.wait(20))) == 30
    ann.claim.progress(2 * MAX_SIZE, now=ann.now)
    assert of(Tell, ann.wait(2))[0].message.received == MAX_SIZE


def test_alone_goes_upstream_after_its_delay() -> None:
    ann = Ann()
    assert ann.answer(Alone(1500)) == []
    assert ann.wait(1.4) == []
    assert upstream(ann.wait(0.1)) == [False]


def test_alone_without_delay_goes_at_once() -> None:
    assert upstream(Ann().answer(Alone(0))) == [False]


# Homes that are no help.


def test_a_silent_home_is_struck_and_the_next_asked_to_avoid_it() -> None:
    ann = Ann()
    assert ann.asked.timeout == 1
    ann.silence()
    assert ann.homes.struck(now=ann.now) == {FIRST.id}
    assert ann.asked.node == SECOND.id
    assert ann.asked.message.avoid == (FIRST.id,)


def test_a_home_that_is_silent_for_the_first_time_is_asked_again_soon_and_one_that_misleads_is_not() -> None:
    ann, bob = Ann(), Ann()
    ann.silence()
    bob.answer(Found((), ()))
    assert ann.homes.struck(now=ann.now + SILENT_FOR) == frozenset()
    assert bob.homes.struck(now=bob.now + SILENT_FOR) == {FIRST.id}


def test_a_home_far_away_gets_four_round_trips() -> None:
    ann = Ann()
    ann.round_trip = 0.7
    ann.silence()
    assert ann.asked.timeout == pytest.approx(2.8)


def test_a_driver_that_says_nothing_is_not_waited_for() -> None:
    ann = Ann()
    ann.wait(2)
    assert ann.asked.node == SECOND.id


def test_when_no_home_answers_the_claimant_is_alone() -> None:
    ann = Ann()
    for _ in range(2):
        ann.silence()
    assert upstream(ann.silence()) == [False]


@pytest.mark.parametrize(
    "nonsense",
    [
        Found((), ()),
        Providers((), ()),
        waiting_for(ANN),
        Grant(terms(who=BOB)),
        Grant(changed(terms(), proof=bytes(64))),
        Grant(grant_terms(FIRST.key, bytes(16), ANN.id, bytes(16))),
    ],
    ids=["no answer", "nobody", "wait for yourself", "another's", "forged", "of another key"],
)
def test_a_home_that_answers_nonsense_is_struck(nonsense: object) -> None:
    ann = Ann()
    ann.answer(nonsense)
    assert ann.homes.struck(now=ann.now) == {FIRST.id}
    assert ann.asked.node == SECOND.id


def test_a_struck_home_is_not_asked_and_its_word_not_wanted() -> None:
    ann = Ann()
    ann.homes.strike(FIRST.id, now=ann.now)
    claim = Claimant(Wanted(KEY, MODULE, ABLE, ANN.record), ann.around, deadline=DEADLINE)
    (ask,) = of(Ask, claim.handle_timer(now=ann.now))
    assert ask.node == SECOND.id
    assert ask.message.avoid == (FIRST.id,)


def test_an_answer_that_comes_too_late_or_twice_is_nothing() -> None:
    ann = Ann()
    first = ann.asked
    ann.silence()
    assert ann.claim.answered(first.ask, Grant(terms()), now=ann.now) == []
    assert ann.claim.unanswered(first.ask, now=ann.now) == []
    ann.answer(waiting_for(BOB))
    assert ann.answer(waiting_for(EVE)) == []


def test_a_home_that_is_apart_is_passed_over_without_blame_and_may_be_passed_the_claim() -> None:
    ann = Ann()
    ann.apart = frozenset([FIRST.id])  # which is found out when it is asked
    (asked,) = of(Ask, ann.silence())
    assert (asked.node, asked.message.avoid) == (SECOND.id, ())
    ann.apart = frozenset()
    assert not ann.homes.struck(now=ann.now)


def test_when_all_homes_are_apart_the_claimant_is_alone() -> None:
    ann = Ann()
    ann.apart = frozenset([FIRST.id, SECOND.id, THIRD.id])
    assert upstream(ann.silence()) == [False]


def test_without_a_director_the_claimant_is_alone_at_once() -> None:
    assert upstream(Ann(directors=()).did) == [False]


# Waiting.


def test_after_three_silent_seconds_the_next_home_is_asked_and_the_relay_goes_on() -> None:
    ann = Ann()
    ann.answer(waiting_for(BOB))
    (ask,) = ann.wait(3)
    assert ask.node == SECOND.id
    assert (ask.message.stalled, ask.message.urgent, ask.message.avoid) == (bytes(16), False, (FIRST.id,))


def test_confirmed_it_waits_five_seconds_more_then_complains_to_the_third() -> None:
    ann = Ann()
    ann.answer(waiting_for(BOB))
    ann.wait(3)
    assert ann.answer(waiting_for(BOB)) == []
    assert ann.wait(4.9) == []
    (ask,) = ann.wait(0.1)
    assert (ask.node, ask.message.urgent) == (THIRD.id, True)
    assert set(ask.message.avoid) == {FIRST.id, SECOND.id, BOB.id}


def test_when_all_homes_name_a_silent_fetcher_it_is_the_fetcher_that_is_struck() -> None:
    ann = Ann()
    ann.answer(waiting_for(BOB))
    ann.wait(3)
    ann.answer(waiting_for(BOB))
    ann.wait(5)
    assert upstream(ann.answer(waiting_for(BOB))) == [False]
    assert ann.silent.struck(now=ann.now) == {BOB.id}
    assert not ann.homes.struck(now=ann.now)


def test_homes_that_named_a_fetcher_of_which_nothing_came_are_struck_when_another_knows_better() -> None:
    ann = Ann()
    ann.answer(waiting_for(BOB))
    ann.wait(3)
    ann.answer(waiting_for(BOB))
    ann.wait(5)
    assert upstream(ann.answer(Grant(terms(THIRD)))) == [True]
    assert ann.homes.struck(now=ann.now) == {FIRST.id, SECOND.id}


def test_homes_that_named_a_fetcher_of_which_bytes_came_are_not_struck() -> None:
    ann = Ann()
    ann.answer(waiting_for(BOB))
    ann.receive(1000)
    ann.wait(3)
    assert ann.answer(Grant(terms(SECOND)))
    assert not ann.homes.struck(now=ann.now)


def test_a_struck_fetcher_is_complained_about_at_once() -> None:
    ann = Ann()
    ann.silent.strike(BOB.id, now=ann.now)
    ann.answer(waiting_for(BOB))
    assert (ann.asked.node, ann.asked.message.urgent, ann.asked.message.stalled) == (SECOND.id, True, bytes(16))


def test_a_home_that_was_struck_may_still_be_the_fetcher() -> None:
    ann = Ann()
    ann.silence()
    assert of(Relay, ann.answer(waiting_for(FIRST)))


def test_the_only_home_is_asked_again() -> None:
    ann = Ann([FIRST])
    ann.answer(waiting_for(BOB))
    (ask,) = ann.wait(3)
    assert ask.node == FIRST.id
    ann.answer(waiting_for(BOB))
    assert upstream(ann.wait(5)) == [False]


def test_whoever_receives_is_left_in_peace() -> None:
    ann = Ann()
    ann.answer(waiting_for(BOB))
    for _ in range(60):
        ann.receive()
        assert ann.wait(1) == []


def test_who_gives_too_little_of_what_it_has_for_five_seconds_is_complained_about() -> None:
    ann = Ann()
    ann.answer(waiting_for(BOB))
    trickle(ann, 6)
    assert (ann.asked.node, ann.asked.message.urgent) == (SECOND.id, False)
    ann.answer(waiting_for(BOB, has=NEARLY + 100_000))
    trickle(ann, 1)
    assert (ann.asked.node, ann.asked.message.urgent) == (FIRST.id, True)


def test_a_fetcher_that_is_slow_and_gives_all_it_has_is_borne_for_a_while() -> None:
    ann = Ann()
    ann.answer(waiting_for(BOB))
    trickle(ann, 6)
    ann.answer(waiting_for(BOB, has=7000))
    assert trickle(ann, 14) == []
    assert of(Ask, trickle(ann, 2))[0].message.urgent


def test_bursts_that_break_the_silence_buy_a_slow_fetcher_no_more_time() -> None:
    ann = Ann()
    ann.answer(waiting_for(BOB))
    trickle(ann, 6)
    for _ in range(6):
        if ann.asked.message.urgent:
            break
        if ann.claim.is_asking:
            ann.answer(waiting_for(BOB, has=7000))
        ann.receive(1000)
        ann.wait(3.5)
    assert ann.asked.message.urgent


def test_one_that_is_given_anew_what_is_here_already_is_waited_for_while_homes_call_it_limited() -> None:
    """After another fetcher began at byte 0."""
    ann = Ann()
    ann.answer(waiting_for(BOB))
    ann.receive(500_000)
    ann.lose()
    ann.answer(waiting_for(EVE, b"e" * 16, has=1))
    ann.wait(3)
    ann.answer(waiting_for(EVE, b"e" * 16, has=100_000, limited=True))
    assert ann.wait(50) == []


def test_a_fetcher_that_has_sent_something_is_complained_about_three_times_to_the_best_home() -> None:
    """What is slow for one is slow for all, and they find out within a second."""
    ann = Ann()
    ann.answer(waiting_for(BOB))
    ann.receive(1000)
    ann.wait(3)
    ann.answer(waiting_for(BOB))  # the second home confirms it
    ann.wait(2)
    ann.answer(waiting_for(BOB))  # and the third, when it is slow
    ann.wait(5)
    for _ in range(2):
        (ask,) = of(Ask, ann.answer(waiting_for(BOB)))
        assert (ask.node, ask.message.urgent, ask.message.avoid) == (FIRST.id, True, (BOB.id,))
    assert upstream(ann.answer(waiting_for(BOB))) == [False]
    assert ann.silent.struck(now=ann.now) == {BOB.id}


def test_who_fills_the_line_itself_does_not_find_others_slow() -> None:
    ann = Ann()
    ann.answer(waiting_for(BOB))
    fetching = Claimant(Wanted(key_of(OTHER), OTHER, ABLE, ANN.record), ann.around, deadline=DEADLINE)
    (ask,) = of(Ask, fetching.handle_timer(now=ann.now))
    fetching.answered(ask.ask, Grant(grant_terms(FIRST.key, key_of(OTHER), ANN.id, bytes(16))), now=ann.now)
    for second in range(1, 8):
        fetching.progress(second * FLOOR, now=ann.now)
        ann.receive(1000)
        assert ann.wait(1) == []
    for _ in range(6):
        fetching.progress(7 * FLOOR, now=ann.now)  # nothing more comes
        ann.receive(1000)
        ann.wait(1)
    assert ann.asked.message.stalled


def trickle(ann: Ann, seconds: int) -> list[Any]:
    """Bytes come, and fewer than a line should bring."""
    actions = []
    for _ in range(seconds):
        ann.receive(1000)
        actions += ann.wait(1)
    return actions


def test_who_knows_its_own_line_as_slow_does_not_go_there_as_well() -> None:
    ann = Ann()
    for second in range(6):
        ann.inflow.fetched(FLOOR // 2, since=ann.now, now=ann.now + second)
    ann.now += 6
    ann.answer(waiting_for(BOB))
    assert trickle(ann, 30) == []
    assert of(Ask, ann.wait(3.5))  # silence is another matter


def test_nobody_is_called_limited_who_says_that_it_has_bytes_and_gives_none() -> None:
    ann = Ann()
    ann.answer(waiting_for(BOB))
    ann.wait(3)
    busy = Wait(Growing(BOB.id, bytes(16), 5000), True, BOB.record)
    ann.answer(busy)
    assert of(Ask, ann.wait(6))[0].message.urgent


def test_what_is_fetched_does_not_hide_that_peers_are_silent() -> None:
    ann = Ann()
    ann.answer(waiting_for(BOB))
    ann.inflow.fetched(FLOOR, since=ann.now, now=ann.now + 2.9)
    assert of(Ask, ann.wait(3))


def test_where_the_upstream_limits_its_fetcher_waiters_do_not_pile_on() -> None:
    ann = Ann()
    ann.answer(waiting_for(BOB))
    for _ in range(6):
        ann.receive(1000)
        ann.wait(1)
    assert ann.answer(waiting_for(BOB, limited=True)) == []
    assert ann.wait(50) == []
    assert of(Ask, ann.wait(10))[0].message.urgent


def test_a_fetcher_known_as_limited_from_the_start_is_waited_for() -> None:
    ann = Ann()
    ann.answer(waiting_for(BOB, limited=True))
    assert ann.wait(50) == []


def test_a_home_that_calls_a_silent_fetcher_limited_for_ever_is_not_asked_without_end() -> None:
    ann = Ann()
    ann.answer(waiting_for(BOB, limited=True))
    assert ann.wait(59) == []
    (asked,) = ann.wait(2)
    assert asked.message.urgent
    for _ in range(INSIST):  # the home counts it the second time
        assert of(Ask, ann.answer(waiting_for(BOB, limited=True)))
    assert ann.answer(waiting_for(BOB, limited=True)) == [GoUpstream(None)]


def test_a_limited_fetcher_that_is_lost_is_tried_once_more_and_not_waited_for() -> None:
    ann = Ann()
    ann.answer(waiting_for(BOB, limited=True))
    assert of(Ask, ann.lose())
    assert of(Relay, ann.answer(waiting_for(BOB, limited=True)))
    assert of(Ask, ann.lose())
    for _ in range(INSIST):
        assert of(Ask, ann.answer(waiting_for(BOB, limited=True)))
    assert ann.answer(waiting_for(BOB, limited=True)) == [GoUpstream(None)]


def test_a_lost_fetcher_is_reported_to_the_home_that_named_it() -> None:
    ann = Ann()
    ann.answer(waiting_for(BOB))
    (ask,) = ann.lose()
    assert (ask.node, ask.message.stalled, ask.message.urgent) == (FIRST.id, bytes(16), True)
    assert ann.lose() == []  # it is being asked
    assert of(Relay, ann.answer(waiting_for(EVE, b"e" * 16)))
    assert not ann.homes.struck(now=ann.now)


def test_a_fetcher_that_is_lost_while_a_home_is_asked_about_it_is_reported_at_once() -> None:
    ann = Ann()
    ann.answer(waiting_for(BOB))
    (asked,) = ann.wait(3)
    assert (asked.node, asked.message.urgent) == (SECOND.id, False)
    (told,) = ann.lose()
    assert (told.node, told.message.stalled, told.message.urgent) == (FIRST.id, bytes(16), True)
    assert ann.claim.answered(asked.ask, waiting_for(BOB), now=ann.now) == []  # what it said before it was told
    assert of(Relay, ann.answer(waiting_for(EVE, b"e" * 16)))


def test_a_fetcher_that_others_reach_is_tried_once_more() -> None:
    ann = Ann()
    ann.answer(waiting_for(BOB))
    ann.lose()
    assert of(Relay, ann.answer(waiting_for(BOB)))
    ann.lose()
    assert upstream(ann.answer(waiting_for(BOB))) == [False]


def test_providers_that_do_not_deliver_are_not_wanted_again() -> None:
    ann = Ann()
    ann.answer(held_by(BOB, EVE))
    (ask,) = ann.lose()
    assert (ask.node, ask.message.stalled) == (FIRST.id, None)
    assert set(ask.message.avoid) == {BOB.id, EVE.id}


def test_silent_providers_are_given_up_after_three_seconds() -> None:
    ann = Ann()
    ann.answer(held_by(BOB))
    (ask,) = ann.wait(3)
    assert ask.node == SECOND.id
    assert BOB.id in ask.message.avoid


def test_nothing_is_lost_before_there_is_a_source() -> None:
    ann = Ann()
    assert ann.lose() == []


def test_a_claim_tries_a_bounded_number_of_sources() -> None:
    ann = Ann()
    for number in range(6):
        assert of(Relay, ann.answer(waiting_for(BOB, bytes([number] * 16))))
        ann.lose()
    assert upstream(ann.answer(waiting_for(BOB, b"z" * 16))) == [False]


# The fetcher.


def test_what_became_of_a_lease_is_told_to_the_homes() -> None:
    for how, end in ((DONE, "finished"), (FAILED, "failed"), (LEFT, "leave")):
        ann = Ann()
        ann.answer(Grant(terms()))
        actions = ann.claim.finished(holding_of(KEY)) if how == DONE else getattr(ann.claim, end)()
        holding = holding_of(KEY) if how == DONE else None
        assert [tell.message for tell in of(Tell, actions)] == [Release(KEY, terms().token, how, holding)] * 3
        assert ann.claim.state is State.ENDED
        assert ann.wait(50) == []


def test_that_the_upstream_was_out_of_reach_is_no_failure() -> None:
    ann = Ann()
    ann.answer(Grant(terms()))
    assert {tell.message.how for tell in of(Tell, ann.claim.failed(out_of_reach=True))} == {STOPPED}


def test_who_fetched_alone_or_received_it_has_nothing_to_tell() -> None:
    ann = Ann()
    ann.answer(waiting_for(BOB))
    assert ann.claim.finished(holding_of(KEY)) == []
    assert ann.claim.next_timer(now=ann.now) == math.inf


def test_the_home_that_granted_is_told_though_it_is_no_home_any_more() -> None:
    ann = Ann()
    ann.answer(Grant(terms()))
    ann.view.update([SECOND.id, THIRD.id])
    assert {tell.node for tell in of(Tell, ann.wait(2))} == {FIRST.id, SECOND.id, THIRD.id}


def test_a_stopped_fetcher_takes_it_from_the_other() -> None:
    ann = Ann()
    ann.answer(Grant(terms()))
    other = Growing(BOB.id, b"b" * 16, 5)
    actions = ann.claim.stopped(FIRST.id, Stop(KEY, terms().token, other, BOB.record), now=ann.now)
    assert [tell.message.how for tell in of(Tell, actions)] == [STOPPED] * 3
    assert of(Relay, actions) == [Relay(other, BOB.record)]
    assert of(Ask, ann.wait(3))[0].node == FIRST.id  # of which nothing comes: the homes are asked, as always


def test_a_fetcher_for_whom_nobody_waits_goes_on_for_itself() -> None:
    ann = Ann()
    ann.answer(Grant(terms()))
    assert ann.claim.stopped(FIRST.id, Stop(KEY, terms().token, None, None), now=ann.now) == []
    assert ann.claim.state is State.ALONE
    assert ann.wait(10) == []
    assert ann.claim.finished(holding_of(KEY)) == []


def test_nobody_but_a_home_stops_a_fetcher_and_only_this_lease() -> None:
    ann = Ann()
    ann.answer(Grant(terms()))
    other = Growing(BOB.id, b"b" * 16, 5)
    for peer, token in ((EVE.id, terms().token), (FIRST.id, b"x" * 16)):
        assert ann.claim.stopped(peer, Stop(KEY, token, other, None), now=ann.now) == []
    assert ann.claim.state is State.FETCHING


def test_a_fetcher_is_not_stopped_in_favour_of_one_that_sent_nothing() -> None:
    ann = Ann()
    ann.silent.strike(BOB.id, now=ann.now)
    ann.answer(Grant(terms()))
    stop = Stop(KEY, terms().token, Growing(BOB.id, b"b" * 16, 5), None)
    assert ann.claim.stopped(FIRST.id, stop, now=ann.now) == []


def test_a_fetcher_is_not_stopped_in_favour_of_one_that_it_lost_itself() -> None:
    """The home of the lease before has not heard yet that its fetcher is gone."""
    ann = Ann()
    gone = Growing(BOB.id, b"b" * 16, 5)
    ann.answer(Wait(gone, False, BOB.record))
    ann.lose()
    ann.answer(Grant(terms()))
    assert ann.claim.stopped(SECOND.id, Stop(KEY, terms().token, gone, BOB.record), now=ann.now) == []
    assert ann.claim.state is State.FETCHING
    assert {tell.node for tell in of(Tell, ann.wait(2))} >= {FIRST.id, SECOND.id}


def test_a_fetcher_is_not_stopped_in_favour_of_one_that_it_gave_up() -> None:
    ann = Ann()
    slow = Growing(BOB.id, b"b" * 16, 5)
    ann.answer(Wait(slow, False, BOB.record))
    trickle(ann, 6)
    ann.answer(waiting_for(BOB, b"b" * 16))
    trickle(ann, 16)
    ann.answer(Grant(terms()))
    assert ann.claim.stopped(SECOND.id, Stop(KEY, terms().token, slow, BOB.record), now=ann.now) == []
    assert ann.claim.state is State.FETCHING


# The start of a node, its sleep, and the deadline.


def test_a_node_that_has_just_started_waits_until_its_view_is_settled() -> None:
    ann = Ann(directors=(), at=0.1)
    assert ann.did == []
    ann.view.update([FIRST.id])
    ann.cold.newcomer(now=0.3)
    ann.wait(0.65)
    assert ann.did == []
    ann.wait(0.06)
    assert ann.asked.node == FIRST.id


def test_a_node_that_met_nobody_goes_upstream_after_half_a_second() -> None:
    ann = Ann(directors=(), at=0.1)
    assert upstream(ann.wait(0.4)) == [False]


def test_after_sleep_a_fetcher_is_one_no_more_and_a_waiter_asks_anew() -> None:
    fetcher, waiter = Ann(), Ann()
    fetcher.answer(Grant(terms()))
    assert fetcher.claim.wake(now=fetcher.now) == []
    assert fetcher.wait(50) == []
    waiter.answer(waiting_for(BOB))
    (ask,) = of(Ask, waiter.claim.wake(now=waiter.now))
    assert ask.node == FIRST.id


def moved(ann: Ann) -> list[Any]:
    """The network of ann's node is another one, and it meets everybody anew."""
    ann.cold.moved(now=ann.now, was_alone=True)
    return ann._do(ann.claim.moved(now=ann.now))


def test_in_another_network_a_claim_begins_anew_once_the_view_is_settled() -> None:
    asking, waiting, delayed = Ann(), Ann(), Ann()
    waiting.answer(waiting_for(BOB))
    delayed.answer(Alone(1000))
    for ann in (asking, waiting, delayed):
        before = ann.asked
        assert moved(ann) == [Settle()]
        assert ann.claim.unanswered(before.ask, now=ann.now) == []
        assert ann.lose() == []
        assert ann.wait(0.4) == []
        ann.cold.newcomer(now=ann.now)
        assert ann.wait(0.45) == []
        (ask,) = of(Ask, ann.wait(0.1))
        assert ask.node == FIRST.id
        assert ask.message.avoid == ()
        assert upstream(ann.wait(0.5)) == []


def test_who_went_upstream_while_its_network_changed_comes_back_but_not_twice() -> None:
    ann = Ann(directors=())
    assert upstream(ann.did) == [False]
    ann.now += 3
    ann.view.update([FIRST.id])
    assert moved(ann) == [Settle()]
    ann.wait(1)
    ann.answer(Alone(0))
    assert moved(ann) == []


def test_who_has_been_upstream_for_a_while_stays_there_when_its_network_changes() -> None:
    fetcher, alone = Ann(), Ann(directors=())
    fetcher.answer(Grant(terms()))
    for ann in (fetcher, alone):
        ann.now += 3.1
        assert moved(ann) == []
    assert of(Tell, fetcher.wait(2))


def test_who_comes_back_from_upstream_lets_another_fetch() -> None:
    ann = Ann()
    ann.answer(Grant(terms()))
    done = moved(ann)
    assert {(tell.node, tell.message.how) for tell in of(Tell, done)} == {
        (home.id, STOPPED) for home in (FIRST, SECOND, THIRD)
    }
    assert of(Settle, done)


def test_who_is_granted_the_lease_that_it_gave_up_asks_for_another() -> None:
    ann = Ann()
    ann.answer(Grant(terms()))
    moved(ann)
    ann.wait(1)
    (ask,) = ann.answer(Grant(terms()))
    assert (ask.node, ask.message.stalled) == (FIRST.id, terms().token)
    other = grant_terms(FIRST.key, KEY, ANN.id, b"o" * 16)
    assert upstream(ann.answer(Grant(other))) == [True]
    assert ann.claim.tenure is not None
    assert ann.claim.tenure.terms == other


def test_a_home_that_insists_on_a_lease_that_was_given_up_is_passed_over() -> None:
    ann = Ann()
    ann.answer(Grant(terms()))
    moved(ann)
    ann.wait(1)
    ann.answer(Grant(terms()))
    (ask,) = ann.answer(Grant(terms()))
    assert ask.node == SECOND.id


def test_what_ended_stays_so_in_another_network() -> None:
    ann = Ann(directors=())
    ann.claim.finished()
    assert moved(ann) == []


def test_in_another_network_no_source_counts_that_was_tried_before() -> None:
    ann = Ann()
    for _ in range(MAX_SOURCES):
        ann.answer(held_by(BOB))
        ann.lose()
    moved(ann)
    ann.wait(1)
    assert of(FetchFrom, ann.answer(held_by(BOB)))


def test_after_sleep_without_a_director_a_waiter_is_alone() -> None:
    ann = Ann()
    ann.answer(waiting_for(BOB))
    ann.view.update([])
    assert upstream(ann.claim.wake(now=ann.now)) == [False]


def test_a_large_zip_may_take_longer_than_the_deadline_as_long_as_bytes_come() -> None:
    ann = Ann()
    ann.answer(waiting_for(BOB))
    while ann.now < 3 * DEADLINE:
        ann.receive(FLOOR)
        assert upstream(ann.wait(1)) == []
    assert ann.claim.state is State.RECEIVING


def test_what_came_fast_buys_no_long_wait() -> None:
    ann = Ann()
    ann.answer(waiting_for(BOB, limited=True))
    ann.receive(1 << 30)
    while ann.now < DEADLINE - 1:
        assert upstream(ann.wait(2)) == []
        ann.receive(1)
        if ann.claim.is_asking:
            ann.answer(waiting_for(BOB, limited=True))
    assert upstream(ann.wait(5)) == [False]


def test_a_home_is_believed_for_a_minute_that_a_line_is_slow_and_asked_again() -> None:
    ann = Ann()
    ann.answer(waiting_for(BOB, limited=True))
    assert trickle(ann, 59) == []
    assert of(Ask, trickle(ann, 2))
    ann.answer(waiting_for(BOB, has=NEARLY + 200_000))
    assert of(Ask, trickle(ann, 2))[0].message.urgent


def test_a_question_about_a_slow_fetcher_that_nobody_answers_goes_to_the_best_home_at_last() -> None:
    ann = Ann()
    ann.answer(waiting_for(BOB))
    trickle(ann, 6)
    ann.silence()  # the second home
    (ask,) = of(Ask, ann.silence())  # and the third
    assert (ask.node, ask.message.urgent) == (FIRST.id, True)


def test_no_claim_is_put_off_for_more_than_an_hour() -> None:
    deadline = Deadline(100.0)
    for minute in range(200):
        deadline.put_off(1 << 30, now=60.0 * minute)
    assert deadline.at == 100 + FURTHEST


@pytest.mark.parametrize("seed", range(300))
def test_whatever_homes_and_sources_do_a_claim_is_on_its_way_by_its_deadline(seed: int) -> None:
    chance = Random(seed)
    ann = Ann()
    messages = [
        waiting_for(BOB), waiting_for(EVE, b"e" * 16), waiting_for(BOB, limited=True), held_by(BOB), Alone(700),
        Found((), ()), Grant(changed(terms(), proof=bytes(64))),
    ]  # fmt: skip
    deadline = DEADLINE
    while ann.now < deadline:
        match chance.randrange(6):
            case 0 | 1:
                ann.answer(chance.choice(messages))
            case 2:
                ann.silence()
            case 3:
                ann.lose()
            case 4:
                ann.receive(count := chance.choice([1, 100_000]))
                deadline = max(deadline, min(deadline + count / LIVELY, ann.now + AHEAD))
            case 5:
                ann.wait(chance.uniform(0.01, 6))
    ann.wait(0)
    assert ann.claim.state is State.ALONE
    assert upstream(ann.did) == [False]
    assert ann.claim.next_timer(now=ann.now) == math.inf
