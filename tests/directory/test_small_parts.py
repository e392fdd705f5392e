"""Strikes, timers, exclusions, inflow, cold start, patience, ability, proofs, addresses."""

from __future__ import annotations

import math

import pytest

from p2pmods.directory.ability import CAPTIVE, DATABASE, FAILING, METERED, ORIGIN, PROXY, UPLOADS, Ability
from p2pmods.directory.addresses import MAX_NODES, AddressBook
from p2pmods.directory.coldstart import LONGEST, QUIET, ColdStart
from p2pmods.directory.exclusions import Exclusions
from p2pmods.directory.inflow import FLOOR, KNOWN_FOR, Inflow
from p2pmods.directory.patience import Patience, Verdict
from p2pmods.directory.proof import grant_terms, is_genuine
from p2pmods.directory.strikes import Strikes
from p2pmods.directory.timers import Timers
from p2pmods.errors import MalformedData
from p2pmods.testing.room import member
from tests.directory.parts import ANN, BOB, FIRST, KEY, SECOND, changed


def test_a_strike_counts_for_ten_minutes() -> None:
    strikes = Strikes("me")
    strikes.strike("ann", now=0)
    assert strikes.struck(now=599) == {"ann"}
    assert strikes.struck(now=600) == frozenset()


def test_a_second_strike_begins_the_ten_minutes_anew() -> None:
    strikes = Strikes("me")
    for at in (0, 300):
        strikes.strike("ann", now=at)
    strikes.strike("bob", now=310)
    assert strikes.struck(now=700) == {"ann", "bob"}


def test_a_first_silence_counts_for_twenty_seconds_and_another_for_ten_minutes() -> None:
    strikes = Strikes("me")
    strikes.strike("ann", now=0, is_silence=True)
    assert strikes.struck(now=19.9) == {"ann"}
    assert not strikes.struck(now=20)
    strikes.strike("ann", now=30, is_silence=True)
    assert strikes.struck(now=629) == {"ann"}
    strikes.strike("ann", now=1300, is_silence=True)
    assert not strikes.struck(now=1320)


def test_a_silence_does_not_shorten_a_strike() -> None:
    strikes = Strikes("me")
    strikes.strike("ann", now=0)
    strikes.strike("ann", now=1, is_silence=True)
    assert strikes.struck(now=599) == {"ann"}


def test_after_a_pardon_a_silence_is_a_first_one_again() -> None:
    for pardon in (Strikes.pardon_all, lambda strikes, now: strikes.pardon("ann", now=now)):
        strikes = Strikes("me")
        strikes.strike("ann", now=0, is_silence=True)
        pardon(strikes, now=5)
        strikes.strike("ann", now=50, is_silence=True)
        assert strikes.struck(now=69) == {"ann"}
        assert not strikes.struck(now=70)


def test_a_short_strike_ends_though_a_longer_one_is_older() -> None:
    strikes = Strikes("me")
    strikes.strike("ann", now=0)
    strikes.strike("bob", now=1, is_silence=True)
    assert strikes.struck(now=30) == {"ann"}


def test_who_is_back_is_pardoned_once_in_ten_minutes() -> None:
    strikes = Strikes("me")
    strikes.strike("ann", now=0)
    strikes.pardon("ann", now=10)
    assert not strikes.struck(now=10)
    strikes.strike("ann", now=20)
    strikes.pardon("ann", now=30)
    assert strikes.struck(now=30) == {"ann"}
    strikes.pardon("ann", now=610)
    assert not strikes.struck(now=610)


def test_being_back_without_a_strike_costs_no_pardon() -> None:
    strikes = Strikes("me")
    strikes.pardon("ann", now=0)
    strikes.strike("ann", now=1)
    strikes.pardon("ann", now=2)
    assert not strikes.struck(now=2)


def test_pardons_are_bounded() -> None:
    strikes = Strikes("me")
    for number in range(300):
        strikes.strike(str(number), now=0)
        strikes.pardon(str(number), now=0)
    for again in ("0", "299"):
        strikes.strike(again, now=1)
        strikes.pardon(again, now=1)
    assert strikes.struck(now=1) == {"299"}


def test_a_lie_is_not_pardoned() -> None:
    strikes = Strikes("me")
    strikes.strike("ann", now=0, is_a_lie=True)
    strikes.strike("ann", now=1)
    strikes.pardon("ann", now=2)
    assert strikes.struck(now=2) == {"ann"}
    assert strikes.struck(now=601) == frozenset()


