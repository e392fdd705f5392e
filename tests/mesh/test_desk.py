"""The desk between the directory's machines and the links: questions out, answers back, and only its own notices."""

from __future__ import annotations

from random import Random
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from p2pmods.directory.ability import DATABASE, PROXY, UPLOADS, Ability
from p2pmods.directory.actions import Ask, Tell
from p2pmods.directory.adverts import Advertiser
from p2pmods.directory.holdings import Holdings
from p2pmods.directory.home import LeaseHome
from p2pmods.directory.inflow import Inflow
from p2pmods.directory.messages import (
    FAILED,
    Advert,
    Advertised,
    Claim,
    Found,
    Grant,
    Growing,
    Holding,
    Location,
    Lookup,
    Providers,
    Release,
    Renew,
    Stop,
    Wait,
)
from p2pmods.directory.proof import grant_terms
from p2pmods.directory.providers import GRACE
from p2pmods.directory.rendezvous import Rendezvous
from p2pmods.errors import PeerError
from p2pmods.identity.key import node_id, public_bytes
from p2pmods.identity.records import DIRECTOR, Endpoint, NodeRecord, sign_record
from p2pmods.mesh import desk as desk_module
from p2pmods.mesh.desk import REFUSED, Desk
from p2pmods.mesh.names import key_of_name
from tests.mesh.world import KEYS, SWARM

if TYPE_CHECKING:
    from trio.testing import MockClock

ANN, BOB, EVE = (node_id(key) for key in KEYS[:3])
MODULE = "example.org/acme/widget@v1.0.0"
KEY = SWARM.key_of(MODULE)
ABLE = Ability(PROXY, DATABASE | UPLOADS, 0)


def record_of(number: int) -> bytes:
    key = KEYS[number]
    return sign_record(NodeRecord(public_bytes(key), bytes(8), 1, (Endpoint("10.9.0.1", 7000),), DIRECTOR), key).raw


class FakeLinks:
    """Ann's; `says` is what every other node answers, an exception, or None for silence."""

    def __init__(self) -> None:
        self.handlers: dict[type, Any] = {}
        self.asked: list[tuple[str, object]] = []
        self.told: list[tuple[str, object]] = []
        self.says: object = PeerError("", "does not answer")

    def on(self, kind: type, handler: object) -> None:
        self.handlers[kind] = handler

    async def request(self, node: str, message: object, *, deadline: float) -> Any:
        await trio.lowlevel.checkpoint()
        self.asked.append((node, message))
        if isinstance(self.says, Exception):
            raise self.says
        if self.says is None:
            await trio.sleep_until(deadline)
            raise PeerError(node, "did not answer in time")
        return SimpleNamespace(message=self.says, length=0)

    async def notify(self, node: str, message: object) -> None:
        await trio.lowlevel.checkpoint()
        self.told.append((node, message))


class FakeCall:
    def __init__(self, peer: str, message: object) -> None:
        self.peer, self.message = peer, message
        self.answer: Any = None

    async def reply(self, message: object) -> None:
        await trio.lowlevel.checkpoint()
        self.answer = message

    async def refuse(self, code: int, text: str) -> None:
        await trio.lowlevel.checkpoint()
        self.answer = (code, text)


class Case:
    """Ann's desk; she and Bob are the directors."""

    def __init__(self, directors: tuple[str, ...] = (ANN,)) -> None:
        self.links = FakeLinks()
        self.stops: list[tuple[str, Stop]] = []
        rendezvous, holdings = Rendezvous(directors), Holdings(Random(1))
        self.table = holdings.table
        home = LeaseHome(
            ANN,
            KEYS[0],
            rendezvous,
            holdings,
            Random(2),
            lambda name: key_of_name(SWARM, name),
            Inflow().is_line_slow,
        )
        self.advertiser = Advertiser(bytes(8), record_of(0), rendezvous, now=trio.current_time())
        self.desk = Desk(
            ANN,
            self.links,  # type: ignore[arg-type]
            rendezvous,
            home,
            holdings,
            self.advertiser,
            lambda name: key_of_name(SWARM, name),
            lambda node, stop: self.stops.append((node, stop)),
        )

    async def ask(self, message: object, peer: str = EVE) -> Any:
        """What Ann answers."""
        call = FakeCall(peer, message)
        await self.links.handlers[type(message)](call)
        return call.answer


