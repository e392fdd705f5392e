"""A node that cannot be dialled is brought here by a director, and nobody can be sent anywhere else by that."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import trio

from p2pmods.directory.rendezvous import homes
from p2pmods.errors import PeerError, PeerNotReached
from p2pmods.identity.key import node_id, public_bytes
from p2pmods.identity.records import Endpoint, NodeRecord, sign_record
from p2pmods.mesh.introductions import (
    ALL_BURST,
    APART_FOR,
    EACH_BURST,
    LINKED,
    MAX_APART,
    MAX_PACES,
    MOST_DIALLED,
    NOT_HERE,
    REFUSED,
    UNKNOWN_FOR,
    UNREACHED,
    DialFor,
    Doorkeeper,
    Introduce,
    Introduced,
    Introductions,
    dialable,
)
from p2pmods.mesh.roles import MOST_TRIED
from tests.mesh.fakes import FakeCall
from tests.mesh.world import KEYS, Echo, ask, place_of, world

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from trio.testing import MockClock

    from p2pmods.mesh.links import Links
    from tests.mesh.world import World

ANN, BOB, EVE, DAN = (node_id(key) for key in KEYS[:4])
HOME = Endpoint("10.9.0.5", 7000)


def record_of(key: Ed25519PrivateKey, *endpoints: Endpoint) -> bytes:
    return sign_record(NodeRecord(public_bytes(key), bytes(8), 1, endpoints, 0), key).raw


# With real links.


def introduce_with(links: Links, key: Ed25519PrivateKey, directors: set[str], *endpoints: Endpoint) -> Introductions:
    raw = record_of(key, *endpoints)
    made = Introductions(links, directors=lambda: frozenset(directors), record=lambda: raw)
    links.introduce = made.ask
    return made


async def start_three(w: World, *, is_reachable: bool = True) -> tuple[Links, Links, Links]:
    """Ann, Dan, a director, and Bob, whose address nobody knows and who dialled Dan."""
    ann = await w.start(key=KEYS[0])
    dan = await w.start(key=KEYS[3])
    bob = await w.start(key=KEYS[1], is_known=False)
    place = place_of(ann) if is_reachable else Endpoint("127.0.0.1", 1)
    introduce_with(ann, KEYS[0], {dan.node_id}, place)
    introduce_with(dan, KEYS[3], {dan.node_id}, place_of(dan))
    introduce_with(bob, KEYS[1], {dan.node_id}, place_of(bob))
    await ask(bob, dan)
    return ann, dan, bob


async def test_who_cannot_be_dialled_dials_who_wants_it(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        ann, _, bob = await start_three(w)
        assert await ask(ann, bob) == Echo("hello")
        assert [(peer.node_id, peer.is_dialler) for peer in bob.statistics().peers if peer.node_id == ANN] == [
            (ANN, True)
        ]


async def test_a_director_is_dialled_to_be_asked(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        ann, dan, bob = await start_three(w)
        assert dan.node_id not in ann.linked()
        assert await ask(ann, bob) == Echo("hello")
        assert dan.node_id in ann.linked()


async def test_an_address_that_swallows_everything_costs_a_moment_and_no_more(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        ann, _, bob = await start_three(w)
        silent = await trio.open_tcp_listeners(0, host="127.0.0.1")  # accepts, and says nothing
        w.places[bob.node_id] = [Endpoint("127.0.0.1", silent[0].socket.getsockname()[1])]
        with trio.fail_after(3):
            assert await ask(ann, bob) == Echo("hello")
        await silent[0].aclose()


async def test_two_that_do_not_reach_each_other_are_told_without_more_waiting(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        ann, _, bob = await start_three(w, is_reachable=False)
        silent = await trio.open_tcp_listeners(0, host="127.0.0.1")
        w.places[bob.node_id] = [Endpoint("127.0.0.1", silent[0].socket.getsockname()[1])]
        with trio.fail_after(ann.limits.handshake - 1), pytest.raises(PeerNotReached):
            await ask(ann, bob)
        await silent[0].aclose()


async def test_a_node_that_no_director_knows_is_not_found(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        ann, dan, bob = await start_three(w)
        bob.reset("it went away")
        while bob.node_id in dan.linked():  # noqa: ASYNC110 - the link's end is seen when it is read
            await trio.sleep(0.01)
        with pytest.raises(PeerError):
            await ask(ann, bob)


# Whom it asks, and when.


@dataclass
class FakeLinks:
    """Ann's. `outcomes` is what each director says, None where nothing comes."""

    node_id: str = ANN
    outcomes: dict[str, Any] = field(default_factory=dict)
    near: set[str] = field(default_factory=set)  # those with a link
    places: dict[str, list[Endpoint]] = field(default_factory=dict)
    handlers: dict[type, Any] = field(default_factory=dict)
    asked: list[tuple[str, object]] = field(default_factory=list)
    dialled: list[tuple[Endpoint, str]] = field(default_factory=list)
    is_reached: bool = True

    def on(self, kind: type, handler: object) -> None:
        self.handlers[kind] = handler

    def linked(self) -> frozenset[str]:
        return frozenset(self.near)

    def addresses(self, node: str) -> list[Endpoint]:
        return self.places.get(node, [])

    async def dial(self, endpoint: Endpoint, *, expect: str, deadline: float) -> str:
        await trio.lowlevel.checkpoint()
        self.dialled.append((endpoint, expect))
        if not self.is_reached:
            raise PeerError(expect, "nobody there")
        return expect

    async def request(self, node: str, message: object, *, deadline: float) -> Any:
        await trio.lowlevel.checkpoint()
        self.asked.append((node, message))
        outcome = self.outcomes.get(node)
        if outcome is None:
            raise PeerError(node, "does not answer")
        answer = Introduced(outcome) if isinstance(outcome, int) else outcome
        return SimpleNamespace(message=answer, discard=trio.lowlevel.checkpoint)


