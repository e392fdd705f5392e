"""Directors and leaves: who is dialled back where, who is named, and what of it is believed."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from p2pmods.directory.rendezvous import homes
from p2pmods.errors import PeerError
from p2pmods.identity.key import node_id, public_bytes
from p2pmods.identity.records import DIRECTOR, Endpoint, NodeRecord, SignedRecord, sign_record
from p2pmods.mesh.roles import FIRST_REFRESH, MOST_NAMED, REFRESH, DialBack, DialledBack, Directors, Roles, WhoDirects
from tests.mesh.fakes import FakeCall
from tests.mesh.world import KEYS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from trio.testing import MockClock

ANN, BOB, EVE = (node_id(key) for key in KEYS[:3])


def record_of(key: Ed25519PrivateKey, flags: int = DIRECTOR, number: int = 1) -> SignedRecord:
    record = NodeRecord(public_bytes(key), bytes(8), number, (Endpoint("10.9.0.1", 7000),), flags)
    return sign_record(record, key)


@dataclass
class FakeLinks:
    """Ann's, with nodes linked at addresses; `answers` is what each says to a class of question."""

    node_id: str = ANN
    port: int = 7000
    hosts: dict[str, str] = field(default_factory=dict)
    answers: dict[tuple[str, type], object] = field(default_factory=dict)
    handlers: dict[type, Any] = field(default_factory=dict)
    pinned: set[str] = field(default_factory=set)
    dialled: list[tuple[Endpoint, str | None]] = field(default_factory=list)
    asked: list[tuple[str, object]] = field(default_factory=list)

    def on(self, kind: type, handler: object) -> None:
        self.handlers[kind] = handler

    def linked(self) -> frozenset[str]:
        return frozenset(self.hosts)

    def pin(self, node: str) -> None:
        self.pinned.add(node)

    def unpin(self, node: str) -> None:
        self.pinned.remove(node)

    async def dial(self, endpoint: Endpoint, *, expect: str | None, deadline: float) -> str:
        await trio.lowlevel.checkpoint()
        self.dialled.append((endpoint, expect))
        if endpoint.port == 1:
            raise PeerError(expect or "", "nobody there")
        return expect or ""

    async def request(self, node: str, message: object, *, deadline: float) -> Any:
        await trio.lowlevel.checkpoint()
        self.asked.append((node, message))
        answer = self.answers.get((node, type(message)))
        if answer is None:
            raise PeerError(node, "does not answer")
        if isinstance(answer, trio.Event):
            await answer.wait()
            answer = DialledBack(None)
        return SimpleNamespace(message=answer, discard=trio.lowlevel.checkpoint)


class Case:
    """Ann's roles, among fakes."""

    def __init__(self) -> None:
        self.links = FakeLinks()
        self.members: dict[str, SignedRecord] = {}
        self.directors: set[str] = set()
        self.promoted: list[Endpoint] = []
        self.learned: list[SignedRecord] = []
        self.standing = SimpleNamespace(is_director=False, record=record_of(KEYS[0]))
        machine = SimpleNamespace(members=lambda: dict(self.members))
        self.roles = Roles(
            self.links,  # type: ignore[arg-type]
            SimpleNamespace(machine=machine),  # type: ignore[arg-type]
            self.standing,  # type: ignore[arg-type]
            directors=lambda: frozenset(self.directors),
            on_director=self._promote,
            on_records=self._learn,
        )

    def _promote(self, endpoint: Endpoint) -> None:
        self.promoted.append(endpoint)
        self.standing.is_director = True

    def _learn(self, records: Iterable[SignedRecord]) -> None:
        self.learned += records

    async def ask(self, message: object, peer: str = BOB, host: str = "10.9.0.2") -> object:
        call = FakeCall(peer, message, host)
        await self.links.handlers[type(message)](call)
        return call.answer


@pytest.fixture
async def case() -> Case:
    return Case()