def test_a_node_never_strikes_itself() -> None:
    strikes = Strikes("me")
    strikes.strike("me", now=0)
    assert not strikes.struck(now=1)


def test_strikes_are_bounded() -> None:
    strikes = Strikes("me")
    for number in range(2000):
        strikes.strike(str(number), now=0)
    assert len(strikes.struck(now=1)) == 256
    assert "1999" in strikes.struck(now=1)


def test_timers_ring_once_at_the_soonest_time() -> None:
    timers = Timers()
    timers.ring(b"a", 5)
    timers.ring(b"a", 3)
    timers.ring(b"a", 9)
    timers.ring(b"b", 4)
    assert timers.next() == 3
    assert timers.due(4) == [b"a", b"b"]
    assert timers.due(100) == []
    assert timers.next() == math.inf


def test_a_failed_fetcher_that_is_back_is_pardoned_once_in_ten_minutes() -> None:
    failed = Exclusions()
    failed.pardon("ann", now=0)  # for nothing, which uses up nothing
    for at, is_pardoned in ((1, True), (2, False), (600, False), (601, True)):
        failed.exclude("ann", now=at)
        failed.exclude("bob", now=at)
        failed.pardon("ann", now=at)
        assert failed.excludes("ann", now=at) != is_pardoned
        assert failed.excludes("bob", now=at)


def test_pardons_of_fetchers_are_bounded() -> None:
    failed = Exclusions()
    for number in range(5000):
        failed.exclude(str(number), now=0)
        failed.pardon(str(number), now=0)
    assert len(failed._unpardonable) <= 1024


def test_a_failed_fetcher_is_excluded_for_a_minute() -> None:
    failed = Exclusions()
    failed.exclude("ann", now=0)
    assert failed.excludes("ann", now=59)
    assert failed.count(now=59) == 1
    assert not failed.excludes("ann", now=60)
    assert failed.count(now=60) == 0


def test_the_time_since_the_last_failure() -> None:
    failed = Exclusions()
    assert failed.since_last(now=5) == math.inf
    failed.exclude("ann", now=0)
    failed.exclude("bob", now=20)
    failed.exclude("ann", now=10)
    assert failed.since_last(now=25) == 5
    assert failed.since_last(now=80) == math.inf


def test_exclusions_are_bounded() -> None:
    failed = Exclusions()
    for number in range(3000):
        failed.exclude(str(number), now=0)
    assert failed.count(now=1) == 1024


def test_inflow_is_slow_below_64_kib_a_second_over_five_seconds() -> None:
    inflow = Inflow()
    for second in range(6):
        inflow.received(FLOOR, now=second)
    assert not inflow.is_slow(now=5.5)
    assert inflow.is_slow(now=9)
    assert inflow.last == 5


def test_inflow_counts_several_amounts_of_one_second() -> None:
    inflow = Inflow()
    for _ in range(5):
        inflow.received(FLOOR, now=1.2)
    assert not inflow.is_slow(now=2)
    assert inflow.is_slow(now=20)


def fetch_at(rate: int, *, seconds: int) -> Inflow:
    inflow = Inflow()
    for second in range(seconds + 1):
        inflow.fetched(rate, since=0, now=second)
    return inflow


