"""The virtual network: what it promises to everything that is tested on it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from p2pmods.testing.conditions import IP_AND_UDP, Conditions
from p2pmods.testing.network import Network
from p2pmods.testing.program import Action, Answer, Notice, Request, SendDatagram
from p2pmods.testing.virtualnode import SOCKET_BUFFER

if TYPE_CHECKING:
    from collections.abc import Iterable
    from random import Random

    from p2pmods.testing.program import Address


class Talker:
    """Writes down what it hears, and does what the test puts into `todo`."""

    def __init__(self, now: float, chance: Random, *, beat: float = math.inf) -> None:
        self.heard: list[tuple[float, str, object]] = []
        self.todo: list[Action] = []
        self.beat = beat
        self.timer = now + beat
        self.chance = chance

    def receive_datagram(self, data: bytes, sender: Address, *, now: float) -> None:
        self.heard.append((now, "datagram", data))

    def receive_request(self, peer: str, data: bytes, call: int, *, now: float) -> None:
        self.heard.append((now, "request", (peer, data)))
        if data != b"silence":
            self.todo.append(Answer(call, None if data == b"no" else data + b"!"))

    def receive_answer(self, call: int, data: bytes | None, *, now: float) -> None:
        self.heard.append((now, "answer", (call, data)))

    def receive_notice(self, peer: str, data: bytes, *, now: float) -> None:
        self.heard.append((now, "notice", (peer, data)))

    def handle_timer(self, *, now: float) -> None:
        self.heard.append((now, "timer", None))
        self.timer = now + self.beat

    def next_timer(self) -> float:
        return self.timer

    def outbox(self, *, now: float) -> Iterable[Action]:
        out, self.todo = self.todo, []
        return out

    def wake(self, *, now: float) -> None:
        self.heard.append((now, "wake", None))

    def what(self, kind: str) -> list[object]:
        return [what for _, k, what in self.heard if k == kind]


class Pair:
    """Two talkers."""

    def __init__(self, conditions: Conditions, seed: int = 1, beat: float = math.inf) -> None:
        self.network = Network(seed, conditions)
        self.talkers: dict[str, Talker] = {}
        for name in ("ann", "bob"):
            self.network.add(name, lambda now, chance, name=name: self._start(name, now, chance, beat))  # type: ignore[misc]

    def _start(self, name: str, now: float, chance: Random, beat: float) -> Talker:
        self.talkers[name] = Talker(now, chance, beat=beat)
        return self.talkers[name]

    def do(self, name: str, *actions: Action) -> None:
        self.network.touch(name, lambda program, now: self.talkers[name].todo.extend(actions))

    def send(self, *datas: bytes) -> None:
        """From ann to bob."""
        self.do("ann", *[SendDatagram(data, self.network.nodes["bob"].address) for data in datas])

    def bob_heard(self, kind: str = "datagram") -> list[object]:
        return self.talkers["bob"].what(kind)


STILL = Conditions()
NUMBERED = [i.to_bytes(2) for i in range(1000)]


def test_a_datagram_arrives_after_its_delay_and_is_counted_with_its_heads() -> None:
    pair = Pair(Conditions(least_delay=0.5, most_delay=0.5))
    pair.send(b"hello")
    pair.network.run(0.4)
    assert pair.bob_heard() == []
    pair.network.run(0.2)
    assert pair.bob_heard() == [b"hello"]
    assert pair.network.nodes["ann"].traffic.datagram_bytes_out == 5 + IP_AND_UDP
    assert pair.network.nodes["bob"].traffic.datagram_bytes_in == 5 + IP_AND_UDP


def test_datagrams_are_lost_doubled_damaged_and_out_of_order_as_often_as_said() -> None:
    lossy, doubled = Pair(Conditions(loss=0.3)), Pair(Conditions(duplicate=0.2))
    damaged = Pair(Conditions(corrupt=0.1, most_delay=0.0002))
    shuffled = Pair(Conditions(reorder=0.5, most_delay=0.0002))
    for pair in (lossy, doubled, damaged, shuffled):
        for data in NUMBERED:
            pair.send(data)
            pair.network.run(0.001)
        pair.network.run(1)
    assert 650 < len(lossy.bob_heard()) < 750
    assert 1150 < len(doubled.bob_heard()) < 1250
    wrong = [(a, b) for a, b in zip(NUMBERED, sorted(damaged.talkers["bob"].heard), strict=True) if a != b[2]]
    assert 60 < len(wrong) < 150
    assert sorted(map(bytes, shuffled.bob_heard())) == NUMBERED != shuffled.bob_heard()  # type: ignore[arg-type]


def test_a_link_keeps_order_and_loses_nothing_whatever_happens_to_datagrams() -> None:
    pair = Pair(Conditions(loss=0.3, duplicate=0.3, corrupt=0.3, reorder=0.3))
    for data in NUMBERED[:200]:
        pair.do("ann", Notice("bob", data))
    pair.network.run(60)
    assert pair.bob_heard("notice") == [("ann", data) for data in NUMBERED[:200]]


def test_a_request_is_answered_refused_or_given_up_exactly_once() -> None:
    pair = Pair(STILL)
    pair.do("ann", Request("bob", b"hi", 1), Request("bob", b"no", 2), Request("bob", b"silence", 3, deadline=5))
    pair.do("ann", Request("nobody", b"hi", 4, deadline=1))
    pair.network.run(2)
    assert pair.talkers["ann"].what("answer") == [(1, b"hi!"), (2, None), (4, None)]
    pair.network.run(4)
    assert pair.talkers["ann"].what("answer")[3:] == [(3, None)]


def test_a_partition_stops_datagrams_and_links_until_it_heals() -> None:
    pair = Pair(STILL)
    pair.network.partition({"ann"}, {"bob"})
    pair.send(b"lost")
    pair.do("ann", Request("bob", b"hi", 1), Notice("bob", b"lost"))
    pair.network.run(3)
    assert pair.talkers["bob"].heard == []
    assert pair.talkers["ann"].what("answer") == [(1, None)]
    pair.network.heal()
    pair.send(b"there")
    pair.network.run(1)
    assert pair.bob_heard() == [b"there"]


def test_one_direction_or_one_kind_alone_can_be_blocked() -> None:
    pair = Pair(STILL)
    pair.network.reach.block("bob", "ann")
    pair.send(b"one way")
    pair.do("ann", Notice("bob", b"no link on half a way"))
    pair.network.run(1)
    pair.network.heal()
    pair.network.reach.block_datagrams("bob")
    pair.send(b"no UDP")
    pair.do("ann", Notice("bob", b"by link"))
    pair.network.run(1)
    pair.network.heal()
    pair.network.reach.block_links("ann")
    pair.send(b"by UDP")
    pair.do("ann", Notice("bob", b"no TCP"))
    pair.network.run(1)
    assert pair.bob_heard() == [b"one way", b"by UDP"]
    assert pair.bob_heard("notice") == [("ann", b"by link")]


def test_a_crashed_node_hears_nothing_and_starts_anew() -> None:
    pair = Pair(STILL, beat=1)
    former = pair.talkers["bob"]
    pair.do("bob", Request("ann", b"silence", 1))
    pair.network.run(0.5)
    pair.network.crash("bob")
    pair.send(b"lost")
    pair.network.run(5)
    pair.network.restart("bob")
    pair.send(b"hello")
    pair.network.run(0.5)
    assert former.heard == []
    assert pair.bob_heard() == [b"hello"]
    assert pair.bob_heard("answer") == []


def test_a_stalled_node_does_all_that_waited_when_it_goes_on() -> None:
    pair = Pair(STILL, beat=1)
    pair.network.stall("bob", 10)
    pair.send(*NUMBERED[:300])
    pair.do("ann", Notice("bob", b"told"))
    pair.network.run(9.9)
    assert pair.talkers["bob"].heard == []
    pair.network.run(0.2)
    assert {at for at, _, _ in pair.talkers["bob"].heard} == {10}
    assert len(pair.bob_heard()) + len(pair.bob_heard("notice")) == SOCKET_BUFFER + len(pair.bob_heard("notice"))
    assert pair.bob_heard("timer") == [None]


def test_the_clock_of_a_sleeper_stands_still_and_it_is_woken() -> None:
    pair = Pair(STILL, beat=math.inf)
    pair.network.run(5)
    pair.network.sleep("bob", 100)
    pair.send(b"lost")
    pair.network.run(101)
    pair.send(b"heard")
    pair.network.run(1)
    assert [(kind, what) for _, kind, what in pair.talkers["bob"].heard] == [("wake", None), ("datagram", b"heard")]
    assert pair.network.clock("bob") == pytest.approx(7)
    assert pair.talkers["bob"].heard[0][0] == pytest.approx(5)


def test_a_clock_that_jumps_rings_its_timers_early_or_late() -> None:
    pair = Pair(STILL, beat=10)
    pair.network.jump_clock("ann", 9)
    pair.network.jump_clock("bob", -10)
    pair.network.run(1.5)
    assert len(pair.talkers["ann"].what("timer")) == 1
    pair.network.run(10)
    assert pair.bob_heard("timer") == []
    pair.network.run(10)
    assert len(pair.bob_heard("timer")) == 1


def test_invariants_are_looked_at_after_every_event() -> None:
    pair = Pair(STILL)

    def nothing_is_heard(network: Network) -> None:
        assert not pair.bob_heard(), "something was heard"

    pair.network.invariant(nothing_is_heard)
    pair.network.run(5)
    pair.send(b"hello")
    with pytest.raises(AssertionError, match="something was heard"):
        pair.network.run(5)


def test_the_same_seed_gives_the_same_trace_and_another_one_another() -> None:
    def history(seed: int) -> str:
        pair = Pair(Conditions(loss=0.2, duplicate=0.2, corrupt=0.2, reorder=0.2), seed, beat=0.3)
        for data in NUMBERED[:50]:
            pair.send(data, bytes([int(pair.talkers["ann"].chance.random() * 256)]))
            pair.do("bob", Request("ann", data, 7))
            pair.network.run(0.1)
        return pair.network.trace.digest()

    assert history(1) == history(1) != history(2)


def test_run_until_says_how_long_it_took() -> None:
    pair = Pair(Conditions(least_delay=0.5, most_delay=0.5))
    pair.send(b"hello")
    assert pair.network.run_until(lambda: bool(pair.bob_heard()), within=5) == 0.5
    assert pair.network.run_until(lambda: False, within=5) is None
    assert pair.network.now == 5.5


@pytest.mark.parametrize("wrong", [{"loss": 1.1}, {"corrupt": -0.1}, {"least_delay": 0.0}, {"most_delay": 0.0001}])
def test_conditions_that_cannot_be_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"probability|delays"):
        Conditions(**wrong)


def test_a_name_or_an_address_is_given_once() -> None:
    network = Network(1)
    network.add("ann", Talker, ("10.0.0.1", 7000))
    with pytest.raises(ValueError, match="there already"):
        network.add("bob", Talker, ("10.0.0.1", 7000))
