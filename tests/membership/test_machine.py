"""One machine alone, and every datagram of it in the hand."""

from __future__ import annotations

import math
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from p2pmods.errors import MalformedData
from p2pmods.identity.key import node_id, public_bytes
from p2pmods.identity.records import DIRECTOR, Endpoint, NodeRecord, sign_record
from p2pmods.membership.accusations import accuse
from p2pmods.membership.actions import AskByLink, MeetByLink, ProbeByLink
from p2pmods.membership.contacts import MAX_CONTACTS
from p2pmods.membership.machine import Membership
from p2pmods.membership.messages import (
    MAX_NEWS,
    Ack,
    BucketContents,
    Gossip,
    Missing,
    News,
    Ping,
    ProbeReport,
    ProbeRequest,
    TableDigests,
)
from p2pmods.membership.own import CLONE_WINDOW, Own
from p2pmods.membership.rumours import NewsPaper, Rumours
from p2pmods.membership.suspicion import Suspicion
from p2pmods.membership.timers import Timers
from p2pmods.wire.codec import decode, encode
from p2pmods.wire.seal import seal, unseal
from tests.membership.attacker import key_number, record_of

if TYPE_CHECKING:
    from p2pmods.membership.actions import Address

SECRET = bytes(32)
BOB, EVE, KIM = key_number(1), key_number(2), key_number(3)
PLACES = {public_bytes(key): (f"192.0.2.{i}", 6666) for i, key in enumerate((BOB, EVE, KIM), start=1)}


class Alone:
    """Ann, director, who knows bob, eve and kim."""

    def __init__(self) -> None:
        self.now = 0.0
        self.key = key_number(0)
        self.public = public_bytes(self.key)
        self.ann = Membership(self.key, SECRET, Random(1), now=0.0, hearsay_only=False)
        self.ann.set_own_record((Endpoint("192.0.2.100", 7000),), DIRECTOR, now=0.0)
        for key in (BOB, EVE, KIM):
            place = PLACES[public_bytes(key)]
            self.hear(Gossip(News((record_of(key, place[0]).raw,))), place)
        self.sent()

    def hear(self, message: object, sender: Address) -> None:
        self.ann.receive_datagram(seal(SECRET, encode(message), bytes(12)), sender, now=self.now)

    def sent(self) -> list[tuple[Any, Address]]:
        """Messages and where they went, since the last look."""
        return [(decode(unseal(SECRET, d.data)), d.to) for d in self.ann.datagrams_to_send(now=self.now)]

    def until(self, kind: type) -> tuple[Any, Address]:
        """The next message of a kind, whenever it is sent."""
        for _ in range(200):
            for message, to in self.sent():
                if isinstance(message, kind):
                    return message, to
            self.now = self.ann.next_timer()
            self.ann.handle_timer(now=self.now)
        raise AssertionError(f"no {kind.__name__}")


def ack(ping: Ping, sender: bytes) -> Ack:
    return Ack(ping.nonce, sender, ping.digest, News())


def test_a_probe_is_over_when_its_target_answers_and_not_when_another_does() -> None:
    alone = Alone()
    ping, to = alone.until(Ping)
    assert PLACES[ping.target] == to
    other = next(node for node in PLACES if node != ping.target)
    alone.hear(ack(ping, other), to)
    request, _ = alone.until(ProbeRequest)
    assert request.target == ping.target
    alone.hear(ack(ping, ping.target), to)
    assert alone.ann.statistics().failed_probes == 0
    alone.until(Ping)
    assert alone.ann.statistics().failed_probes == 0


def test_a_probe_that_nobody_answers_goes_three_ways_round_and_fails_after_its_second() -> None:
    alone = Alone()
    ping, _ = alone.until(Ping)
    began = alone.now
    alone.until(ProbeRequest)
    assert alone.now - began == pytest.approx(0.5)
    assert [a.ping for a in alone.ann.actions() if isinstance(a, ProbeByLink)] == [ping]
    while not alone.ann.statistics().failed_probes:
        alone.now = alone.ann.next_timer()
        alone.ann.handle_timer(now=alone.now)
    assert alone.now - began == pytest.approx(1)
    assert alone.ann.statistics().suspects == 1
    assert alone.ann.statistics().health == 3  # two relays kept silent


def test_a_report_counts_once_and_only_from_whom_was_asked() -> None:
    alone = Alone()
    alone.until(Ping)
    request, relay = alone.until(ProbeRequest)
    alone.hear(ProbeReport(bytes(8), answered=True), relay)
    for _ in range(3):
        alone.hear(ProbeReport(request.nonce, answered=False), relay)
    while not alone.ann.statistics().failed_probes:
        alone.now = alone.ann.next_timer()
        alone.ann.handle_timer(now=alone.now)
    assert alone.ann.statistics().health == 2