class Case:
    """Ann's introductions, among fakes: she and the others of KEYS are directors."""

    def __init__(self) -> None:
        self.links = FakeLinks()
        self.directors = {node_id(key) for key in KEYS}
        self.own = record_of(KEYS[0], HOME)
        self.introductions = Introductions(
            self.links,  # type: ignore[arg-type]
            directors=lambda: frozenset(self.directors),
            record=lambda: self.own,
        )

    def between(self, node: str = BOB) -> tuple[str, ...]:
        """Those to ask for Bob, all of them linked."""
        found = homes(node.encode(), self.directors - {ANN, node}, MOST_TRIED)
        self.links.near |= set(found)
        return found

    async def ask(self) -> None:
        await self.introductions.ask(BOB)

    async def receive(self, message: object, *, peer: str = BOB, host: str = HOME.host) -> Any:
        call = FakeCall(peer, message, host)
        await self.links.handlers[type(message)](call)
        return call.answer


@pytest.fixture
async def case() -> Case:
    return Case()


async def test_the_directors_that_follow_from_the_nodes_id_are_asked_in_turn(case: Case) -> None:
    first, second, *_ = case.between()
    case.links.outcomes = {first: NOT_HERE, second: LINKED}
    await case.ask()
    question = Introduce(BOB, case.own)
    assert case.links.asked == [(first, question), (second, question)]


async def test_one_that_does_not_answer_or_answers_nonsense_is_passed_over(case: Case) -> None:
    _, second, third, *_ = case.between()
    case.links.outcomes = {second: Introduce(BOB, b""), third: LINKED}
    await case.ask()
    assert len(case.links.asked) == 3


async def test_no_more_than_six_are_asked(case: Case) -> None:
    case.directors |= {f"{number:052}" for number in range(20)}
    case.between()
    with pytest.raises(PeerError):
        await case.ask()
    assert len(case.links.asked) == MOST_TRIED


async def test_a_director_without_a_link_is_dialled_at_its_own_addresses(case: Case) -> None:
    first, *_ = case.between()
    case.links.near.clear()
    case.links.places[first] = [HOME]
    case.links.outcomes[first] = LINKED
    await case.ask()
    assert case.links.dialled == [(HOME, first)]


async def test_neither_the_node_nor_this_one_is_asked_for_it(case: Case) -> None:
    assert not {ANN, BOB} & set(case.introductions.between(BOB))


