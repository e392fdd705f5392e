"""Lies, floods and bombs, by someone who knows the swarm's secret."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pmods.identity.key import node_id, public_bytes, public_of_id
from p2pmods.identity.records import sign_record
from p2pmods.membership.actions import ClonedIdentity, Died, Suspected
from p2pmods.membership.messages import (
    BUCKETS,
    MAX_HELD,
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
from p2pmods.membership.rumours import MAX_RUMOURS, Rumours
from p2pmods.membership.sources import BURST, CROWD_BURST, CROWD_RATE
from p2pmods.membership.table import MAX_GONE, MAX_MEMBERS, MAX_PER_HOST, Gone, Offer, State, Table
from p2pmods.testing.cluster import Cluster
from p2pmods.wire.codec import MAX_MESSAGE, encode, encode_part
from tests.membership.attacker import HERE, Attacker, key_number, record_of

if TYPE_CHECKING:
    from p2pmods.testing.program import Action

FIVE = ["ann", "bob", "eve", "kim", "max"]


def besieged(*, hearsay_only: bool = True, seed: int = 1) -> tuple[Cluster, Attacker]:
    cluster = Cluster(seed, FIVE, hearsay_only=hearsay_only)
    cluster.settle()
    cluster.run(20)
    return cluster, Attacker(cluster)


def sent(cluster: Cluster) -> int:
    return sum(node.traffic.datagram_bytes_out for node in cluster.network.nodes.values())


def test_a_forged_record_is_believed_by_nobody() -> None:
    cluster, attacker = besieged()
    held = cluster["ann"].members()[cluster.id_of("bob")]
    newer = attrs.evolve(held.record, incarnation=99, flags=0)  # type: ignore[misc]
    forged = msgpack.packb([encode_part(newer), bytes(64)])
    flipped = held.raw[:-1] + bytes([held.raw[-1] ^ 1])
    attacker.tell("ann", forged, flipped, b"", b"\xc0", held.raw[:-1])
    cluster.run(1)
    assert cluster["ann"].members()[cluster.id_of("bob")] == held
    assert cluster["ann"].statistics().malformed == 5


def test_a_forged_suspicion_is_believed_by_nobody() -> None:
    cluster, attacker = besieged(hearsay_only=False)
    honest = attacker.accuse("bob", key=cluster.key("eve"))
    attacker.tell("ann", accusations=(attrs.evolve(honest, signature=bytes(64)),))  # type: ignore[misc]
    kim = public_bytes(cluster.key("kim"))
    attacker.tell("ann", accusations=(attrs.evolve(honest, accuser=kim),))  # type: ignore[misc]
    cluster.run(0.1)
    assert cluster.state(of="bob", at="ann") is State.ALIVE
    assert cluster["ann"].statistics().malformed == 2
    attacker.tell("ann", accusations=(honest,))
    assert cluster.state(of="bob", at="ann") is State.SUSPECT


def test_whoever_is_no_member_suspects_in_vain() -> None:
    cluster, attacker = besieged(hearsay_only=False)
    attacker.tell("ann", accusations=(attacker.accuse("bob"),))
    cluster.run(10)
    assert cluster.events(Suspected) == []


def test_on_a_swarm_of_strangers_hearsay_only_makes_one_look() -> None:
    cluster, attacker = besieged()
    cluster.run(120)
    attacker.tell("ann", accusations=(attacker.accuse("bob", key=cluster.key("eve")),))
    before = cluster["ann"].statistics().probes
    cluster.run(3)
    assert cluster.state(of="bob", at="ann") is State.ALIVE
    assert cluster["ann"].statistics().probes > before
    assert cluster.events(Suspected) == []


def test_what_was_said_of_an_earlier_incarnation_is_refuted_already() -> None:
    cluster, attacker = besieged(hearsay_only=False)
    old = attacker.accuse("bob", key=cluster.key("eve"))
    cluster.announce("bob", flags=1)
    cluster.run(2)
    attacker.tell("ann", accusations=(old,))
    attacker.tell("bob", accusations=(old,))
    cluster.run(1)
    assert cluster.events(Suspected) == []
    assert cluster["bob"].statistics().refutations == 0


def test_nobody_is_killed_by_a_whole_choir_of_accusers() -> None:
    cluster, attacker = besieged()
    for number in range(30):
        attacker.tell("ann", record_of(key_number(number)).raw)
    for _ in range(60):
        accusations = tuple(attacker.accuse("bob", key=key_number(number)) for number in range(4))
        for name in FIVE:
            attacker.tell(name, accusations=accusations)
        cluster.run(0.5)
    assert cluster.events(Died, of="bob") == []
    assert cluster["bob"].statistics().refutations <= 5 + 30 * 0.2 + 1


def test_old_datagrams_sent_again_change_nothing() -> None:
    cluster, attacker = besieged()
    recorded: list[tuple[bytes, tuple[str, int], tuple[str, int]]] = []
    original = cluster.network.inject
    old = cluster["ann"].members()[cluster.id_of("bob")]
    cluster.announce("bob", flags=5)
    cluster.run(5)
    recorded.extend((attacker.seal(encode(Gossip(News((old.raw,))))), a, HERE) for a in [("10.0.0.1", 7000)] * 50)
    for data, to, sender in recorded:
        original(data, to, sender=sender)
    cluster.run(5)
    assert cluster["ann"].members()[cluster.id_of("bob")].record.flags == 5
    assert cluster.is_settled()


def test_an_ack_without_our_nonce_proves_nothing() -> None:
    cluster, attacker = besieged()
    attacker.send("ann", Ack(bytes(8), public_bytes(attacker.key), bytes(8), News((record_of(attacker.key).raw,))))
    attacker.send("ann", ProbeReport(bytes(8), answered=True))
    cluster.run(0.01)
    assert node_id(attacker.key) not in cluster["ann"].members()


def test_an_answer_is_never_larger_than_the_question() -> None:
    cluster, attacker = besieged()
    for number in range(1, 30):  # plenty to tell
        attacker.tell("ann", record_of(key_number(number), f"192.0.2.{number}").raw)
    for padding in (0, 50, 300, 1000):
        before = cluster.network.nodes["ann"].traffic
        datagrams, size = before.datagrams_out, before.datagram_bytes_out
        asked = attacker.ping("ann", padding=bytes(padding))
        after = cluster.network.nodes["ann"].traffic
        assert after.datagrams_out == datagrams + 1
        assert after.datagram_bytes_out - size - 28 <= asked


def test_who_answered_our_ping_gets_full_answers() -> None:
    cluster, attacker = besieged()
    for number in range(1, 30):
        attacker.tell("ann", record_of(key_number(number), f"192.0.2.{number}").raw)
    traffic = cluster.network.nodes["ann"].traffic
    before = traffic.datagram_bytes_out
    asked = attacker.ping("ann", sender=cluster.network.nodes["bob"].address)
    assert traffic.datagram_bytes_out - before > 3 * asked


def test_an_address_that_only_a_record_names_gets_small_pings_and_no_gossip() -> None:
    cluster, attacker = besieged()
    sizes: list[int] = []
    cluster.network.add("victim", lambda now, chance: Listener(sizes), ("192.0.2.66", 6666))
    for number in range(60):
        attacker.tell("ann", record_of(key_number(number)).raw)
    cluster.run(30)
    assert sizes
    assert max(sizes) <= 600  # the dead are asked with their record and the reason why they are held dead
    assert sum(sizes) / 30 < 5 * 400


class Listener:
    """Only hears."""

    def __init__(self, sizes: list[int]) -> None:
        self.sizes = sizes

    def receive_datagram(self, data: bytes, sender: tuple[str, int], *, now: float) -> None:
        self.sizes.append(len(data))

    def receive_request(self, peer: str, data: bytes, call: int, *, now: float) -> None: ...
    def receive_answer(self, call: int, data: bytes | None, *, now: float) -> None: ...
    def receive_notice(self, peer: str, data: bytes, *, now: float) -> None: ...
    def handle_timer(self, *, now: float) -> None: ...
    def wake(self, *, now: float) -> None: ...

    def next_timer(self) -> float:
        return float("inf")

    def outbox(self, *, now: float) -> list[Action]:
        return []


def test_a_flood_from_one_source_is_not_looked_at_and_harms_nobody() -> None:
    cluster, attacker = besieged()
    for _ in range(20):
        for _ in range(300):
            attacker.ping("ann")
        cluster.run(1)
    assert cluster["ann"].statistics().over_rate >= 20 * 300 - BURST - 20 * 101
    assert cluster.events(Died) == cluster.events(Suspected) == []


def test_a_flood_from_many_sources_leaves_room_for_members() -> None:
    cluster, attacker = besieged()
    cluster.run(30)
    for second in range(10):
        for i in range(3000):
            attacker.ping("ann", sender=(f"198.{18 + i % 2}.{i >> 8}.{i & 255}", second))
        cluster.run(1)
    assert cluster["ann"].statistics().over_rate >= 30_000 - CROWD_BURST - 10 * (CROWD_RATE + 100)
    assert cluster.events(Suspected) == []


def test_a_thousand_invented_members_find_the_table_full_and_honest_ones_stay() -> None:
    cluster, attacker = besieged()
    for number in range(1000):
        attacker.tell("ann", record_of(key_number(number), f"198.18.{number >> 8}.{number & 255}").raw)
        if number % 50 == 0:
            cluster.run(0.5)
            assert cluster["ann"].statistics().members <= MAX_MEMBERS + 1
    statistics = cluster["ann"].statistics()
    assert statistics.members == MAX_MEMBERS + 1
    assert statistics.no_room > 400
    assert {cluster.id_of(name) for name in FIVE} <= cluster["ann"].members().keys()


def test_one_host_cannot_be_half_the_swarm() -> None:
    cluster, attacker = besieged()
    for number in range(MAX_PER_HOST + 20):
        attacker.tell("ann", record_of(key_number(number)).raw)
    assert len(cluster["ann"].members()) == len(FIVE) + MAX_PER_HOST
    elsewhere = key_number(5000)
    attacker.tell("ann", record_of(elsewhere, "192.0.2.1").raw)
    attacker.tell("ann", record_of(elsewhere, "192.0.2.66", incarnation=2).raw)
    held = cluster["ann"].members()[node_id(elsewhere)].record
    assert held.endpoints[0].host == "192.0.2.1"


def test_the_table_of_the_gone_has_a_cap_and_the_longest_gone_make_room() -> None:
    table = Table(per_host=None)
    nodes = []
    for number in range(MAX_GONE + 5):
        record = record_of(key_number(number))
        nodes.append(record.record.public_key)
        assert table.offer(record) is Offer.JOINED
        table.bury(nodes[-1], Gone(record))
        assert table.offer(record) is Offer.IGNORED
    assert len(table.gone) == MAX_GONE
    assert list(table.gone) == nodes[5:]
    assert table.digest() == Table(per_host=None).digest()


def test_rumours_have_a_cap_and_the_most_told_make_room() -> None:
    rumours = Rumours()
    for number in range(MAX_RUMOURS + 5):
        rumours.add_record(record_of(key_number(number)))
    assert len(rumours) == MAX_RUMOURS


def test_a_record_of_no_director_or_without_an_address_makes_no_member() -> None:
    table = Table(per_host=None)
    assert table.offer(record_of(key_number(1), flags=0)) is Offer.IGNORED
    nowhere = attrs.evolve(record_of(key_number(1)).record, endpoints=())  # type: ignore[misc]
    assert table.offer(sign_record(nowhere, key_number(1))) is Offer.IGNORED
    assert len(table) == 0


def test_our_own_old_records_sent_again_are_outbid_and_are_no_clone() -> None:
    cluster, attacker = besieged()
    old = cluster["bob"].members()[cluster.id_of("bob")].raw
    cluster.network.crash("bob")
    cluster.network.restart("bob")
    cluster.run(5)
    for _ in range(20):
        for name in FIVE:
            attacker.tell(name, old)
        cluster.run(1)
    assert cluster.is_settled()
    assert cluster.events(ClonedIdentity) == []


def test_probes_for_others_are_counted_and_answered() -> None:
    cluster, attacker = besieged()
    bob = public_of_id(cluster.id_of("bob"))
    traffic = cluster.network.nodes["ann"].traffic
    before = traffic.datagrams_out
    for i in range(150):
        attacker.send("ann", ProbeRequest(i.to_bytes(8), bob))
    assert traffic.datagrams_out - before == 150  # 64 pings to bob, the others refused
    cluster.run(2)
    assert traffic.datagrams_out - before <= 150 + 64 + 20


BOMBS = [
    msgpack.packb([20, *([[]] * 5)]),
    msgpack.packb([20] + [b"x"] * 6),
    b"\xdd\xff\xff\xff\xff",
    b"\x91" * 900,
    msgpack.packb([24, [[bytes(100)] * 9, []]]),
    msgpack.packb([24, [[bytes(641)], []]]),
    msgpack.packb([24, [[], [[bytes(32), bytes(8), -1, bytes(32), bytes(64)]]]]),
    msgpack.packb([22, bytes(8), bytes(31)]),
    encode(TableDigests(bytes(8 * BUCKETS), 0)),
    b"",
]


@pytest.mark.parametrize("bomb", BOMBS, ids=range(len(BOMBS)))
def test_a_bomb_is_nothing(bomb: bytes) -> None:
    cluster, attacker = besieged()
    before = sent(cluster)
    attacker.send_plain("ann", bomb)
    assert sent(cluster) == before
    assert cluster["ann"].statistics().members == 5


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=1100))
def test_any_bytes_at_all_are_survived(plain: bytes) -> None:
    WORN.send_plain("ann", plain)
    WORN.cluster.network.inject(plain, WORN.cluster.network.nodes["ann"].address, sender=HERE)
    WORN.cluster.run(0.1)
    assert WORN.cluster["ann"].statistics().members == 5


WORN = besieged()[1]


def test_a_peer_cannot_tell_over_a_link_what_it_was_not_asked() -> None:
    cluster, attacker = besieged()
    ann, mallory = cluster["ann"], node_id(attacker.key)
    now = cluster.network.clock("ann")
    records = (record_of(attacker.key).raw,)
    ann.receive_notice(mallory, Missing(records, ()), now=now)
    ann.link_answered(mallory, BucketContents(1, records, ()), now=now)
    ann.receive_notice(mallory, Gossip(News(records)), now=now)
    assert mallory not in ann.members()
    assert ann.receive_request(mallory, TableDigests(bytes(8 * BUCKETS), 0), now=now) is not None
    ann.receive_notice(mallory, Missing(records, ()), now=now)
    assert mallory in ann.members()
    more = (record_of(key_number(1)).raw,)
    ann.receive_notice(mallory, Missing(more, ()), now=now)
    assert node_id(key_number(1)) not in ann.members()


def test_a_ping_over_a_link_is_from_who_is_at_its_other_end() -> None:
    cluster, attacker = besieged()
    ann, now = cluster["ann"], cluster.network.clock("ann")
    ping = Ping(bytes(8), public_bytes(attacker.key), b"", bytes(8), News())
    assert ann.receive_request(cluster.id_of("bob"), ping, now=now) is None
    assert isinstance(ann.receive_request(node_id(attacker.key), ping, now=now), Ack)
    for_bob = attrs.evolve(ping, target=public_of_id(cluster.id_of("bob")))  # type: ignore[misc]
    assert ann.receive_request(node_id(attacker.key), for_bob, now=now) is None


def test_asking_for_the_table_again_and_again_is_refused() -> None:
    cluster, attacker = besieged()
    ann, now = cluster["ann"], cluster.network.clock("ann")
    question = TableDigests(bytes(8 * BUCKETS), 0)
    answers = [ann.receive_request(node_id(attacker.key), question, now=now) for _ in range(100)]
    assert 0 < sum(answer is not None for answer in answers) <= 40


def test_a_full_table_goes_over_in_bounded_messages() -> None:
    cluster, attacker = besieged(hearsay_only=False)
    for number in range(400):
        attacker.tell("ann", record_of(key_number(number), f"198.18.{number >> 8}.{number & 255}").raw)
        if number % 50 == 0:
            cluster.run(0.5)
    ann, now = cluster["ann"], cluster.network.clock("ann")
    skip, raws = 0, set[bytes]()
    for _ in range(BUCKETS):
        answer = ann.receive_request(node_id(attacker.key), TableDigests(bytes(8 * BUCKETS), skip), now=now)
        assert isinstance(answer, BucketContents)
        assert len(encode(answer)) <= MAX_MESSAGE
        assert len(answer.records) <= MAX_HELD
        if not answer.covered:
            break
        assert not answer.covered & skip
        skip |= answer.covered
        raws |= set(answer.records)
    assert raws == {record.raw for record in ann.members().values()}