@pytest.mark.parametrize("way", ["relay", "link"])
def test_one_way_round_is_enough(way: str) -> None:
    alone = Alone()
    ping, _ = alone.until(Ping)
    request, relay = alone.until(ProbeRequest)
    if way == "relay":
        alone.hear(ProbeReport(request.nonce, answered=True), relay)
    else:
        [probe] = [action for action in alone.ann.actions() if isinstance(action, ProbeByLink)]
        other = next(node for node in PLACES if node != ping.target)
        alone.ann.link_probe_succeeded(probe.node_id, ack(ping, other), now=alone.now)
        alone.ann.link_probe_succeeded(probe.node_id, ack(ping, ping.target), now=alone.now)
    alone.until(Ping)
    assert alone.ann.statistics().failed_probes == 0


def test_an_ack_over_a_link_is_from_who_is_at_its_other_end() -> None:
    alone = Alone()
    ping, _ = alone.until(Ping)
    alone.until(ProbeRequest)
    alone.ann.link_probe_succeeded(node_id(alone.key), ack(ping, ping.target), now=alone.now)
    alone.now += 0.5
    alone.ann.handle_timer(now=alone.now)
    assert alone.ann.statistics().failed_probes == 1


def test_a_relay_passes_on_the_answer_or_says_after_its_time_that_there_was_none() -> None:
    alone = Alone()
    asker = ("192.0.2.77", 7)
    bob, eve = public_bytes(BOB), public_bytes(EVE)
    alone.hear(ProbeRequest(b"question", bob), asker)
    [(ping, to)] = alone.sent()
    assert (ping.target, to) == (bob, PLACES[bob])
    alone.hear(ack(ping, eve), to)
    assert alone.sent() == []
    alone.hear(ack(ping, bob), to)
    assert alone.sent() == [(ProbeReport(b"question", answered=True), asker)]
    alone.hear(ack(ping, bob), to)
    assert alone.sent() == []
    alone.hear(ProbeRequest(b"another1", bob), asker)
    report, to = alone.until(ProbeReport)
    assert (report, to) == (ProbeReport(b"another1", answered=False), asker)
    alone.hear(ProbeRequest(b"another2", public_bytes(key_number(9))), asker)
    assert (ProbeReport(b"another2", answered=False), asker) in alone.sent()


def test_a_ping_for_another_gets_no_answer() -> None:
    alone = Alone()
    alone.hear(Ping(bytes(8), public_bytes(BOB), public_bytes(EVE), bytes(8), News()), ("192.0.2.1", 6666))
    assert alone.sent() == []


def test_an_old_record_stays_old_and_a_ping_that_introduces_itself_with_one_is_told() -> None:
    alone = Alone()
    bob = public_bytes(BOB)
    newer = record_of(BOB, "192.0.2.1", incarnation=7)
    alone.hear(Gossip(News((newer.raw,))), PLACES[bob])
    while alone.ann.statistics().rumours:
        alone.until(Gossip)
    older = record_of(BOB, "192.0.2.9", incarnation=3)
    ping = Ping(bytes(8), bob, b"", bytes(8), News((older.raw,)), bytes(600))
    alone.hear(ping, PLACES[bob])
    [answer] = [message for message, _ in alone.sent() if isinstance(message, Ack)]
    assert newer.raw in answer.news.records
    assert alone.ann.members()[node_id(BOB)] == newer


def test_addresses_are_tried_five_times_and_by_link_and_only_so_many() -> None:
    alone = Alone()
    alone.ann.join([Endpoint("198.18.0.1", port) for port in range(1, 100)], now=alone.now)
    tries = [to for message, to in alone.sent() if isinstance(message, Ping)]
    assert len(tries) == len(set(tries)) == MAX_CONTACTS
    met = []
    while alone.now < 20:
        alone.now = alone.ann.next_timer()
        alone.ann.handle_timer(now=alone.now)
        tries += [to for _, to in alone.sent() if to[0] == "198.18.0.1"]
        met += [action for action in alone.ann.actions() if isinstance(action, MeetByLink)]
    assert len(tries) == 5 * MAX_CONTACTS
    assert len(met) == MAX_CONTACTS


def test_its_own_address_is_no_contact() -> None:
    alone = Alone()
    alone.ann.join([Endpoint("192.0.2.100", 7000)], now=alone.now)
    assert alone.sent() == []


def test_a_contents_that_was_not_asked_for_is_not_read() -> None:
    alone = Alone()
    new = record_of(key_number(9), "192.0.2.9")
    alone.ann.link_answered(node_id(BOB), BucketContents(1, (new.raw,), ()), now=alone.now)
    alone.ann.link_answered(node_id(EVE), BucketContents(1, (new.raw,), ()), now=alone.now)
    assert node_id(key_number(9)) not in alone.ann.members()