@pytest.fixture
async def case(nursery: trio.Nursery) -> Case:
    made = Case()
    await nursery.start(made.desk.run)
    return made


def claim(number: int = 2, **more: Any) -> Claim:
    return Claim(MODULE, ABLE, record_of(number), **more)


async def test_the_first_claimant_is_granted_and_the_next_waits_for_it(autojump_clock: MockClock, case: Case) -> None:
    first = await case.ask(claim())
    assert isinstance(first, Grant)
    assert first.terms.fetcher == EVE
    second = await case.ask(claim(1), BOB)
    assert second == Wait(Growing(EVE, first.terms.token, 0), limited=False, record=record_of(2))


async def test_a_claim_that_is_none_is_refused(autojump_clock: MockClock, case: Case) -> None:
    code, reason = await case.ask(Claim("../etc@v1", ABLE, record_of(2)))
    assert code == REFUSED
    assert "malformed" in reason
    assert (await case.ask(Claim(MODULE, ABLE, record_of(1))))[0] == REFUSED  # another's record
    assert (await case.ask(claim(1, claimant=BOB)))[0] == REFUSED  # Eve is no home
    assert case.desk.statistics().calls == 0


async def test_no_more_claims_wait_than_there_is_room_for(
    autojump_clock: MockClock, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk_module, "MAX_CALLS", 2)
    case = Case((ANN, BOB))
    case.links.says = None  # Bob does not say whether Ann may grant
    await nursery.start(case.desk.run)
    modules = [f"example.org/acme/widget@v1.0.{number}" for number in range(3)]
    answers: list[Any] = []

    async def ask(module: str) -> None:
        answers.append(await case.ask(Claim(module, ABLE, record_of(2), avoid=(BOB,))))

    async with trio.open_nursery() as asking:
        for module in modules:
            asking.start_soon(ask, module)
    assert [answer[1] for answer in answers if isinstance(answer, tuple)] == ["too many claims at once"]
    assert sum(isinstance(answer, Grant) for answer in answers) == 2
    assert case.desk.statistics().calls == 0


async def test_what_is_advertised_is_found_and_named(autojump_clock: MockClock, case: Case) -> None:
    holding = Holding(KEY, bytes(32), 3)
    answer = await case.ask(Advert(b"\1" * 8, 0, True, record_of(2), (holding,), ()))
    assert answer == Advertised(b"\1" * 8, 1)
    found = await case.ask(Lookup((MODULE, "nonsense", "example.org/none@v1.0.0")), BOB)
    assert isinstance(found, Found)
    assert [holder.node for holder in found.locations[0].holders] == [EVE]
    assert found.locations[1:] == (Location((), None), Location((), None))
    assert found.records == (record_of(2),)
    assert isinstance(await case.ask(claim(1), BOB), Providers)
    assert [holder.node for holder in case.desk.holders(KEY)] == [EVE]


async def test_an_advert_with_anothers_record_is_refused(autojump_clock: MockClock, case: Case) -> None:
    answer = await case.ask(Advert(b"\1" * 8, 0, True, record_of(1), (), ()))
    assert answer[0] == REFUSED


async def test_who_fetches_is_named_while_its_lease_lives(autojump_clock: MockClock, case: Case) -> None:
    grant = await case.ask(claim())
    await case.ask(Renew(KEY, grant.terms, 100, False, record_of(2)))
    found = await case.ask(Lookup((MODULE,)), BOB)
    assert found.locations[0].growing == Growing(EVE, grant.terms.token, 100)
    await trio.sleep(60)
    assert (await case.ask(Lookup((MODULE,)), BOB)).locations[0].growing is None


async def test_a_release_of_another_changes_nothing(autojump_clock: MockClock, case: Case) -> None:
    grant = await case.ask(claim())
    await case.ask(Renew(KEY, grant.terms, 100, False, record_of(2)))
    await case.ask(Release(KEY, grant.terms.token, FAILED), BOB)
    await case.ask(Renew(KEY, grant_terms(KEYS[5], KEY, BOB, bytes(16)), 1 << 20, False, record_of(1)), BOB)
    await case.ask(Renew(KEY, grant.terms, 1 << 20, False, b"\xc1"))  # a record that is none
    found = await case.ask(Lookup((MODULE,)), BOB)
    assert found.locations[0].growing == Growing(EVE, grant.terms.token, 100)
    assert case.desk.statistics().leases.forged == 1


