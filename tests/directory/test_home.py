"""One home: whom it grants, whom it sends where, what it believes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from p2pmods.directory import case as cases
from p2pmods.directory.ability import DATABASE, FAILING, ORIGIN, PROXY, UPLOADS, Ability
from p2pmods.directory.actions import Refuse, Tell
from p2pmods.directory.exclusions import EXCLUDED_FOR
from p2pmods.directory.messages import (
    DONE,
    FAILED,
    LEFT,
    MAX_DELAY,
    STOPPED,
    Advert,
    Alone,
    Found,
    Grant,
    Growing,
    Holder,
    Intend,
    Intended,
    Lookup,
    Providers,
    Release,
    Renew,
    Stop,
    Terms,
    Wait,
)
from p2pmods.directory.proof import grant_terms
from p2pmods.errors import MalformedData
from p2pmods.testing.room import ABLE, MODULE, UNABLE
from tests.directory.parts import (
    ANN,
    BOB,
    DAN,
    EVE,
    FAY,
    FIRST,
    KEY,
    SECOND,
    THIRD,
    a_claim,
    asks,
    changed,
    holding_of,
    home_of,
    key_of,
    of,
    replies,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from p2pmods.directory.home import LeaseHome
    from p2pmods.testing.room import Member

NOTHING = Intended(None, (), ())


def granted(home: LeaseHome, who: Member = ANN, *, now: float = 0.0, call: int = 1) -> Terms:
    """`who` claims, the other homes know nothing, and it gets the lease."""
    actions = home.claim(call, who.id, a_claim(who), now=now)
    for ask in asks(actions):
        actions += home.answered(ask.ask, NOTHING, now=now)
    answer = replies(actions)[call]
    assert isinstance(answer, Grant)
    return answer.terms


def renew(terms: Terms, who: Member = ANN, *, received: int = 0, limited: bool = False) -> Renew:
    return Renew(KEY, terms, received, limited, who.record)


def running(home: LeaseHome, who: Member = ANN, *, now: float = 0.0, received: int = 0) -> Terms:
    """As `granted`, and the fetcher is at it."""
    terms = granted(home, who, now=now)
    assert home.renew(who.id, renew(terms, who, received=received), now=now) == []
    return terms


def terms_by(home: Member, who: Member = ANN) -> Terms:
    """What `home` granted to `who`."""
    return grant_terms(home.key, KEY, who.id, home.id[:16].encode())


def told(actions: Iterable[object]) -> dict[str, object]:
    return {action.node: action.message for action in of(Tell, actions)}


# Granting.


def test_before_granting_a_home_asks_the_other_two() -> None:
    home = home_of(FIRST)
    actions = home.claim(1, ANN.id, a_claim(ANN), now=0)
    assert {ask.node for ask in asks(actions)} == {SECOND.id, THIRD.id}
    assert all(isinstance(ask.message, Intend) and ask.timeout == 0.25 for ask in asks(actions))
    first, second = asks(actions)
    assert home.answered(first.ask, NOTHING, now=0.01) == []
    assert isinstance(replies(home.answered(second.ask, NOTHING, now=0.02))[1], Grant)


def test_a_home_that_knows_no_other_grants_at_once() -> None:
    assert isinstance(replies(home_of(FIRST, [FIRST]).claim(1, ANN.id, a_claim(ANN), now=0))[1], Grant)


def test_who_does_not_answer_in_a_quarter_of_a_second_has_no_objection() -> None:
    home = home_of(FIRST)
    one, other = asks(home.claim(1, ANN.id, a_claim(ANN), now=0))
    assert home.next_timer() == pytest.approx(0.25)
    assert home.handle_timer(now=0.2) == []
    assert isinstance(replies(home.handle_timer(now=0.25))[1], Grant)
    assert home.answered(one.ask, NOTHING, now=0.3) == home.unanswered(other.ask, now=0.3) == []


def test_a_home_that_was_busy_itself_looks_once_more_for_the_answers() -> None:
    home = home_of(FIRST)
    one, other = asks(home.claim(1, ANN.id, a_claim(ANN), now=0))
    assert home.handle_timer(now=0.4) == []
    assert home.next_timer() == pytest.approx(0.65)
    theirs = grant_terms(SECOND.key, KEY, BOB.id, bytes(16))
    assert replies(home.answered(one.ask, Intended(theirs, (), (BOB.record,)), now=0.41))[1].growing.fetcher == BOB.id
    assert home.answered(other.ask, NOTHING, now=0.42) == []


def test_a_home_that_is_busy_all_the_time_grants_all_the_same() -> None:
    home = home_of(FIRST)
    home.claim(1, ANN.id, a_claim(ANN), now=0)
    assert home.handle_timer(now=0.4) == []
    assert isinstance(replies(home.handle_timer(now=1))[1], Grant)


def test_a_refusal_or_nonsense_is_no_objection() -> None:
    home = home_of(FIRST)
    one, other = asks(home.claim(1, ANN.id, a_claim(ANN), now=0))
    home.unanswered(one.ask, now=0)
    assert isinstance(replies(home.answered(other.ask, Alone(0), now=0))[1], Grant)


def test_of_all_who_claim_at_once_one_is_granted_and_the_others_wait_for_it() -> None:
    home = home_of(FIRST)
    actions = home.claim(1, ANN.id, a_claim(ANN), now=0)
    for call, who in enumerate((BOB, EVE, DAN, FAY), 2):
        assert home.claim(call, who.id, a_claim(who), now=0) == []
    for ask in asks(actions):
        actions += home.answered(ask.ask, NOTHING, now=0.01)
    answers = replies(actions)
    assert isinstance(answers[1], Grant)
    for call in (2, 3, 4, 5):
        assert answers[call].growing.fetcher == ANN.id
        assert answers[call].record == ANN.record


def test_a_later_claimant_waits_for_the_fetcher() -> None:
    home = home_of(FIRST)
    terms = running(home, received=77)
    answer = replies(home.claim(2, BOB.id, a_claim(BOB), now=5))[2]
    assert isinstance(answer, Wait)
    assert (answer.growing.token, answer.growing.received, answer.limited) == (terms.token, 77, False)


def test_a_claim_that_is_repeated_gets_the_same_answer() -> None:
    home = home_of(FIRST)
    terms = granted(home)
    assert replies(home.claim(2, ANN.id, a_claim(ANN), now=1))[2] == Grant(terms)


def test_another_home_s_lease_stands() -> None:
    home = home_of(FIRST)
    one, other = asks(home.claim(1, ANN.id, a_claim(ANN), now=0))
    home.claim(2, EVE.id, a_claim(EVE), now=0)
    theirs = grant_terms(SECOND.key, KEY, BOB.id, bytes(16))
    answers = replies(home.answered(one.ask, Intended(theirs, (), (BOB.record,)), now=0))
    assert answers[1].growing.fetcher == answers[2].growing.fetcher == BOB.id
    assert answers[1].record == BOB.record
    assert home.answered(other.ask, NOTHING, now=0) == []


def test_another_home_s_providers_are_passed_on() -> None:
    home = home_of(FIRST)
    one, _ = asks(home.claim(1, ANN.id, a_claim(ANN), now=0))
    home.claim(2, EVE.id, a_claim(EVE), now=0)
    home.claim(3, BOB.id, a_claim(BOB), now=0)
    held = Holder(BOB.id, bytes(32), 5, 0)
    actions = home.answered(one.ask, Intended(None, (held,), (BOB.record,)), now=0)
    assert replies(actions) == dict.fromkeys((1, 2), Providers((held,), (BOB.record,)))
    assert asks(actions)  # bob, who holds nothing of the kind, is the next to fetch


def test_providers_that_were_of_no_use_are_no_obstacle() -> None:
    home = home_of(FIRST, [FIRST, SECOND])
    (one,) = asks(home.claim(1, ANN.id, a_claim(ANN, avoid=(BOB.id,)), now=0))
    held = Holder(BOB.id, bytes(32), 5, 0)
    assert isinstance(replies(home.answered(one.ask, Intended(None, (held,), ()), now=0))[1], Grant)


@pytest.mark.parametrize("how", ["forged", "of another key", "by a stranger"])
def test_a_lease_that_no_director_granted_is_no_objection(how: str) -> None:
    home = home_of(FIRST, [FIRST, SECOND])
    (one,) = asks(home.claim(1, ANN.id, a_claim(ANN), now=0))
    theirs = {
        "forged": changed(grant_terms(SECOND.key, KEY, BOB.id, bytes(16)), fetcher=EVE.id),
        "of another key": grant_terms(SECOND.key, bytes(16), BOB.id, bytes(16)),
        "by a stranger": grant_terms(FAY.key, KEY, BOB.id, bytes(16)),
    }[how]
    assert isinstance(replies(home.answered(one.ask, Intended(theirs, (), ()), now=0))[1], Grant)


def test_a_home_that_the_claimant_avoids_is_told_and_not_heeded() -> None:
    home = home_of(SECOND)
    actions = home.claim(1, ANN.id, a_claim(ANN, avoid=(FIRST.id,)), now=0)
    by_home = {ask.node: ask for ask in asks(actions)}
    assert set(by_home) == {FIRST.id, THIRD.id}
    theirs = grant_terms(FIRST.key, KEY, BOB.id, bytes(16))
    assert home.answered(by_home[FIRST.id].ask, Intended(theirs, (), ()), now=0) == []
    assert isinstance(replies(home.answered(by_home[THIRD.id].ask, NOTHING, now=0))[1], Grant)


def test_hearsay_that_nobody_takes_up_is_not_believed_twice() -> None:
    home = home_of(FIRST, [FIRST, SECOND])
    lie = Intended(grant_terms(SECOND.key, KEY, BOB.id, bytes(16)), (), ())
    (one,) = asks(home.claim(1, ANN.id, a_claim(ANN), now=0))
    assert isinstance(replies(home.answered(one.ask, lie, now=0))[1], Wait)
    home.handle_timer(now=home.next_timer())
    (again,) = asks(home.claim(2, ANN.id, a_claim(ANN), now=4))
    assert isinstance(replies(home.answered(again.ask, lie, now=4))[2], Grant)


# Who may be granted.


def test_after_an_outage_one_whose_upstream_has_worked_before_tries_for_all() -> None:
    home = home_of(FIRST, [FIRST])
    never, before = (Ability(PROXY, DATABASE | UPLOADS | FAILING, success) for success in (None, 40))
    assert replies(home.claim(1, BOB.id, a_claim(BOB, never), now=0)) == {1: Alone(0)}
    assert isinstance(replies(home.claim(2, ANN.id, a_claim(ANN, before), now=0))[2], Grant)
    assert isinstance(replies(home.claim(3, BOB.id, a_claim(BOB, never), now=0))[3], Wait)


@pytest.mark.parametrize("ability", [UNABLE, Ability(0, DATABASE | UPLOADS, None)])
def test_who_cannot_fetch_for_all_is_alone_when_there_is_nobody(ability: Ability) -> None:
    home = home_of(FIRST)
    assert replies(home.claim(1, ANN.id, a_claim(ANN, ability), now=0)) == {1: Alone(0)}
    running(home, BOB)
    assert isinstance(replies(home.claim(2, ANN.id, a_claim(ANN, ability), now=1))[2], Wait)


def test_who_holds_it_is_named_and_nobody_fetches() -> None:
    home = home_of(FIRST)
    home._holdings.intake.receive(BOB.id, Advert(bytes(8), 0, True, BOB.record, (holding_of(KEY),), ()), now=0)
    answer = replies(home.claim(1, ANN.id, a_claim(ANN), now=7))[1]
    assert answer == Providers((Holder(BOB.id, KEY * 2, 1000, 7),), (BOB.record,))
    useless = home.claim(2, ANN.id, a_claim(ANN, avoid=(BOB.id,)), now=7)
    assert asks(useless)


def test_a_fetcher_that_failed_is_excluded_for_a_minute_for_every_key() -> None:
    home = home_of(FIRST, [FIRST])
    running(home)
    home.handle_timer(now=10)
    other = changed(a_claim(ANN), module="example.com/other@v1.0.0")
    assert replies(home.claim(2, ANN.id, other, now=11)) == {2: Alone(0)}
    assert isinstance(replies(home.claim(3, BOB.id, a_claim(BOB), now=11))[3], Grant)
    assert isinstance(replies(home.claim(4, ANN.id, other, now=11 + EXCLUDED_FOR))[4], Grant)


def test_who_renews_at_other_homes_now_has_not_failed() -> None:
    """More directors have come: this one is no home of the key any more."""
    home = home_of(FAY, [FAY, DAN])
    home.renew(ANN.id, renew(terms_by(DAN)), now=0)
    home._rendezvous.update([FAY.id, FIRST.id, SECOND.id, THIRD.id])
    home.handle_timer(now=20)
    home._rendezvous.update([FAY.id])
    assert isinstance(replies(home.claim(2, ANN.id, a_claim(ANN), now=21))[2], Grant)


def test_a_fetcher_that_was_out_of_reach_and_is_back_may_fetch_other_zips() -> None:
    """A partition ends the leases of all who are on its other side."""
    home = home_of(FIRST, [FIRST])
    running(home)
    home.handle_timer(now=10)
    home.pardon(ANN.id, now=11)
    other = changed(a_claim(ANN), module="example.com/other@v1.0.0")
    assert isinstance(replies(home.claim(2, ANN.id, other, now=11))[2], Grant)
    assert replies(home.claim(3, ANN.id, a_claim(ANN), now=11)) == {3: Alone(0)}


def test_when_an_outage_is_over_whoever_failed_may_fetch_again() -> None:
    home = home_of(FIRST, [FIRST])
    for at, who in ((0, ANN), (20, BOB)):
        running(home, who, now=at)
        home.handle_timer(now=at + 10)
    assert isinstance(replies(home.claim(2, ANN.id, a_claim(ANN), now=31))[2], Alone)
    home.pardon_all()
    assert isinstance(replies(home.claim(3, ANN.id, a_claim(ANN), now=31))[3], Grant)


def test_a_fetcher_whose_upstream_is_out_of_reach_has_not_failed() -> None:
    home = home_of(FIRST, [FIRST])
    for at, who in ((0, ANN), (1, BOB), (2, ANN)):
        terms = running(home, who, now=at)
        home.release(who.id, Release(KEY, terms.token, STOPPED, None), now=at)
    assert isinstance(replies(home.claim(9, BOB.id, a_claim(BOB), now=3))[9], Grant)


def test_a_claimant_that_vanished_before_it_began_is_not_held_a_failure() -> None:
    home = home_of(FIRST, [FIRST])
    granted(home)
    home.handle_timer(now=3)
    assert isinstance(replies(home.claim(2, ANN.id, a_claim(ANN), now=3))[2], Grant)


def test_after_two_failed_fetchers_everybody_is_alone_at_different_times() -> None:
    home = home_of(FIRST, [FIRST])
    for at, who in ((0, ANN), (20, BOB)):
        running(home, who, now=at)
        home.handle_timer(now=at + 10)
    delays = [replies(home.claim(c, EVE.id, a_claim(EVE), now=31))[c].delay for c in range(10, 60)]
    assert all(0 <= delay < MAX_DELAY for delay in delays)
    assert max(delays) - min(delays) > MAX_DELAY / 2
    assert isinstance(replies(home.claim(1, EVE.id, a_claim(EVE), now=10 + EXCLUDED_FOR))[1], Grant)


def test_ten_seconds_after_the_last_of_them_failed_one_fetches_for_all_again() -> None:
    home = home_of(FIRST, [FIRST])
    for at, who in ((0, ANN), (20, BOB)):
        running(home, who, now=at)
        home.handle_timer(now=at + 10)
    assert isinstance(replies(home.claim(2, EVE.id, a_claim(EVE), now=39.9))[2], Alone)
    assert isinstance(replies(home.claim(3, ANN.id, a_claim(ANN), now=40))[3], Alone)  # it failed itself
    assert isinstance(replies(home.claim(4, EVE.id, a_claim(EVE), now=40))[4], Grant)


def test_a_fetcher_that_says_it_failed_gets_that_key_no_more_but_others() -> None:
    home = home_of(FIRST, [FIRST])
    terms = running(home)
    assert home.release(ANN.id, Release(KEY, terms.token, FAILED), now=1) == []
    assert replies(home.claim(2, ANN.id, a_claim(ANN), now=1)) == {2: Alone(0)}
    other = changed(a_claim(ANN), module="example.com/other@v1.0.0")
    assert isinstance(replies(home.claim(3, ANN.id, other, now=1))[3], Grant)


# The life of a lease.


def test_a_lease_lives_ten_seconds_from_its_last_renewal() -> None:
    home = home_of(FIRST, [FIRST])
    terms = running(home)
    home.renew(ANN.id, renew(terms), now=6)
    home.handle_timer(now=15.9)
    assert home.lease_of(KEY) is not None
    home.handle_timer(now=16)
    assert home.lease_of(KEY) is None


def test_a_finished_fetcher_is_a_provider() -> None:
    home = home_of(FIRST)
    terms = running(home)
    home.release(ANN.id, Release(KEY, terms.token, DONE, holding_of(KEY)), now=1)
    assert replies(home.claim(2, BOB.id, a_claim(BOB), now=1))[2].holders[0].node == ANN.id


def test_what_a_fetcher_holds_of_another_key_is_not_taken_from_its_release() -> None:
    home = home_of(FIRST)
    terms = running(home)
    home.release(ANN.id, Release(KEY, terms.token, DONE, holding_of(bytes(16))), now=1)
    assert home._holdings.table.statistics().entries == 0


@pytest.mark.parametrize("how", ["another's token", "by another", "unknown key"])
def test_only_its_fetcher_releases_a_lease(how: str) -> None:
    home = home_of(FIRST)
    terms = running(home)
    peer = BOB.id if how == "by another" else ANN.id
    token = b"x" * 16 if how == "another's token" else terms.token
    key = b"k" * 16 if how == "unknown key" else KEY
    home.release(peer, Release(key, token, DONE, holding_of(key)), now=1)
    assert home.lease_of(KEY) is not None
    assert home._holdings.table.statistics().entries == 0


def test_who_leaves_is_not_held_a_failure() -> None:
    home = home_of(FIRST, [FIRST])
    terms = running(home)
    home.release(ANN.id, Release(KEY, terms.token, LEFT), now=1)
    assert isinstance(replies(home.claim(2, ANN.id, a_claim(ANN), now=2))[2], Grant)


def test_a_fetcher_whose_release_was_not_heard_gets_another_lease_when_it_says_so() -> None:
    home = home_of(FIRST, [FIRST])
    old = running(home)
    assert replies(home.claim(2, ANN.id, a_claim(ANN), now=1))[2] == Grant(old)
    new = replies(home.claim(3, ANN.id, a_claim(ANN, stalled=old.token), now=1))[3].terms
    assert new.token != old.token
    assert home.renew(ANN.id, renew(old), now=1.1) == []
    assert replies(home.claim(4, BOB.id, a_claim(BOB), now=1.2))[4].growing.token == new.token


def test_no_director_but_a_home_gives_up_a_lease_for_its_fetcher() -> None:
    home = home_of(FIRST, [FIRST, SECOND, THIRD, FAY])
    terms = running(home)
    for_ann = a_claim(ANN, claimant=ANN.id, stalled=terms.token)
    assert replies(home.claim(2, FAY.id, for_ann, now=1)) == {2: Grant(terms)}
    assert home.lease_of(KEY).terms == terms  # type: ignore[union-attr]
    assert asks(home.claim(3, SECOND.id, for_ann, now=1))


def test_a_complaint_that_is_repeated_counts_though_the_line_is_slow() -> None:
    home = home_of(FIRST, [FIRST], is_line_slow=lambda *, now: True)
    terms = advancing(home, now=2)
    assert all(answer.limited for answer in complain(home, terms, now=3).values())
    assert any(isinstance(answer, Grant) for answer in complain(home, terms, now=3.2).values())


def test_who_says_fewer_bytes_and_more_again_does_not_advance() -> None:
    home = home_of(FIRST, [FIRST], is_line_slow=lambda *, now: True)
    terms = advancing(home, now=2)
    for second in range(3, 11):
        home.renew(ANN.id, renew(terms, received=second % 2 * 9000), now=second)
    assert any(isinstance(answer, Grant) for answer in complain(home, terms, now=10).values())


def test_nobody_else_gets_a_lease_anew_by_naming_its_token() -> None:
    home = home_of(FIRST, [FIRST])
    terms = running(home)
    assert isinstance(replies(home.claim(2, BOB.id, a_claim(BOB, stalled=terms.token), now=1))[2], Wait)


def test_a_lease_that_its_fetcher_gave_up_is_no_objection_to_its_next_and_no_failure() -> None:
    home = home_of(SECOND)
    terms = terms_by(THIRD)
    home.renew(ANN.id, renew(terms), now=0)
    assert replies(home.intend(1, FIRST.id, intends(FIRST, ANN, instead_of=terms.token), now=1)) == {1: NOTHING}
    assert home.renew(ANN.id, renew(terms), now=1.1) == []
    lease = home.lease_of(KEY)
    assert lease is not None
    assert lease.terms.token == bytes(range(16))
    assert not home._cases.excluded.excludes(ANN.id, now=1.1)


# Renewals.


def test_a_home_adopts_a_lease_that_another_granted() -> None:
    terms = terms_by(FIRST)
    new = home_of(THIRD)
    new.renew(ANN.id, renew(terms, received=9), now=50)
    claim = a_claim(BOB, avoid=(FIRST.id, SECOND.id))
    waiting = replies(new.claim(1, BOB.id, claim, now=51))[1]
    assert waiting == Wait(Growing(ANN.id, terms.token, 9), False, ANN.record)


@pytest.mark.parametrize("how", ["forged", "of another fetcher", "of another key", "by a stranger"])
def test_a_token_that_no_home_gave_to_its_bearer_is_worth_nothing(how: str) -> None:
    home = home_of(FIRST)
    terms, key = terms_by(SECOND), KEY
    if how == "forged":
        terms = changed(terms, proof=bytes(64))
    elif how == "of another key":
        key = b"k" * 16
    elif how == "by a stranger":
        terms = grant_terms(FAY.key, KEY, ANN.id, bytes(16))
    peer = BOB if how == "of another fetcher" else ANN
    home.renew(peer.id, Renew(key, terms, 5, False, peer.record), now=0)
    assert home.lease_of(key) is None
    assert home.statistics().forged == 1


def test_nobody_keeps_another_s_lease_alive() -> None:
    home = home_of(FIRST, [FIRST])
    terms = running(home)
    home.renew(BOB.id, renew(terms, BOB), now=9)
    home.handle_timer(now=10)
    assert home.lease_of(KEY) is None


def test_a_renewal_with_another_s_record_is_refused() -> None:
    home = home_of(FIRST)
    terms = granted(home)
    with pytest.raises(MalformedData):
        home.renew(ANN.id, renew(terms, BOB), now=0)


def test_a_failed_fetcher_that_comes_back_is_told_that_nobody_waits() -> None:
    home = home_of(FIRST, [FIRST])
    terms = running(home)
    home.handle_timer(now=10)
    assert told(home.renew(ANN.id, renew(terms), now=11)) == {ANN.id: Stop(KEY, terms.token, None, None)}


@pytest.mark.parametrize(
    ("anns", "bobs", "loser"), [(10, 20, ANN), (20, 10, BOB), (10, 10, max(ANN, BOB, key=lambda m: m.id))]
)
def test_of_two_fetchers_the_one_with_fewer_bytes_or_the_higher_id_is_stopped(
    anns: int, bobs: int, loser: Member
) -> None:
    home = home_of(FIRST)
    running(home, ANN, received=anns)
    theirs = terms_by(SECOND, BOB)
    stop = told(home.renew(BOB.id, renew(theirs, BOB, received=bobs), now=1))
    winner = BOB if loser is ANN else ANN
    message = stop[loser.id]
    assert isinstance(message, Stop)
    assert message.instead is not None
    assert message.instead.fetcher == winner.id
    assert message.record == winner.record
    assert replies(home.claim(9, EVE.id, a_claim(EVE), now=1))[9].growing.fetcher == winner.id


def two_fetchers(*, at: float) -> tuple[LeaseHome, Terms, Terms]:
    """Ann has more bytes, was heard of at 0, and Bob says `at` that he fetches too."""
    home = home_of(FIRST)
    anns, bobs = running(home, ANN, received=20), terms_by(SECOND, BOB)
    assert home.renew(BOB.id, renew(bobs, BOB, received=10), now=at) == []
    return home, anns, bobs


def test_no_fetcher_is_stopped_for_one_that_was_not_heard_of_just_now() -> None:
    home, anns, bobs = two_fetchers(at=1.5)
    assert replies(home.claim(9, EVE.id, a_claim(EVE), now=1.5))[9].growing.token == anns.token
    assert told(home.renew(ANN.id, renew(anns, received=30), now=2)).keys() == {BOB.id}
    assert home.renew(ANN.id, renew(anns, received=40), now=4) == []
    assert home.renew(BOB.id, renew(bobs, BOB, received=10), now=5.5) == []


def test_a_fetcher_that_is_not_heard_of_any_more_leaves_the_lease_to_the_other() -> None:
    home, _, bobs = two_fetchers(at=1.5)
    assert home.renew(BOB.id, renew(bobs, BOB, received=15), now=3.5) == []
    assert home.renew(BOB.id, renew(bobs, BOB, received=16), now=5.5) == []
    assert replies(home.claim(9, EVE.id, a_claim(EVE), now=3.5))[9].growing.token == bobs.token


def test_a_second_fetcher_that_is_done_is_none_any_more() -> None:
    home, anns, bobs = two_fetchers(at=1.5)
    home.release(BOB.id, Release(KEY, bobs.token, FAILED), now=1.6)
    assert home.renew(ANN.id, renew(anns, received=30), now=2) == []


@pytest.mark.parametrize("how", ["released", "complained about"])
def test_when_a_lease_ends_the_second_fetcher_has_it(how: str) -> None:
    home, anns, bobs = two_fetchers(at=1.5)
    if how == "released":
        home.release(ANN.id, Release(KEY, anns.token, LEFT), now=2)
        answers = replies(home.claim(9, EVE.id, a_claim(EVE), now=2))
    else:
        answers = replies(home.claim(9, EVE.id, a_claim(EVE, stalled=anns.token), now=3))
    assert answers[9].growing.token == bobs.token


def test_only_the_best_home_stops_fetchers() -> None:
    home = home_of(SECOND)
    home.renew(ANN.id, renew(granted(home_of(FIRST))), now=0)
    theirs = terms_by(THIRD, BOB)
    assert home.renew(BOB.id, renew(theirs, BOB, received=999), now=1) == []
    lease = home.lease_of(KEY)
    assert lease is not None
    assert lease.terms.fetcher == ANN.id


def test_the_same_fetcher_under_two_tokens_is_one_fetcher() -> None:
    home = home_of(FIRST)
    running(home)
    assert home.renew(ANN.id, renew(terms_by(SECOND)), now=1) == []


def test_a_fetcher_at_work_goes_before_one_that_is_only_intended() -> None:
    home = home_of(FIRST)
    actions = home.claim(1, ANN.id, a_claim(ANN), now=0)
    theirs = terms_by(SECOND, BOB)
    late = home.renew(BOB.id, renew(theirs, BOB), now=0.05)
    assert replies(late)[1].growing.fetcher == BOB.id
    assert home.answered(asks(actions)[0].ask, NOTHING, now=0.06) == []


# What other homes intend.


def intends(home: Member, fetcher: Member, instead_of: bytes | None = None) -> Intend:
    terms = grant_terms(home.key, KEY, fetcher.id, bytes(range(16)))
    return Intend(KEY, terms, fetcher.record, instead_of)


def test_what_another_home_intends_is_remembered() -> None:
    home = home_of(THIRD)
    assert replies(home.intend(1, FIRST.id, intends(FIRST, ANN), now=0)) == {1: NOTHING}
    claim = a_claim(BOB, avoid=(FIRST.id, SECOND.id))
    assert replies(home.claim(2, BOB.id, claim, now=0))[2].growing.fetcher == ANN.id


def test_the_fetcher_that_another_home_intends_is_granted_the_same_lease_here() -> None:
    home, intend = home_of(SECOND), intends(FIRST, ANN)
    home.intend(1, FIRST.id, intend, now=0)
    again = home.claim(2, ANN.id, a_claim(ANN, avoid=(FIRST.id,)), now=1)
    assert replies(again) == {2: Grant(intend.terms)}


def test_of_two_homes_that_intend_at_once_the_better_goes_ahead_in_the_eyes_of_all() -> None:
    first, second, third = home_of(FIRST), home_of(SECOND), home_of(THIRD)
    to_others = {ask.node: ask for ask in asks(first.claim(1, ANN.id, a_claim(ANN), now=0))}
    avoiding = a_claim(BOB, avoid=(FIRST.id,))
    from_second = {ask.node: ask for ask in asks(second.claim(1, BOB.id, avoiding, now=0))}
    # The third hears of the second first.
    word = replies(third.intend(5, SECOND.id, from_second[THIRD.id].message, now=0))[5]
    assert word == NOTHING
    assert replies(third.intend(6, FIRST.id, to_others[THIRD.id].message, now=0))[6] == NOTHING
    assert replies(first.intend(7, SECOND.id, from_second[FIRST.id].message, now=0))[7].terms.fetcher == ANN.id
    overtaken = replies(second.intend(8, FIRST.id, to_others[SECOND.id].message, now=0))
    assert overtaken[8] == NOTHING
    assert overtaken[1].growing.fetcher == ANN.id
    for ask in to_others.values():
        actions = first.answered(ask.ask, NOTHING, now=0)
    assert isinstance(replies(actions)[1], Grant)


def test_what_a_home_has_granted_stands_against_the_intention_of_a_better_one() -> None:
    first, second = home_of(FIRST), home_of(SECOND)
    to_second = next(ask for ask in asks(first.claim(1, ANN.id, a_claim(ANN), now=0)) if ask.node == SECOND.id)
    avoiding = a_claim(BOB, avoid=(FIRST.id,))  # so the first home's word is not heeded
    actions = second.claim(1, BOB.id, avoiding, now=0)
    for ask in asks(actions):
        actions += second.answered(ask.ask, NOTHING, now=0)
    granted_there = replies(actions)[1]
    assert isinstance(granted_there, Grant)
    word = replies(second.intend(2, FIRST.id, to_second.message, now=0))[2]
    assert word.terms == granted_there.terms
    assert replies(first.answered(to_second.ask, word, now=0))[1].growing.fetcher == BOB.id


def test_a_lease_that_was_released_is_no_objection_by_a_home_that_was_not_told_yet() -> None:
    home = home_of(FIRST, [FIRST, SECOND])
    terms = granted(home)
    home.renew(ANN.id, renew(terms), now=0)
    home.release(ANN.id, Release(KEY, terms.token, LEFT), now=1)
    (one,) = asks(home.claim(2, BOB.id, a_claim(BOB), now=1))
    assert isinstance(replies(home.answered(one.ask, Intended(terms, (), ()), now=1))[2], Grant)


def test_a_renewal_that_comes_after_the_release_revives_no_lease() -> None:
    home = home_of(FIRST, [FIRST])
    terms = running(home)
    home.release(ANN.id, Release(KEY, terms.token, LEFT), now=1)
    assert home.renew(ANN.id, renew(terms), now=1) == []
    assert home.lease_of(KEY) is None


def test_a_lease_at_work_is_told_to_a_better_home_that_does_not_know_it() -> None:
    home = home_of(SECOND)
    terms = terms_by(THIRD)
    home.renew(ANN.id, renew(terms), now=0)
    assert replies(home.intend(1, FIRST.id, intends(FIRST, BOB), now=1))[1] == Intended(terms, (), (ANN.record,))


def test_a_home_that_saw_the_lease_fail_is_believed() -> None:
    home = home_of(SECOND)
    terms = granted(home_of(FIRST))
    home.renew(ANN.id, renew(terms), now=0)
    assert replies(home.intend(1, FIRST.id, intends(FIRST, BOB, terms.token), now=1))[1] == NOTHING
    assert told(home.renew(ANN.id, renew(terms), now=2))[ANN.id] == Stop(KEY, terms.token, None, None)


def test_a_director_that_is_no_home_of_the_key_ends_no_lease() -> None:
    everyone = [FIRST, SECOND, THIRD, FAY]
    home = home_of(FIRST, everyone)
    terms = granted(home_of(FIRST))
    home.renew(ANN.id, renew(terms), now=0)
    assert replies(home.intend(1, FAY.id, intends(FAY, BOB, terms.token), now=1))[1].terms == terms


@pytest.mark.parametrize("how", ["in another's name", "by a stranger", "unsigned", "another's record"])
def test_an_intention_by_nobody_who_may_grant_is_refused(how: str) -> None:
    home, intend, peer = home_of(SECOND), intends(FIRST, ANN), FIRST.id
    if how == "in another's name":
        peer = THIRD.id
    elif how == "by a stranger":
        intend, peer = intends(FAY, ANN), FAY.id
    elif how == "unsigned":
        intend = changed(intend, terms=changed(intend.terms, proof=bytes(64)))
    else:
        intend = changed(intend, record=BOB.record)
    assert of(Refuse, home.intend(1, peer, intend, now=0))
    assert home.lease_of(KEY) is None


def test_who_holds_it_is_told_to_a_home_that_is_about_to_grant() -> None:
    home = home_of(SECOND)
    home._holdings.intake.receive(BOB.id, Advert(bytes(8), 0, True, BOB.record, (holding_of(KEY),), ()), now=0)
    word = replies(home.intend(1, FIRST.id, intends(FIRST, ANN), now=0))[1]
    assert [holder.node for holder in word.holders] == [BOB.id]
    assert word.records == (BOB.record,)


# Passing on.


def test_a_claim_is_passed_on_once_to_a_better_home() -> None:
    home = home_of(SECOND)
    (ask,) = asks(home.claim(1, ANN.id, a_claim(ANN), now=0))
    assert (ask.node, ask.message.claimant) == (FIRST.id, ANN.id)
    answer = Wait(Growing(BOB.id, bytes(16), 0), False, None)
    assert replies(home.answered(ask.ask, answer, now=0)) == {1: answer}
    passed = home_of(THIRD).claim(1, SECOND.id, changed(a_claim(ANN), claimant=ANN.id), now=0)
    assert all(isinstance(one.message, Intend) for one in asks(passed))


@pytest.mark.parametrize("how", ["silent", "nonsense"])
def test_when_the_better_home_is_no_help_the_asked_one_decides(how: str) -> None:
    home = home_of(SECOND)
    (ask,) = asks(home.claim(1, ANN.id, a_claim(ANN), now=0))
    actions = home.unanswered(ask.ask, now=0.5) if how == "silent" else home.answered(ask.ask, NOTHING, now=0)
    for one in asks(actions):
        actions += home.answered(one.ask, NOTHING, now=0.5)
    assert isinstance(replies(actions)[1], Grant)


def test_the_better_home_that_was_slow_is_heeded_when_the_asked_one_decides() -> None:
    home = home_of(SECOND)
    (passed,) = asks(home.claim(1, BOB.id, a_claim(BOB), now=0))
    by_home = {ask.node: ask for ask in asks(home.unanswered(passed.ask, now=0.5))}
    theirs = grant_terms(FIRST.key, KEY, ANN.id, bytes(16))
    word = Intended(theirs, (), (ANN.record,))
    assert replies(home.answered(by_home[FIRST.id].ask, word, now=0.5))[1].growing.fetcher == ANN.id


def test_only_directors_claim_for_others() -> None:
    home = home_of(FIRST)
    forged = changed(a_claim(ANN), claimant=ANN.id)
    assert of(Refuse, home.claim(1, FAY.id, forged, now=0))
    assert asks(home.claim(2, SECOND.id, forged, now=0))


def test_a_claim_with_another_s_record_or_for_no_module_is_refused() -> None:
    home = home_of(FIRST)
    assert of(Refuse, home.claim(1, BOB.id, a_claim(ANN), now=0))
    nothing = changed(a_claim(ANN), module="example.com")
    assert of(Refuse, home.claim(2, ANN.id, nothing, now=0))
    assert home.statistics().cases == 0


def heeding_none(home: LeaseHome, who: Member = ANN, *, call: int = 1, now: float = 0.0) -> list[Any]:
    """A claim by one that avoids all homes of the key, at one that is none."""
    return home.claim(call, who.id, a_claim(who, avoid=(FIRST.id, SECOND.id, THIRD.id)), now=now)


def test_who_heeds_no_home_of_the_key_gets_no_lease_from_others_while_one_is_reached() -> None:
    home = home_of(FAY, [FIRST, SECOND, THIRD, FAY])
    probes = asks(heeding_none(home))
    assert {(ask.node, type(ask.message)) for ask in probes} == {(one.id, Lookup) for one in (FIRST, SECOND, THIRD)}
    assert home.unanswered(probes[0].ask, now=0.1) == []
    assert replies(home.answered(probes[1].ask, Found((), ()), now=0.1)) == {1: Alone(0)}
    assert home.lease_of(KEY) is None


def test_one_answer_is_enough_for_all_who_heed_no_home() -> None:
    home = home_of(FAY, [FIRST, SECOND, THIRD, FAY])
    probes = asks(heeding_none(home))
    assert heeding_none(home, BOB, call=2) == []
    assert replies(home.answered(probes[0].ask, Found((), ()), now=0.1)) == {1: Alone(0), 2: Alone(0)}


@pytest.mark.parametrize("how", ["refused", "silence"])
def test_where_no_home_of_the_key_is_reached_another_director_does_what_they_would(how: str) -> None:
    """A network was cut in two: all who are on this side come here, and one of them fetches."""
    home = home_of(FAY, [FIRST, SECOND, THIRD, FAY])
    probes = asks(heeding_none(home))
    assert heeding_none(home, BOB, call=2) == []
    if how == "refused":
        actions = [action for ask in probes for action in home.unanswered(ask.ask, now=0.1)]
    else:
        actions = home.handle_timer(now=0.25)
    for ask in asks(actions):
        assert isinstance(ask.message, Intend)
        actions = home.unanswered(ask.ask, now=0.3)
    answers = replies(actions)
    assert answers[1].terms.fetcher == answers[2].growing.fetcher == ANN.id


# Complaints.


def test_a_fetcher_that_missed_its_renewal_is_given_up_at_the_first_complaint() -> None:
    home = home_of(FIRST, [FIRST])
    terms = running(home)
    actions = home.claim(2, BOB.id, a_claim(BOB, stalled=terms.token), now=3)
    assert isinstance(replies(actions)[2], Grant)


def test_the_other_homes_are_told_which_lease_failed() -> None:
    home = home_of(FIRST)
    terms = running(home)
    actions = home.claim(2, BOB.id, a_claim(BOB, stalled=terms.token), now=3)
    assert [ask.message.instead_of for ask in asks(actions)] == [terms.token] * 2


def test_a_fetcher_at_work_is_confirmed() -> None:
    home = home_of(FIRST, [FIRST])
    terms = running(home)
    home.renew(ANN.id, renew(terms, limited=True), now=2)
    answer = replies(home.claim(2, BOB.id, a_claim(BOB, stalled=terms.token), now=3))[2]
    assert answer.growing.token == terms.token
    assert answer.limited


def test_a_fetcher_that_gives_nothing_to_those_who_wait_is_replaced_by_the_ablest() -> None:
    home = home_of(FIRST, [FIRST])
    terms = running(home)
    for call, who in ((2, BOB), (3, EVE), (4, DAN), (5, FAY)):
        home.claim(call, who.id, a_claim(who), now=0)
    home.renew(ANN.id, renew(terms), now=8)
    old, recent = Ability(ORIGIN, ABLE.flags, 1), Ability(PROXY, ABLE.flags, 1)
    assert home.claim(6, BOB.id, a_claim(BOB, old, stalled=terms.token, urgent=True), now=8) == []
    answers = replies(home.claim(7, EVE.id, a_claim(EVE, recent, stalled=terms.token, urgent=True), now=8.1))
    assert isinstance(answers[7], Grant)
    assert answers[6].growing.fetcher == EVE.id
    assert told(home.renew(ANN.id, renew(terms), now=9))  # its lease is over


def advancing(home: LeaseHome, *, now: float) -> Terms:
    """Ann fetches, and has told of more bytes just now."""
    terms = running(home, now=now - 2)
    for call, who in ((2, BOB), (3, EVE)):
        home.claim(call, who.id, a_claim(who), now=now - 2)
    home.renew(ANN.id, renew(terms, received=9000), now=now)
    return terms


def complain(home: LeaseHome, terms: Terms, *, now: float) -> dict[int, Any]:
    """Two of two who wait do."""
    actions = []
    for call, who in ((4, BOB), (5, EVE)):
        actions += home.claim(call, who.id, a_claim(who, stalled=terms.token, urgent=True), now=now)
    return replies(actions)


def test_a_home_that_knows_its_line_as_slow_replaces_no_fetcher_that_advances() -> None:
    home = home_of(FIRST, [FIRST], is_line_slow=lambda *, now: True)
    answers = complain(home, advancing(home, now=2), now=3)
    assert [(answer.growing.fetcher, answer.limited) for answer in answers.values()] == [(ANN.id, True)] * 2


def test_it_replaces_one_that_does_not_advance() -> None:
    home = home_of(FIRST, [FIRST], is_line_slow=lambda *, now: True)
    terms = advancing(home, now=2)
    for second in range(3, 10, 2):
        home.renew(ANN.id, renew(terms, received=9000), now=second)
    assert any(isinstance(answer, Grant) for answer in complain(home, terms, now=9).values())


def test_a_second_fetcher_as_slow_as_the_first_is_not_replaced() -> None:
    home = home_of(FIRST, [FIRST])
    answers = complain(home, advancing(home, now=2), now=3)
    granted = [answer.terms for answer in answers.values() if isinstance(answer, Grant)]
    (terms,) = granted
    who, other = (BOB, EVE) if terms.fetcher == BOB.id else (EVE, BOB)
    home.renew(who.id, renew(terms, who, received=1), now=4)
    again = home.claim(6, other.id, a_claim(other, stalled=terms.token, urgent=True), now=5)
    assert replies(again)[6].limited


def test_a_fetcher_that_was_only_slow_may_fetch_other_zips() -> None:
    home = home_of(FIRST, [FIRST])
    complain(home, advancing(home, now=2), now=3)
    other = changed(a_claim(ANN), module="example.com/other@v1.0.0")
    assert isinstance(replies(home.claim(6, ANN.id, other, now=3))[6], Grant)


def test_one_who_complains_alone_has_to_help_itself() -> None:
    home = home_of(FIRST, [FIRST])
    terms = running(home, now=7)
    urgent = a_claim(BOB, stalled=terms.token, urgent=True)
    assert home.claim(2, BOB.id, urgent, now=8) == []
    assert home.claim(3, BOB.id, urgent, now=8.1) == []  # saying it twice proves nothing more
    answers = replies(home.handle_timer(now=8.5))
    assert answers[2].growing.token == answers[3].growing.token == terms.token


def test_a_few_cannot_end_a_lease_that_many_wait_for() -> None:
    home = home_of(FIRST, [FIRST])
    terms = running(home, now=7)
    lease = home.lease_of(KEY)
    assert lease is not None
    lease.waiters |= {f"waiter {n}" for n in range(200)}
    for call, who in ((2, BOB), (3, EVE), (4, DAN)):
        assert home.claim(call, who.id, a_claim(who, stalled=terms.token, urgent=True), now=8) == []
    assert len(replies(home.handle_timer(now=8.5))) == 3
    assert home.lease_of(KEY) is lease


def test_complaints_are_answered_when_the_lease_ends() -> None:
    home = home_of(FIRST, [FIRST])
    terms = running(home, now=7)
    home.claim(2, BOB.id, a_claim(BOB, stalled=terms.token, urgent=True), now=8)
    actions = home.release(ANN.id, Release(KEY, terms.token, DONE, holding_of(KEY)), now=8.1)
    assert isinstance(replies(actions)[2], Providers)


# Lookups, bounds, sleep.


def test_a_lookup_names_holders_and_who_fetches() -> None:
    home = home_of(FIRST)
    running(home, received=5)
    other = key_of("example.com/other@v1.0.0")
    home._holdings.intake.receive(BOB.id, Advert(bytes(8), 0, True, BOB.record, (holding_of(other),), ()), now=0)
    found = replies(home.lookup(1, Lookup((MODULE, "example.com/other@v1.0.0", "a@v1")), now=1))[1]
    growing, held, nothing = found.locations
    assert growing.growing.fetcher == ANN.id
    assert held.holders[0].node == BOB.id
    assert (nothing.holders, nothing.growing) == ((), None)
    assert set(found.records) == {ANN.record, BOB.record}


def test_a_lookup_of_no_module_is_refused() -> None:
    assert of(Refuse, home_of(FIRST).lookup(1, Lookup(("nonsense",)), now=0))


def test_a_lease_that_ran_out_is_not_found() -> None:
    home = home_of(FIRST)
    running(home)
    assert replies(home.lookup(1, Lookup((MODULE,)), now=10))[1].locations[0].growing is None


def test_too_many_keys_and_everybody_is_on_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cases, "MAX_CASES", 3)
    home = home_of(FIRST, [FIRST])
    kinds = []
    for n in range(5):
        claim = changed(a_claim(ANN), module=f"a.com/m{n}@v1")
        kinds.append(type(replies(home.claim(n, ANN.id, claim, now=0))[n]))
    assert kinds == [Grant] * 3 + [Alone] * 2
    assert home.statistics().cases == 3
    stranger = Intend(b"z" * 16, grant_terms(FIRST.key, b"z" * 16, ANN.id, bytes(16)), ANN.record)
    assert replies(home.intend(9, FIRST.id, stranger, now=0)) == {9: NOTHING}
    assert home.renew(ANN.id, Renew(b"z" * 16, stranger.terms, 0, False, ANN.record), now=0) == []
    home.release(ANN.id, Release(b"z" * 16, bytes(16), DONE), now=0)
    assert home.statistics().cases == 3


def test_too_many_claims_of_one_key_and_the_rest_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2pmods.directory.home.MAX_PARKED", 2)
    home = home_of(FIRST)
    home.claim(1, ANN.id, a_claim(ANN), now=0)
    answers: dict[int, object] = {}
    for call in range(2, 6):
        answers |= replies(home.claim(call, BOB.id, a_claim(BOB), now=0))
    assert answers == {4: Alone(0), 5: Alone(0)}


def test_a_key_that_is_done_with_leaves_nothing_behind() -> None:
    home = home_of(FIRST, [FIRST])
    terms = running(home)
    home.release(ANN.id, Release(KEY, terms.token, DONE), now=1)
    while (at := home.next_timer()) < math.inf:
        home.handle_timer(now=at)
    assert home.statistics().cases == 0


def test_after_sleep_a_home_knows_nothing_and_owes_no_answer() -> None:
    home = home_of(FIRST)
    started = asks(home.claim(1, ANN.id, a_claim(ANN), now=0))
    home.claim(2, BOB.id, a_claim(BOB), now=0)
    assert {refuse.call for refuse in of(Refuse, home.wake())} == {1, 2}
    assert home.statistics().cases == 0
    assert home.next_timer() == math.inf
    assert home.answered(started[0].ask, NOTHING, now=9) == []


def test_after_sleep_a_claim_that_was_passed_on_is_refused() -> None:
    home = home_of(SECOND)
    home.claim(1, ANN.id, a_claim(ANN), now=0)
    assert [refuse.call for refuse in of(Refuse, home.wake())] == [1]