def test_who_sees_its_own_line_slow_does_not_find_others_slow_for_a_minute() -> None:
    inflow = fetch_at(FLOOR // 2, seconds=5)
    assert inflow.is_line_slow(now=5)
    assert not inflow.is_slow(now=30)
    assert inflow.is_slow(now=5 + KNOWN_FOR)


@pytest.mark.parametrize(("rate", "seconds"), [(FLOOR // 2, 4), (2 * FLOOR, 60)], ids=["too short", "fast"])
def test_a_short_fetch_or_a_fast_one_is_no_slow_line(rate: int, seconds: int) -> None:
    assert not fetch_at(rate, seconds=seconds).is_line_slow(now=seconds)


def test_a_line_that_became_fast_is_known_as_slow_no_more() -> None:
    inflow = fetch_at(FLOOR // 2, seconds=5)
    for second in range(6, 12):
        inflow.fetched(2 * FLOOR, since=0, now=second)
    assert not inflow.is_line_slow(now=12)


def test_small_zips_one_after_the_other_are_no_slow_line() -> None:
    inflow = Inflow()
    for second in range(60):
        inflow.fetched(30_000, since=second, now=second)
    assert not inflow.is_line_slow(now=60)


def test_a_start_is_over_half_a_second_after_the_last_newcomer() -> None:
    cold = ColdStart(started=10)
    assert cold.settled_at() == 10.5
    cold.newcomer(now=10.4)
    assert cold.settled_at() == 10.9


def test_a_start_takes_two_seconds_at_most() -> None:
    cold = ColdStart(started=10)
    cold.newcomer(now=11.9)
    assert cold.settled_at() == 12


def test_who_changed_its_network_and_knew_others_waits_until_one_is_reached() -> None:
    cold = ColdStart(started=10)
    cold.moved(now=100, was_alone=False)
    assert cold.settled_at() == 100 + LONGEST
    cold.linked()
    assert cold.settled_at() == 100 + QUIET
    cold.newcomer(now=101)
    assert cold.settled_at() == 101 + QUIET


def test_nobody_to_meet_nothing_to_wait_for() -> None:
    cold = ColdStart(started=10, may_meet=False)
    assert cold.settled_at() == 10
    cold.moved(now=100, was_alone=True)
    assert cold.settled_at() == 100


def test_another_network_is_a_start_of_its_own() -> None:
    cold = ColdStart(started=10)
    cold.moved(now=100, was_alone=True)
    assert cold.settled_at() == 100.5
    cold.newcomer(now=100.4)
    assert cold.settled_at() == 100.9
    cold.newcomer(now=101.9)
    assert cold.settled_at() == 102


def test_who_did_not_answer_while_the_own_network_changed_is_not_to_blame() -> None:
    strikes = Strikes("me")
    strikes.strike("ann", now=0)
    strikes.strike("liar", now=0, is_a_lie=True)
    strikes.pardon_all(now=2)
    strikes.strike("bob", now=11)
    assert strikes.struck(now=11) == {"liar"}
    strikes.strike("kim", now=11, is_a_lie=True)
    strikes.strike("eve", now=12)
    assert strikes.struck(now=12) == {"liar", "kim", "eve"}


def test_three_silent_seconds_ask_and_five_more_give_up() -> None:
    patience = Patience(Inflow(), now=0)
    assert patience.next_timer(now=0) == 3
    assert patience.verdict(now=2.9) is Verdict.WAIT
    assert patience.verdict(now=3) is Verdict.ASK
    patience.confirm(0, now=3)
    assert patience.next_timer(now=3) == 8
    assert patience.verdict(now=7.9) is Verdict.WAIT
    assert patience.verdict(now=8) is Verdict.GIVE_UP


def test_bytes_of_any_transfer_break_the_silence() -> None:
    inflow = Inflow()
    patience = Patience(inflow, now=0)
    inflow.received(1, now=2.5)
    assert patience.verdict(now=5.4) is Verdict.WAIT
    assert patience.verdict(now=5.5) is Verdict.ASK


def test_after_bytes_that_followed_a_confirmation_silence_counts_anew() -> None:
    inflow = Inflow()
    patience = Patience(inflow, now=0)
    patience.confirm(0, now=3)
    inflow.received(1, now=6)
    assert patience.verdict(now=8.9) is Verdict.WAIT
    assert patience.verdict(now=9) is Verdict.ASK


def test_a_transfer_that_stands_still_for_15_s_is_given_up_though_others_flow() -> None:
    inflow = Inflow()
    patience = Patience(inflow, now=0)
    for second in range(16):
        inflow.received(10 * FLOOR, now=second)
    assert patience.verdict(now=14.9) is Verdict.WAIT
    assert patience.verdict(now=15) is Verdict.GIVE_UP


def test_what_is_all_here_and_is_being_verified_is_neither_silent_nor_slow() -> None:
    inflow = Inflow()
    patience = Patience(inflow, now=0)
    inflow.received(1, now=1)
    patience.received(1, now=1)
    patience.complete(now=2)
    assert patience.next_timer(now=2) == 17
    assert patience.verdict(now=16.9) is Verdict.WAIT
    assert patience.verdict(now=17) is Verdict.GIVE_UP


@pytest.mark.parametrize(("has", "verdict"), [(10 * FLOOR, Verdict.GIVE_UP), (3 * FLOOR, Verdict.WAIT)])
def test_less_than_64_kib_a_second_is_given_up_after_five_of_one_that_has_more(has: int, verdict: Verdict) -> None:
    inflow = Inflow()
    patience = Patience(inflow, now=0)
    for tenth in range(60):
        inflow.received(FLOOR // 20, now=tenth / 10)
        patience.received(FLOOR // 20, now=tenth / 10)
    assert patience.verdict(now=4.9) is Verdict.WAIT
    assert patience.verdict(now=5.9) is Verdict.ASK
    patience.confirm(has, now=5.9)
    assert patience.verdict(now=6) is verdict


def test_where_the_upstream_limits_all_a_waiter_waits_for_a_minute() -> None:
    patience = Patience(Inflow(), now=0)
    patience.limit(0, limited=True, now=0)
    assert patience.next_timer(now=0) == 60
    assert patience.verdict(now=59) is Verdict.WAIT
    assert patience.verdict(now=60) is Verdict.GIVE_UP


def test_who_is_apart_is_left_out_without_a_strike() -> None:
    apart: set[str] = {"bob"}
    strikes = Strikes("ann", lambda: frozenset(apart))
    strikes.strike("bob", now=0)
    strikes.strike("eve", now=0)
    assert strikes.struck(now=1) == {"bob", "eve"}
    assert strikes.blamed(now=1) == {"eve"}
    apart.clear()
    assert strikes.struck(now=1) == {"eve"}


@pytest.mark.parametrize("flag", [METERED, CAPTIVE, FAILING])
def test_who_should_not_fetch_for_others_is_not_capable(flag: int) -> None:
    able = DATABASE | UPLOADS
    assert Ability(ORIGIN, able, None).is_capable
    assert not Ability(ORIGIN, able | flag, None).is_capable


def test_who_has_delivered_before_may_recover_from_a_failure_and_from_nothing_else() -> None:
    able = DATABASE | UPLOADS
    assert Ability(PROXY, able | FAILING, 9).may_recover
    assert not Ability(PROXY, able | FAILING, None).may_recover
    assert not Ability(PROXY, able | FAILING | METERED, 9).may_recover
    assert not Ability(0, able | FAILING, 9).may_recover


def test_fetching_proving_and_sharing_are_all_needed() -> None:
    assert not Ability(0, DATABASE | UPLOADS, 1).is_capable
    assert not Ability(PROXY, DATABASE, 1).is_capable
    assert not Ability(PROXY, UPLOADS, 1).is_capable


def test_a_proxy_ranks_above_version_control_and_a_recent_success_above_none() -> None:
    ranks = [Ability(*one).rank for one in ((ORIGIN, 0, 0), (PROXY, 0, None), (PROXY, 0, 50), (PROXY, 0, 1))]
    assert ranks == sorted(ranks)


def test_terms_hold_for_one_key_one_fetcher_one_home() -> None:
    terms = grant_terms(FIRST.key, KEY, ANN.id, bytes(16))
    assert is_genuine(terms, KEY)
    assert not is_genuine(terms, bytes(16))
    assert not is_genuine(changed(terms, fetcher=BOB.id), KEY)
    assert not is_genuine(changed(terms, home=SECOND.id), KEY)
    assert not is_genuine(changed(terms, token=b"\1" * 16), KEY)


def test_the_book_takes_a_node_s_own_record_only() -> None:
    book = AddressBook()
    book.note(ANN.id, ANN.record)
    with pytest.raises(MalformedData):
        book.note(BOB.id, ANN.record)
    with pytest.raises(MalformedData):
        book.note(BOB.id, BOB.record[:-1])
    assert book.records_of([ANN.id, BOB.id, ANN.id], 5) == (ANN.record,)


def test_the_book_is_bounded_and_forgets_the_silent() -> None:
    book = AddressBook()
    members = [member(number) for number in range(3)]
    for one in members:
        book.note(one.id, one.record)
    book.note(members[0].id, members[0].record)
    for number in range(3, MAX_NODES + 1):
        one = member(number)
        book.note(one.id, one.record)
    assert len(book) == MAX_NODES
    assert book.record_of(members[0].id) is not None
    assert book.record_of(members[1].id) is None