async def test_who_dialled_in_vain_is_not_sent_again_for_a_while(autojump_clock: MockClock, case: Case) -> None:
    first, *_ = case.between()
    case.links.outcomes[first] = UNREACHED
    with pytest.raises(PeerNotReached):
        await case.ask()
    assert BOB in case.introductions.apart()
    with pytest.raises(PeerError):
        await case.ask()
    assert len(case.links.asked) == 1  # and no other director is asked to have it tried again
    await trio.sleep(APART_FOR + 1)
    assert BOB not in case.introductions.apart()
    case.links.outcomes[first] = LINKED
    await case.ask()


async def test_on_another_network_everybody_gets_a_new_chance(case: Case) -> None:
    first, *_ = case.between()
    case.links.outcomes[first] = UNREACHED
    with pytest.raises(PeerNotReached):
        await case.ask()
    case.introductions.forget()
    case.links.outcomes[first] = LINKED
    await case.ask()


async def test_a_node_that_nobody_knew_is_soon_asked_for_again(autojump_clock: MockClock, case: Case) -> None:
    for node in case.between():
        case.links.outcomes[node] = NOT_HERE
    with pytest.raises(PeerError):
        await case.ask()
    count = len(case.links.asked)
    await trio.sleep(UNKNOWN_FOR + 0.1)
    with pytest.raises(PeerError):
        await case.ask()
    assert len(case.links.asked) == 2 * count


async def test_what_is_remembered_of_nodes_out_of_reach_has_a_cap(case: Case) -> None:
    case.directors = set()
    for number in range(MAX_APART + 10):
        with pytest.raises(PeerError):
            await case.introductions.ask(f"{number:052}")
    assert len(case.introductions._unknown) == MAX_APART


# As a director.


async def test_a_director_passes_it_on_over_a_link_that_there_is(case: Case) -> None:
    case.links.near, case.links.outcomes = {EVE}, {EVE: LINKED}
    record = record_of(KEYS[1], HOME)
    assert await case.receive(Introduce(EVE, record)) == Introduced(LINKED)
    assert case.links.asked == [(EVE, DialFor(record, (HOME,)))]


@pytest.mark.parametrize("node", [EVE, BOB, ANN])
async def test_who_has_no_link_to_the_node_makes_none_for_it(case: Case, node: str) -> None:
    case.links.near = {BOB, DAN}
    assert await case.receive(Introduce(node, record_of(KEYS[1], HOME))) == Introduced(NOT_HERE)
    assert case.links.asked == []


async def test_a_node_that_does_not_answer_counts_as_not_there(case: Case) -> None:
    case.links.near = {EVE}
    assert await case.receive(Introduce(EVE, record_of(KEYS[1], HOME))) == Introduced(NOT_HERE)


async def test_nobody_is_introduced_as_somebody_else(case: Case) -> None:
    case.links.near = {EVE}
    assert await case.receive(Introduce(EVE, record_of(KEYS[3], HOME))) == REFUSED
    forged = record_of(KEYS[1], HOME)
    assert await case.receive(Introduce(EVE, forged[:-1] + bytes([forged[-1] ^ 1]))) == REFUSED
    assert await case.receive(Introduce(EVE, b"\xc1")) == REFUSED
    assert case.links.asked == []


async def test_a_stranger_on_the_internet_is_not_dialled_for_who_comes_from_elsewhere(case: Case) -> None:
    case.links.near, case.links.outcomes = {EVE}, {EVE: LINKED}
    strangers = [Endpoint("198.41.0.4", 443), Endpoint("127.0.0.1", 22), Endpoint("2001:500:200::b", 443)]
    assert await case.receive(Introduce(EVE, record_of(KEYS[1], *strangers))) == Introduced(UNREACHED)
    assert case.links.asked == []


async def test_a_peer_that_asks_too_often_is_refused(case: Case) -> None:
    case.links.near, case.links.outcomes = {EVE}, {EVE: UNREACHED}
    record = record_of(KEYS[1], HOME)
    answers = [await case.receive(Introduce(EVE, record)) for _ in range(int(EACH_BURST) + 3)]
    assert answers.count(Introduced(UNREACHED)) == EACH_BURST
    assert answers[-1] == REFUSED
    assert len(case.links.asked) == EACH_BURST