def test_a_leaf_is_silent_and_deaf() -> None:
    leaf = Membership(BOB, SECRET, Random(1), now=0, hearsay_only=True)
    leaf.set_own_record((Endpoint("192.0.2.1", 1),), 0, now=0)
    leaf.join([Endpoint("192.0.2.2", 1)], now=0)
    leaf.met(node_id(EVE), now=0)
    leaf.wake(now=1)
    leaf.leave(now=1)
    ping = Ping(bytes(8), public_bytes(EVE), b"", bytes(8), News((record_of(EVE).raw,)))
    leaf.receive_datagram(seal(SECRET, encode(ping), bytes(12)), ("192.0.2.2", 1), now=2)
    assert leaf.receive_request(node_id(EVE), ping, now=2) is None
    leaf.receive_notice(node_id(EVE), Missing((record_of(EVE).raw,), ()), now=2)
    assert not leaf.datagrams_to_send(now=2)
    assert not leaf.actions()
    assert not leaf.events()
    assert leaf.members() == {}
    assert leaf.next_timer() == math.inf


def test_whom_a_link_leads_to_is_introduced_to_us_unless_it_is_a_member() -> None:
    alone = Alone()
    alone.ann.met(node_id(BOB), now=alone.now)
    assert alone.ann.actions() == []
    alone.ann.met(node_id(key_number(9)), now=alone.now)
    [action] = alone.ann.actions()
    assert isinstance(action, ProbeByLink)
    new = record_of(key_number(9), "192.0.2.9")
    answer = Ack(action.ping.nonce, public_bytes(key_number(9)), bytes(8), News((new.raw,)))
    alone.ann.link_probe_succeeded(action.node_id, answer, now=alone.now)
    assert action.node_id in alone.ann.members()
    with pytest.raises(MalformedData):
        alone.ann.met("nobody", now=alone.now)


def test_the_right_to_say_what_is_missing_is_kept_for_so_many_only() -> None:
    alone = Alone()
    for number in range(100, 170):
        alone.now += 1
        alone.ann.receive_request(node_id(key_number(number)), TableDigests(bytes(512), 0), now=alone.now)
    new = record_of(key_number(9), "192.0.2.9")
    alone.ann.receive_notice(node_id(key_number(100)), Missing((new.raw,), ()), now=alone.now)
    assert node_id(key_number(9)) not in alone.ann.members()
    alone.ann.receive_notice(node_id(key_number(169)), Missing((new.raw,), ()), now=alone.now)
    assert node_id(key_number(9)) in alone.ann.members()


def test_an_unanswered_question_does_not_stop_the_next_for_ever() -> None:
    alone = Alone()
    asked: list[AskByLink] = []
    while alone.now < 90:
        alone.now = alone.ann.next_timer()
        alone.ann.handle_timer(now=alone.now)
        for message, to in alone.sent():
            if isinstance(message, Ping) and message.target:
                alone.hear(Ack(message.nonce, message.target, b"differs!", News()), to)
        asked += [action for action in alone.ann.actions() if isinstance(action, AskByLink)]
    assert 2 <= len(asked) <= 4


def foreign(session: bytes, incarnation: int, flags: int = DIRECTOR) -> Any:
    record = NodeRecord(public_bytes(BOB), session, incarnation, (Endpoint("192.0.2.1", 1),), flags)
    return sign_record(record, BOB)


def test_two_bids_within_a_minute_are_a_clone_and_later_ones_are_not() -> None:
    for pause, is_cloned in ((CLONE_WINDOW - 1, True), (CLONE_WINDOW + 1, False)):
        own = Own(BOB, b"mine....", 0)
        own.publish((Endpoint("192.0.2.1", 1),), DIRECTOR)
        assert own.outbids(foreign(b"other...", 5), 100)
        assert own.refute().record.incarnation == 6
        assert not own.outbids(foreign(b"other...", 5), 101)
        assert own.outbids(foreign(b"other...", 7), 100 + pause)
        assert own.is_cloned is is_cloned


def test_an_equal_bid_and_a_farewell_are_outbid_and_are_no_clone() -> None:
    own = Own(BOB, b"\0mine...", 0)
    own.publish((Endpoint("192.0.2.1", 1),), DIRECTOR)
    assert own.outbids(foreign(b"\xffother..", 1), 1)
    assert own.refute().record.incarnation == 2
    assert own.outbids(foreign(b"\xffother..", 2), 2)
    own.refute()
    assert own.outbids(foreign(b"\xffother..", 9, flags=0), 3)
    assert own.refute().record.incarnation == 10
    assert not own.is_cloned