@pytest.mark.parametrize("host", ["10.9.0.2", "fd00::2"])
async def test_who_asks_is_dialled_back_at_the_address_that_it_came_from(case: Case, host: str) -> None:
    """No link of its is looked for: of two to one node one is always about to be given up."""
    endpoint = Endpoint(host, 7001)
    assert await case.ask(DialBack(7001), host=host) == DialledBack(endpoint)
    assert case.links.dialled == [(endpoint, BOB)]  # and whoever is there must be Bob


@pytest.mark.parametrize(("host", "port"), [("10.9.0.2", 1), ("fe80::2", 7001), ("nonsense", 7001)])
async def test_who_cannot_be_dialled_is_told_so(case: Case, host: str, port: int) -> None:
    assert await case.ask(DialBack(port), host=host) == DialledBack(None)


async def test_directors_are_named_the_own_record_first(case: Case) -> None:
    records = {node_id(key): record_of(key) for key in KEYS}
    case.members = {node: records[node] for node in [*sorted(records, reverse=True)]}
    answer = await case.ask(WhoDirects(record_of(KEYS[1], 0).raw))
    assert isinstance(answer, Directors)
    assert answer.records[0] == records[ANN].raw
    assert set(answer.records) == {record.raw for record in records.values()}


async def test_no_more_are_named_than_fit(case: Case) -> None:
    case.members = {str(number): record_of(KEYS[0], DIRECTOR, number) for number in range(MOST_NAMED + 5)}
    answer = await case.ask(WhoDirects(record_of(KEYS[1], 0).raw))
    assert isinstance(answer, Directors)
    assert len(answer.records) == MOST_NAMED


async def test_the_record_of_who_asks_is_taken(case: Case) -> None:
    own = record_of(KEYS[1], 0)
    await case.ask(WhoDirects(own.raw))
    assert case.learned == [own]


async def test_a_record_of_somebody_else_is_not(case: Case) -> None:
    assert isinstance(await case.ask(WhoDirects(record_of(KEYS[2]).raw)), Directors)
    assert case.learned == []


@pytest.mark.parametrize("raw", [b"", b"\xc1", b"x" * 600])
async def test_a_record_that_is_none_is_refused(case: Case, raw: bytes) -> None:
    assert await case.ask(WhoDirects(raw)) == 64
    assert case.learned == []


async def run(case: Case) -> None:
    with trio.move_on_after(1):
        await case.roles.run()


async def test_a_node_that_was_dialled_back_is_a_director_and_asks_no_more(
    autojump_clock: MockClock, case: Case
) -> None:
    case.links.hosts = {BOB: "10.9.0.2", EVE: "10.9.0.3"}
    endpoint = Endpoint("10.9.0.1", 7000)
    answer_all(case, BOB, EVE)
    for node in (BOB, EVE):
        case.links.answers[node, DialBack] = DialledBack(endpoint)
    await run(case)
    assert case.promoted == [endpoint]
    assert [message for _, message in case.links.asked if isinstance(message, DialBack)] == [DialBack(7000)]


@pytest.mark.parametrize("answer", [DialledBack(None), DialledBack(Endpoint("10.9.0.66", 80)), Directors(())])
async def test_nothing_else_makes_a_director(autojump_clock: MockClock, case: Case, answer: object) -> None:
    case.links.hosts = {BOB: "10.9.0.2"}
    answer_all(case, BOB)
    case.links.answers[BOB, DialBack] = answer
    await run(case)
    assert case.promoted == []


async def test_a_node_that_nobody_can_dial_does_not_ask(autojump_clock: MockClock, case: Case) -> None:
    case.links.hosts, case.links.port = {BOB: "10.9.0.2"}, 0
    answer_all(case, BOB)
    await run(case)
    assert not [message for _, message in case.links.asked if isinstance(message, DialBack)]


async def test_of_what_is_named_only_signed_records_of_directors_are_learned(
    autojump_clock: MockClock, case: Case
) -> None:
    good, leaf = record_of(KEYS[3]), record_of(KEYS[4], 0)
    forged = good.raw[:-1] + bytes([good.raw[-1] ^ 1])
    case.links.hosts = {BOB: "10.9.0.2"}
    case.links.answers[BOB, WhoDirects] = Directors((b"", b"\xc1", forged, leaf.raw, good.raw))
    await run(case)
    assert case.learned == [good]


