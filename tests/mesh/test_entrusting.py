"""What seeds are told, which seeds, and what happens when they do not listen."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import trio

from p2pmods.directory.messages import MAX_ENTRUSTED, Advertised, Entrust, Entrusted
from p2pmods.directory.rendezvous import Rendezvous, homes
from p2pmods.errors import PeerError
from p2pmods.gomod.module import FileKey, FileKind, ModuleVersion
from p2pmods.identity.key import node_id
from p2pmods.mesh import entrusting
from p2pmods.mesh.entrusting import AGAIN, ASK_TIME, SEEDS, Entrusting
from p2pmods.mesh.names import key_of_file, name_of
from tests.mesh.world import KEYS, SWARM

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from trio.testing import MockClock

ANN, BOB, EVE, DAN, FAY = (node_id(key) for key in KEYS[:5])
LAN, WAN = "10.0.0.7", "203.0.113.7"


def zip_of(number: int) -> FileKey:
    return FileKey(ModuleVersion("example.org/m", f"v1.0.{number}"), FileKind.ZIP)


@dataclass
class Case:
    """Ann, who tells; the others are directors, and seeds when they say so. `rooms`: what each takes of a message."""

    nursery: trio.Nursery
    is_public: bool = False
    hosts: dict[str, str] = field(default_factory=dict)
    dials: dict[str, str] = field(default_factory=dict)  # where a link goes that is made
    rooms: dict[str, int] = field(default_factory=dict)
    deaf: set[str] = field(default_factory=set)
    slow: dict[str, float] = field(default_factory=dict)  # seconds until each answers
    asked: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    answer: Any = None

    def __post_init__(self) -> None:
        self.standing = SimpleNamespace(seeds=frozenset())
        self.rendezvous = Rendezvous([ANN, BOB, EVE, DAN, FAY])
        links: Any = SimpleNamespace(node_id=ANN, host=self.hosts.get, request=self._request)
        standing: Any = self.standing
        self.entrusting = Entrusting(
            SWARM, links, standing, self.rendezvous, lambda host: host == LAN, is_public=self.is_public
        )

    def begin(self, *seeds: str) -> None:
        self.standing.seeds = frozenset(seeds)
        self.nursery.start_soon(self.entrusting.run)

    async def _request(self, node: str, message: Entrust, *, deadline: float) -> Any:
        await trio.lowlevel.checkpoint()
        assert deadline > trio.current_time()
        self.asked.append((node, message.files))
        await trio.sleep(self.slow.get(node, 0.0))
        if node in self.deaf:
            raise PeerError(node, "does not answer")
        self.hosts.setdefault(node, self.dials.get(node, LAN))
        taken = min(len(message.files), self.rooms.get(node, MAX_ENTRUSTED))
        if node in self.rooms:
            self.rooms[node] -= taken
        return SimpleNamespace(message=self.answer or Entrusted(taken), discard=trio.lowlevel.checkpoint)

    def told(self, node: str) -> list[str]:
        return [name for to, names in self.asked if to == node for name in names]


@pytest.fixture
async def case() -> AsyncIterator[Case]:
    async with trio.open_nursery() as nursery:
        yield Case(nursery)
        nursery.cancel_scope.cancel()


async def test_a_seed_hears_of_each_file_once_in_messages_that_are_not_too_long(
    autojump_clock: MockClock, case: Case
) -> None:
    for number in range(150):
        case.entrusting.fetched(zip_of(number))
        case.entrusting.fetched(zip_of(number))
    case.begin(BOB)
    await trio.sleep(60)
    assert case.told(BOB) == [name_of(zip_of(number)) for number in range(150)]
    assert [len(names) for _, names in case.asked] == [64, 64, 22]
    case.entrusting.fetched(zip_of(150))
    case.entrusting.fetched(zip_of(150))
    await trio.sleep(1)
    assert case.told(BOB)[150:] == [name_of(zip_of(150))]


async def test_two_of_many_seeds_hear_of_a_file_and_who_is_none_of_nothing(
    autojump_clock: MockClock, case: Case
) -> None:
    seeds = [ANN, BOB, EVE, DAN]
    case.begin(*seeds)
    for number in range(40):
        case.entrusting.fetched(zip_of(number))
    await trio.sleep(60)
    assert case.told(ANN) == case.told(FAY) == []
    for number in range(40):
        key = key_of_file(SWARM, zip_of(number))
        heard = {node for node in seeds if name_of(zip_of(number)) in case.told(node)}
        assert heard == set(homes(key, [BOB, EVE, DAN], SEEDS))


async def test_a_seed_that_comes_later_hears_of_what_was_fetched_before(
    autojump_clock: MockClock, case: Case
) -> None:
    case.begin()
    case.entrusting.fetched(zip_of(1))
    await trio.sleep(60)
    assert case.asked == []
    case.standing.seeds = frozenset([BOB])
    await trio.sleep(entrusting.EVERY + 1)
    assert case.told(BOB) == [name_of(zip_of(1))]


async def test_a_seed_that_is_no_director_hears_of_nothing_yet(autojump_clock: MockClock, case: Case) -> None:
    case.rendezvous.update([ANN])
    case.entrusting.fetched(zip_of(1))
    case.begin(BOB)
    await trio.sleep(60)
    assert case.asked == []


async def test_what_is_remembered_is_bounded_and_the_newest_of_it(
    autojump_clock: MockClock, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entrusting, "MAX_FILES", 100)
    for number in range(250):
        case.entrusting.fetched(zip_of(number))
    case.begin(BOB)
    await trio.sleep(60)
    assert case.told(BOB) == [name_of(zip_of(number)) for number in range(150, 250)]


async def test_a_name_that_no_message_holds_is_left_out(autojump_clock: MockClock, case: Case) -> None:
    case.entrusting.fetched(FileKey(ModuleVersion("example.org/" + "m" * 600, "v1.0.0"), FileKind.ZIP))
    case.entrusting.fetched(zip_of(1))
    case.begin(BOB)
    await trio.sleep(60)
    assert case.told(BOB) == [name_of(zip_of(1))]


async def test_a_seed_that_does_not_answer_is_asked_again_later_and_keeps_no_other_waiting(
    autojump_clock: MockClock, case: Case
) -> None:
    case.deaf.add(BOB)
    case.entrusting.fetched(zip_of(1))
    case.begin(BOB, EVE)
    await trio.sleep(AGAIN - 1)
    assert case.told(EVE) == [name_of(zip_of(1))]
    assert len(case.told(BOB)) == 1
    case.deaf.clear()
    await trio.sleep(AGAIN)
    assert len(case.told(BOB)) == 2
    await trio.sleep(10 * AGAIN)
    assert len(case.told(BOB)) == 2


async def test_a_seed_that_is_slow_keeps_no_other_waiting(autojump_clock: MockClock, case: Case) -> None:
    case.slow[BOB] = ASK_TIME
    case.entrusting.fetched(zip_of(1))
    case.begin(BOB, EVE)
    await trio.sleep(1)
    case.entrusting.fetched(zip_of(2))
    await trio.sleep(1)
    assert case.told(EVE) == [name_of(zip_of(1)), name_of(zip_of(2))]
    assert case.told(BOB) == [name_of(zip_of(1))]
    await trio.sleep(2 * ASK_TIME)
    assert case.told(BOB) == [name_of(zip_of(1)), name_of(zip_of(2))]


async def test_a_seed_without_room_hears_of_the_rest_later(autojump_clock: MockClock, case: Case) -> None:
    case.rooms[BOB] = 10
    for number in range(20):
        case.entrusting.fetched(zip_of(number))
    case.begin(BOB)
    await trio.sleep(AGAIN - 1)
    assert case.told(BOB) == [name_of(zip_of(number)) for number in range(20)]
    case.rooms[BOB] = 100
    await trio.sleep(AGAIN)
    assert case.told(BOB)[20:] == [name_of(zip_of(number)) for number in range(10, 20)]
    await trio.sleep(10 * AGAIN)
    assert len(case.told(BOB)) == 30


@pytest.mark.parametrize("answer", [Entrusted(2), Advertised(bytes(8), None)], ids=["too-many", "another"])
async def test_a_seed_that_answers_nonsense_is_left_alone_for_a_while(
    autojump_clock: MockClock, case: Case, answer: object
) -> None:
    case.answer = answer
    case.entrusting.fetched(zip_of(1))
    case.begin(BOB)
    await trio.sleep(AGAIN - 1)
    assert len(case.asked) == 1
    case.answer = None
    await trio.sleep(AGAIN)
    assert len(case.asked) == 2


@pytest.mark.parametrize("is_linked", [True, False])
async def test_on_the_public_swarm_a_stranger_that_calls_itself_a_seed_hears_no_name(
    autojump_clock: MockClock, is_linked: bool
) -> None:
    async with trio.open_nursery() as nursery:
        case = Case(nursery, is_public=True)
        case.dials[EVE] = WAN
        if is_linked:
            case.hosts.update({EVE: WAN, BOB: LAN})
        case.entrusting.fetched(zip_of(1))
        case.begin(BOB, EVE)
        await trio.sleep(10 * AGAIN)
        assert case.told(BOB) == [name_of(zip_of(1))]
        assert case.told(EVE) == []
        nursery.cancel_scope.cancel()


async def test_on_the_public_swarm_strangers_take_no_place_among_the_seeds_that_hear_of_a_file(
    autojump_clock: MockClock,
) -> None:
    async with trio.open_nursery() as nursery:
        case = Case(nursery, is_public=True, hosts={BOB: LAN, EVE: WAN, DAN: WAN, FAY: WAN})
        files = [zip_of(number) for number in range(40)]
        for key in files:
            case.entrusting.fetched(key)
        case.begin(BOB, EVE, DAN, FAY)
        await trio.sleep(10 * AGAIN)
        assert case.told(BOB) == [name_of(key) for key in files]
        nursery.cancel_scope.cancel()


async def test_on_the_public_swarm_a_seed_that_went_elsewhere_hears_no_more(autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        case = Case(nursery, is_public=True, hosts={BOB: LAN})
        case.entrusting.fetched(zip_of(1))
        case.begin(BOB, EVE)
        await trio.sleep(AGAIN)
        case.hosts[BOB] = WAN
        case.entrusting.fetched(zip_of(2))
        await trio.sleep(10 * AGAIN)
        assert case.told(BOB) == [name_of(zip_of(1))]
        assert case.told(EVE) == [name_of(zip_of(1)), name_of(zip_of(2))]
        nursery.cancel_scope.cancel()