@pytest.mark.parametrize(
    ("endpoints", "host", "wanted"),
    [
        ([HOME], "10.9.0.5", [HOME]),
        ([HOME], "10.9.7.7", [HOME]),  # another of its interfaces
        ([Endpoint("fd00::5", 7000)], "10.9.0.5", [Endpoint("fd00::5", 7000)]),
        ([Endpoint("198.41.0.4", 7000)], "198.41.0.4", [Endpoint("198.41.0.4", 7000)]),
        ([Endpoint("198.41.0.4", 7000), HOME], "10.9.0.5", [HOME]),
        ([Endpoint("127.0.0.1", 7000)], "10.9.0.5", []),
        ([Endpoint("127.0.0.1", 7000)], "127.0.0.1", [Endpoint("127.0.0.1", 7000)]),
        ([Endpoint("10.9.0.5", port) for port in range(1, 9)], "10.9.0.5", MOST_DIALLED),
        ([], "10.9.0.5", []),
    ],
)
def test_only_private_addresses_and_the_one_that_was_seen_are_dialled_for_others(
    endpoints: list[Endpoint], host: str, wanted: list[Endpoint] | int
) -> None:
    found = dialable(NodeRecord(public_bytes(KEYS[1]), bytes(8), 1, tuple(endpoints), 0), host)
    assert list(found) == (endpoints[:wanted] if isinstance(wanted, int) else wanted)


def test_a_crowd_of_peers_gets_no_more_than_its_share() -> None:
    keeper = Doorkeeper()
    admitted = sum(keeper.admits(f"peer {number}", now=0.0) for number in range(1000))
    assert admitted == ALL_BURST


def test_the_peers_whose_asking_is_counted_have_a_cap() -> None:
    keeper = Doorkeeper()
    for number in range(MAX_PACES + 10):
        keeper.admits(f"peer {number}", now=0.0)
    assert len(keeper._each) == MAX_PACES


# As the one that is to dial.


async def dial_for(case: Case, *endpoints: Endpoint, peer: str = DAN, host: str = "10.9.0.9") -> Any:
    record = record_of(KEYS[1], HOME, Endpoint("127.0.0.1", 7000))
    return await case.receive(DialFor(record, endpoints), peer=peer, host=host)


@pytest.mark.parametrize(("is_reached", "outcome"), [(True, LINKED), (False, UNREACHED)])
async def test_who_is_asked_by_a_director_dials_and_says_what_came_of_it(
    case: Case, *, is_reached: bool, outcome: int
) -> None:
    case.links.is_reached = is_reached
    assert await dial_for(case, HOME) == Introduced(outcome)
    assert case.links.dialled == [(HOME, BOB)]  # and whoever is there must be Bob


async def test_nobody_but_a_director_sends_it_anywhere(case: Case) -> None:
    case.directors.remove(DAN)
    assert await dial_for(case, HOME) == REFUSED
    assert case.links.dialled == []


async def test_a_director_cannot_send_it_where_the_node_does_not_say_that_it_is(case: Case) -> None:
    assert await dial_for(case, Endpoint("10.9.0.66", 80), Endpoint(HOME.host, 22)) == REFUSED
    assert await dial_for(case) == REFUSED
    assert await dial_for(case, Endpoint("127.0.0.1", 7000)) == REFUSED  # that would be this machine
    assert case.links.dialled == []


async def test_on_one_machine_it_dials_that_machine(case: Case) -> None:
    assert await dial_for(case, Endpoint("127.0.0.1", 7000), host="127.0.0.1") == Introduced(LINKED)


async def test_a_record_that_is_none_sends_it_nowhere(case: Case) -> None:
    assert await case.receive(DialFor(b"\xc1", (HOME,)), peer=DAN) == REFUSED


async def test_a_director_that_asks_too_often_is_refused(case: Case) -> None:
    answers = [await dial_for(case, HOME) for _ in range(int(EACH_BURST) + 3)]
    assert answers[-1] == REFUSED
    assert len(case.links.dialled) == EACH_BURST