def test_more_accusers_than_count_are_not_kept() -> None:
    record = record_of(BOB).record
    suspicion = Suspicion(accuse(record, key_number(10)), 0)
    assert [suspicion.confirm(accuse(record, key_number(n))) for n in (10, 11, 12, 13, 14)] == [
        False,
        True,
        True,
        True,
        False,
    ]
    assert suspicion.confirmations == 3


def test_news_fits_its_room_and_its_number() -> None:
    paper = NewsPaper(100)
    assert paper.add(bytes(60))
    assert not paper.add(b"x" * 60)
    assert paper.add(bytes(60))
    assert paper.add(b"y" * 30)
    assert paper.news() == News((bytes(60), b"y" * 30))
    wide = NewsPaper(10_000)
    assert [wide.add(bytes([i])) for i in range(MAX_NEWS + 1)] == [True] * MAX_NEWS + [False]


def test_a_new_record_takes_the_place_of_what_was_said_before() -> None:
    rumours = Rumours()
    old = record_of(BOB)
    rumours.add_record(old)
    rumours.add_accusation(accuse(old.record, EVE))
    assert len(rumours) == 2
    new = record_of(BOB, incarnation=2)
    rumours.add_record(new)
    paper = NewsPaper(1000)
    rumours.tell(paper, 2)
    assert paper.news() == News((new.raw,))
    rumours.tell(NewsPaper(1000), 2)
    assert len(rumours) == 0


def test_news_does_not_cut_a_probe_short() -> None:
    alone = Alone()
    alone.now = 200.0  # idle
    alone.ann.handle_timer(now=alone.now)
    alone.until(Ping)
    began = alone.now
    alone.hear(Gossip(News((record_of(key_number(9), "192.0.2.9").raw,))), ("192.0.2.9", 6666))
    while not alone.ann.statistics().failed_probes:
        alone.now = alone.ann.next_timer()
        alone.ann.handle_timer(now=alone.now)
    assert alone.now - began == pytest.approx(2)  # it was late itself, so it takes twice the time


def test_a_machine_that_is_called_late_waits_once_more_before_it_blames() -> None:
    alone = Alone()
    ping, to = alone.until(Ping)
    alone.now += 60
    alone.ann.handle_timer(now=alone.now)
    alone.hear(ack(ping, ping.target), to)
    assert alone.ann.statistics().suspects == 0
    assert alone.ann.statistics().failed_probes == 0


def test_a_clock_that_goes_back_stops_no_timer() -> None:
    alone = Alone()
    alone.until(Ping)
    due = alone.ann.next_timer() - alone.now
    alone.now -= 1000
    alone.ann.handle_timer(now=alone.now)
    assert alone.ann.next_timer() - alone.now == pytest.approx(due)


def test_old_first_contacts_are_forgotten() -> None:
    alone = Alone()
    alone.ann.join([Endpoint("198.18.0.1", 1)], now=alone.now)
    [(first, to)] = alone.sent()
    for number in range(100, 100 + 2 * MAX_CONTACTS):
        alone.ann.join([Endpoint("198.18.1.1", number)], now=alone.now)
        for message, place in alone.sent():
            if number < 100 + MAX_CONTACTS - 1:
                continue
            alone.hear(ack(message, public_bytes(key_number(number))), place)
    for _ in range(3):
        alone.now += 1.2
        alone.ann.handle_timer(now=alone.now)
        alone.sent()
    key = key_number(9)
    late = Ack(first.nonce, public_bytes(key), bytes(8), News((record_of(key, "198.18.0.1").raw,)))
    alone.hear(late, to)
    assert node_id(key) not in alone.ann.members()


def test_large_records_go_over_in_messages_of_a_bounded_size() -> None:
    alone = Alone()
    places = tuple(Endpoint(f"2001:db8:1111:2222:3333:4444:5555:{i:x}", 60000) for i in range(1, 9))
    for number in range(100, 240):
        key = key_number(number)
        record = NodeRecord(public_bytes(key), bytes(8), 1, places, DIRECTOR)
        alone.now += 0.01
        alone.hear(Gossip(News((sign_record(record, key).raw,))), ("198.18.0.1", 1))
    answer = alone.ann.receive_request(node_id(BOB), TableDigests(bytes(512), 0), now=alone.now)
    assert answer is not None
    assert 16 << 10 < len(encode(answer)) <= 33 << 10


def test_a_stall_in_the_middle_of_a_probe_does_not_keep_the_machine_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    set_timer = Timers.set
    count = 0

    def counted(self: Timers, name: object, when: float) -> None:
        nonlocal count
        count += 1
        assert count < 100
        set_timer(self, name, when)

    monkeypatch.setattr(Timers, "set", counted)
    alone = Alone()
    for stall in (0.0, 2.0, 0.0, 30.0) * 20:
        count = 0
        alone.now = alone.ann.next_timer() + stall
        alone.ann.handle_timer(now=alone.now)
        assert alone.ann.next_timer() > alone.now