async def test_a_stop_is_passed_on_with_who_says_it(autojump_clock: MockClock, case: Case) -> None:
    stop = Stop(KEY, bytes(16), None, None)
    await case.ask(stop, BOB)
    assert case.stops == [(BOB, stop)]


async def test_questions_to_the_node_itself_need_no_link(autojump_clock: MockClock, case: Case) -> None:
    holding = Holding(KEY, bytes(32), 3)
    advert = Advert(b"\1" * 8, 0, True, record_of(0), (holding,), ())
    assert await case.desk.ask(Ask(1, ANN, advert, 1.0)) == Advertised(b"\1" * 8, 1)
    found = await case.desk.ask(Ask(2, ANN, Lookup((MODULE,)), 1.0))
    assert [holder.node for holder in found.locations[0].holders] == [ANN]
    await case.desk.tell(Tell(ANN, Stop(KEY, bytes(16), None, None)))
    assert [node for node, _ in case.stops] == [ANN]
    assert case.links.asked == []
    assert case.links.told == []


async def test_who_does_not_answer_has_not_answered(autojump_clock: MockClock, case: Case) -> None:
    assert await case.desk.ask(Ask(1, BOB, Lookup((MODULE,)), 1.0)) is None
    case.links.says = None
    start = trio.current_time()
    assert await case.desk.ask(Ask(1, BOB, Lookup((MODULE,)), 1.0)) is None
    assert trio.current_time() - start == pytest.approx(2.0)  # one for the link
    case.links.says = "an answer"
    assert await case.desk.ask(Ask(1, BOB, Lookup((MODULE,)), 1.0)) == "an answer"


async def test_what_is_held_is_advertised_and_again_when_it_was_not_taken(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    case = Case((ANN, BOB))
    await nursery.start(case.desk.run)
    case.advertiser.hold(Holding(KEY, bytes(32), 3))
    case.desk.nudge()
    await wait_all_tasks_blocked()
    assert [type(message) for _, message in case.links.asked] == [Advert]
    case.links.says = Advertised(bytes(8), 1)
    await trio.sleep(10)
    assert [node for node, _ in case.links.asked] == [BOB, BOB]
    assert [holder.node for holder in case.desk.holders(KEY)] == [ANN]  # of itself it knows without a link


async def test_a_change_of_directors_tells_the_new_home(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    case = Case()
    case.links.says = Advertised(bytes(8), 1)
    await nursery.start(case.desk.run)
    case.advertiser.hold(Holding(KEY, bytes(32), 3))
    case.desk.nudge()
    await wait_all_tasks_blocked()
    assert case.links.asked == []
    case.desk.directors_are([ANN, BOB])
    await wait_all_tasks_blocked()
    assert [node for node, _ in case.links.asked] == [BOB]


async def test_after_a_sleep_nobody_waits_for_what_was_agreed_before(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    case = Case((ANN, BOB))
    case.links.says = None
    await nursery.start(case.desk.run)
    answers: list[Any] = []

    async def ask() -> None:
        answers.append(await case.ask(claim(avoid=(BOB,))))

    async with trio.open_nursery() as asking:
        asking.start_soon(ask)
        await wait_all_tasks_blocked()
        case.desk.wake()
    assert answers == [(REFUSED, "slept")]


async def test_a_desk_that_has_stopped_says_nothing(autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        case = Case()
        await nursery.start(case.desk.run)
        nursery.cancel_scope.cancel()
    case.desk.tell_soon([Tell(BOB, "late")])
    assert case.links.told == []


async def test_a_node_that_died_is_forgotten_after_a_minute(autojump_clock: MockClock, case: Case) -> None:
    case.table.add(BOB, Holding(KEY, bytes(32), 1), now=trio.current_time())
    case.table.died(BOB, now=trio.current_time())
    case.desk.nudge()
    await trio.sleep(GRACE - 1)
    assert case.desk.statistics().providers.entries == 1
    await trio.sleep(2)
    assert case.desk.statistics().providers.entries == 0