async def test_an_answer_of_another_kind_teaches_nothing(autojump_clock: MockClock, case: Case) -> None:
    case.links.hosts = {BOB: "10.9.0.2"}
    case.links.answers[BOB, WhoDirects] = DialledBack(None)
    await run(case)
    assert case.learned == []


def rounds(case: Case) -> int:
    return sum(isinstance(message, WhoDirects) for _, message in case.links.asked)


def answer_all(case: Case, *nodes: str) -> None:
    for node in nodes:
        case.links.answers[node, WhoDirects] = Directors(())


async def test_a_leaf_asks_three_now_and_again_and_whoever_is_new_at_once(
    autojump_clock: MockClock, case: Case
) -> None:
    case.links.hosts = {node_id(key): "10.9.0.2" for key in KEYS[1:7]}
    answer_all(case, *case.links.hosts)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(case.roles.run)
        await wait_all_tasks_blocked()
        assert rounds(case) == 3
        await trio.sleep(60)
        seldom = rounds(case)
        await trio.sleep(REFRESH + 0.1)
        assert rounds(case) == seldom + 3
        case.roles.met()
        await wait_all_tasks_blocked()
        assert rounds(case) == seldom + 6
        await trio.sleep(FIRST_REFRESH + 0.1)  # among new neighbours it is in a hurry again
        assert rounds(case) == seldom + 9
        nursery.cancel_scope.cancel()


async def test_a_dial_back_that_was_lost_is_asked_for_again_in_a_second(
    autojump_clock: MockClock, case: Case
) -> None:
    case.links.hosts = {BOB: "10.9.0.2"}
    answer_all(case, BOB)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(case.roles.run)
        await wait_all_tasks_blocked()
        endpoint = Endpoint("10.9.0.1", 7000)
        case.links.answers[BOB, DialBack] = DialledBack(endpoint)
        await trio.sleep(FIRST_REFRESH + 0.1)
        assert case.promoted == [endpoint]
        nursery.cancel_scope.cancel()


async def test_who_is_dialled_back_slowly_learns_of_directors_meanwhile(
    autojump_clock: MockClock, case: Case
) -> None:
    case.links.hosts = {BOB: "10.9.0.2", EVE: "10.9.0.3"}
    answer_all(case, BOB, EVE)
    lost = case.links.answers[BOB, DialBack] = case.links.answers[EVE, DialBack] = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(case.roles.run)
        await wait_all_tasks_blocked()
        assert case.links.pinned == {BOB, EVE}
        await trio.sleep(FIRST_REFRESH + 0.1)
        assert rounds(case) == 4
        assert sum(isinstance(message, DialBack) for _, message in case.links.asked) == 1
        lost.set()
        await wait_all_tasks_blocked()
        asked = [node for node, message in case.links.asked if isinstance(message, DialBack)]
        assert sorted(asked) == [BOB, EVE]
        nursery.cancel_scope.cancel()


async def test_a_leaf_keeps_links_to_the_directors_that_follow_from_its_id(
    autojump_clock: MockClock, case: Case
) -> None:
    case.directors = {node_id(key) for key in KEYS}
    likely = homes(ANN.encode(), case.directors - {ANN}, 4)
    case.links.hosts = {BOB: "10.9.0.2"}
    answer_all(case, *likely[1:])  # the first cannot be reached
    await run(case)
    assert case.links.pinned == set(likely[1:])


async def test_a_director_keeps_no_link_for_that(autojump_clock: MockClock, case: Case) -> None:
    case.links.hosts = {BOB: "10.9.0.2"}
    answer_all(case, BOB)
    await run(case)
    assert case.links.pinned == {BOB}
    case.standing.is_director = True
    await run(case)
    assert case.links.pinned == set()
