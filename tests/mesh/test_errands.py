"""What a director gets for one node from another: only what it may, so much and no more, and nobody else is asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from p2pmods.directory.messages import Growing as Fetching
from p2pmods.directory.messages import Holder
from p2pmods.errors import MalformedData, PeerError, PeerNotReached, PeerRefused
from p2pmods.fetch.receiving import Receiver
from p2pmods.gomod.module import FileKey, FileKind, ModuleVersion
from p2pmods.identity.key import node_id
from p2pmods.mesh.errands import MAX_ERRANDS, MAX_OF_PEER, Errands, FetchFor
from p2pmods.mesh.growing import Growing, GrowingFiles
from p2pmods.mesh.limits import GROWING_FLOOR, HELD_FLOOR
from p2pmods.mesh.partial import Partial
from p2pmods.mesh.policy import SharingPolicy
from p2pmods.mesh.receiving import Receiving
from p2pmods.mesh.tallies import Tallies
from p2pmods.swarm.messages import BUSY, NOT_HELD, ZIP, FileHead, GetFile
from p2pmods.testing.modzips import make_module_zip
from p2pmods.upstream.sink import BytesSink
from p2pmods.wire.codec import decode, encode
from tests.mesh.hostile import digest, sending
from tests.mesh.world import KEYS
from tests.world import WIDGET

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.mesh.scene import Scene

ANN, BOB, EVE, DAN = (node_id(key) for key in KEYS[:4])
KEY = FileKey(WIDGET, FileKind.ZIP)
SHA, TOKEN = b"\1" * 32, b"\2" * 16


def question(*, token: bytes | None = None, module: ModuleVersion = WIDGET, node: str = BOB) -> FetchFor:
    return FetchFor(node, module.path, module.version, 0, SHA if token is None else None, token)


@dataclass
class FakeCall:
    message: Any
    peer: str = EVE
    code: int | None = None

    async def refuse(self, code: int, text: str) -> None:
        await trio.lowlevel.checkpoint()
        self.code = code


@dataclass
class Case:
    """Dan, a director, with a link to Bob. What is brought comes when `come` is set, or fails with `failure`."""

    nursery: trio.Nursery
    near: set[str] = field(default_factory=lambda: {BOB})
    held: set[str] = field(default_factory=set)
    private: str = "example.org/private"
    handlers: dict[type, Any] = field(default_factory=dict)
    brought: list[Holder | Fetching] = field(default_factory=list)
    given: list[tuple[str, GetFile]] = field(default_factory=list)
    come: trio.Event = field(default_factory=trio.Event)
    failure: PeerError | None = None

    def __post_init__(self) -> None:
        self.growing = GrowingFiles()
        policy = SharingPolicy("sum.example.org", lambda path: path.startswith(self.private), is_public=True)
        shelf: Any = SimpleNamespace(open_file=self._open)
        giving: Any = SimpleNamespace(file=self._give)
        links: Any = SimpleNamespace(
            on=self.handlers.__setitem__, linked=lambda: frozenset(self.near), request=self._request
        )
        introductions: Any = SimpleNamespace(between=lambda _node: (ANN, DAN), apart=frozenset)
        self.policy = policy
        self.answers: dict[str, Any] = {}
        self.asked: list[tuple[str, Any]] = []
        self.errands = Errands(links, introductions, policy, self.growing, shelf, giving)
        self.errands.bring = self._bring

    def _open(self, _key: FileKey, sha256: str) -> Any:
        return trio.CancelScope() if sha256 in self.held else None  # any context manager

    async def _give(self, call: Any) -> None:
        await trio.lowlevel.checkpoint()
        self.given.append((call.peer, call.message))

    async def _bring(self, key: FileKey, source: Holder | Fetching, watch: Any) -> None:
        assert key.kind is FileKind.ZIP
        self.brought.append(source)
        if self.failure is not None:
            raise self.failure
        watch(BytesSink())
        await self.come.wait()

    async def _request(self, node: str, message: Any, **_: Any) -> Any:
        await trio.lowlevel.checkpoint()
        self.asked.append((node, message))
        if isinstance(self.answers[node], PeerError):
            raise self.answers[node]
        return self.answers[node]

    async def receive(self, message: FetchFor, *, peer: str = EVE) -> int | None:
        call = FakeCall(message, peer)
        await self.handlers[FetchFor](call)
        return call.code


@pytest.fixture
async def case() -> AsyncIterator[Case]:
    async with trio.open_nursery() as nursery:
        case = Case(nursery)
        await nursery.start(case.errands.run)
        yield case
        nursery.cancel_scope.cancel()


async def test_an_object_is_got_from_its_holder_and_given_while_it_arrives(case: Case) -> None:
    assert await case.receive(question()) is None
    assert case.brought == [Holder(BOB, SHA, 0, 0)]
    [(peer, wanted)] = case.given
    assert (peer, wanted.key, wanted.offset, wanted.sha256) == (EVE, KEY, 0, None)
    assert wanted.token is not None
    assert await case.growing.find(KEY, wanted.token) is not None


async def test_what_grows_is_read_along_under_another_token(case: Case) -> None:
    assert await case.receive(question(token=TOKEN)) is None
    assert case.brought == [Fetching(BOB, TOKEN, 0)]
    assert case.given[0][1].token not in (None, TOKEN)


async def test_what_is_held_is_given_without_a_word_to_anybody(case: Case) -> None:
    case.held.add(SHA.hex())
    assert await case.receive(question()) is None
    assert case.brought == []
    assert case.given == [(EVE, GetFile(WIDGET.path, WIDGET.version, ZIP, 0, SHA))]


async def test_all_who_want_the_same_share_one_errand(case: Case) -> None:
    for peer in (ANN, EVE):
        assert await case.receive(question(), peer=peer) is None
    assert len(case.brought) == 1
    assert len({wanted.token for _, wanted in case.given}) == 1


@pytest.mark.parametrize(
    ("message", "peer"),
    [
        (question(node=ANN), EVE),  # no link to Ann
        (question(), BOB),  # from itself
        (question(module=ModuleVersion("example.org/private/thing", "v1.0.0")), EVE),
        (FetchFor(BOB, "../etc", "v1.0.0", 0, SHA, None), EVE),
    ],
    ids=["no link", "itself", "private", "no path"],
)
async def test_nothing_is_got_that_may_not_be_named_or_would_need_a_dial(
    case: Case, message: FetchFor, peer: str
) -> None:
    assert await case.receive(message, peer=peer) == NOT_HELD
    assert case.brought == []
    assert case.given == []


async def test_a_node_that_gives_nothing_gets_nothing_for_others(case: Case) -> None:
    case.policy.paused = True
    assert await case.receive(question()) == BUSY
    assert case.brought == []


async def test_a_node_that_cannot_keep_files_gets_none(case: Case) -> None:
    case.errands.bring = None
    assert await case.receive(question()) == NOT_HELD


def numbered(number: int) -> FetchFor:
    return question(token=bytes([number]) * 16)


async def test_one_peer_begins_two_errands_at_once_and_others_are_served_all_the_same(case: Case) -> None:
    codes = [await case.receive(numbered(number)) for number in range(MAX_OF_PEER + 2)]
    assert codes == [None] * MAX_OF_PEER + [BUSY] * 2
    assert await case.receive(numbered(100), peer=ANN) is None


async def test_there_is_a_cap_on_errands_which_frees_when_they_end(case: Case) -> None:
    peers = [f"{number:052}" for number in range(MAX_ERRANDS + 1)]
    codes = [await case.receive(numbered(number), peer=peer) for number, peer in enumerate(peers)]
    assert codes == [None] * MAX_ERRANDS + [BUSY]
    case.come.set()
    await wait_all_tasks_blocked()
    assert len(case.growing) == 0
    assert await case.receive(numbered(50), peer=peers[0]) is None
    assert case.errands._of_peer.total() <= 1


async def test_an_errand_that_fails_ends_and_can_be_begun_again(case: Case) -> None:
    case.failure = PeerError(BOB, "has it no more")
    for _ in range(MAX_OF_PEER + 1):
        assert await case.receive(question()) is None
    assert len(case.brought) == MAX_OF_PEER + 1
    assert await case.growing.find(KEY, case.given[0][1].token or b"") is None


@pytest.mark.parametrize(("sha256", "token"), [(None, None), (SHA, TOKEN)])
def test_a_question_that_names_nothing_or_two_things_is_malformed(sha256: bytes | None, token: bytes | None) -> None:
    with pytest.raises(ValueError, match="not both"):
        FetchFor(BOB, WIDGET.path, WIDGET.version, 0, sha256, token)
    good = encode(question())
    with pytest.raises(MalformedData):
        decode(good.replace(b"\xc4\x20" + SHA, b"\xc0"))


# As the one who asks.

WANTED = GetFile(WIDGET.path, WIDGET.version, ZIP, 7, SHA)


async def test_directors_are_asked_in_turn(case: Case) -> None:
    case.answers = {ANN: PeerRefused(ANN, NOT_HELD, ""), DAN: "answer"}
    assert await case.errands.ask(BOB, WANTED, deadline=0) == "answer"  # type: ignore[comparison-overlap]
    message = FetchFor(BOB, WIDGET.path, WIDGET.version, 7, SHA, None)
    assert case.asked == [(ANN, message), (DAN, message)]


async def test_one_that_is_busy_now_may_be_asked_again(case: Case) -> None:
    case.answers = {ANN: PeerRefused(ANN, BUSY, ""), DAN: PeerError(DAN, "gone")}
    with pytest.raises(PeerRefused) as caught:
        await case.errands.ask(BOB, WANTED, deadline=0)
    assert caught.value.code == BUSY


@dataclass
class FakeAnswer:
    node_id: str
    message: object
    body: bytes = b"zip"

    async def __aiter__(self) -> AsyncIterator[bytes]:
        await trio.lowlevel.checkpoint()
        yield self.body

    async def discard(self) -> None:
        await trio.lowlevel.checkpoint()


@dataclass
class Ways:
    """Bob is not reached; Dan answers for him."""

    direct: Any = field(default_factory=lambda: PeerNotReached(BOB, "apart"))
    through: Any = field(default_factory=lambda: FakeAnswer(DAN, FileHead(None, None)))
    is_known: bool = False
    tried: list[str] = field(default_factory=list)
    floors: list[int] = field(default_factory=list)

    async def request(self, node: str, message: object, *, deadline: float, floor: int = 0) -> Any:
        self.floors.append(floor)
        return await self._answer("direct", self.direct)

    async def ask(self, node: str, wanted: GetFile, *, deadline: float) -> Any:
        return await self._answer("through", self.through)

    def is_needed(self, _node: str) -> bool:
        return self.is_known

    async def _answer(self, name: str, answer: Any) -> Any:
        await trio.lowlevel.checkpoint()
        self.tried.append(name)
        if isinstance(answer, PeerError):
            raise answer
        return answer

    @property
    def receiving(self) -> Receiving:
        gathering: Any = SimpleNamespace(by_peer=Tallies())
        return Receiving(self, gathering, self)  # type: ignore[arg-type]

    async def receive(self) -> list[str]:
        partial = Partial(Receiver(_no_temp))
        return await self.receiving.from_holders(KEY, [Holder(BOB, SHA, 3, 0)], partial, lambda _count: None)


def _no_temp() -> Any:
    raise AssertionError("three bytes fit in memory")


async def test_what_cannot_be_reached_comes_through_a_director_who_is_named_as_its_giver() -> None:
    ways = Ways()
    assert await ways.receive() == [DAN]
    assert ways.tried == ["direct", "through"]


async def test_who_was_out_of_reach_a_moment_ago_is_not_tried_again() -> None:
    ways = Ways(is_known=True)
    assert await ways.receive() == [DAN]
    assert ways.tried == ["through"]


async def test_a_director_on_an_errand_sends_nobody_on_another() -> None:
    ways = Ways(is_known=True)
    with pytest.raises(PeerNotReached):
        await ways.receiving.whole(KEY, Holder(BOB, SHA, 3, 0), BytesSink())
    assert ways.tried == ["direct"]


async def test_what_a_fetcher_still_receives_may_come_as_slowly_as_a_line_that_many_share() -> None:
    ways = Ways(direct=FakeAnswer(BOB, FileHead(None, None)))
    partial = Partial(Receiver(_no_temp))
    assert await ways.receiving.from_fetcher(KEY, Fetching(BOB, TOKEN, 0), partial, lambda _count: None) == [BOB]
    assert ways.floors == [GROWING_FLOOR]


async def test_a_holder_must_be_faster_than_that() -> None:
    ways = Ways(direct=FakeAnswer(BOB, FileHead(3, SHA)))
    assert await ways.receive() == [BOB]
    assert ways.floors == [HELD_FLOOR]


async def test_a_holder_itself_must_name_the_object() -> None:
    ways = Ways(direct=FakeAnswer(BOB, FileHead(None, None)))
    with pytest.raises(PeerError, match="another object"):
        await ways.receive()


async def test_a_director_that_names_another_object_is_refused() -> None:
    ways = Ways(through=FakeAnswer(DAN, FileHead(3, bytes(32))))
    with pytest.raises(PeerError, match="another object"):
        await ways.receive()


# A real node, and a member that gives what is wrong.


async def test_what_is_got_for_others_is_verified_before_it_is_kept(scene: Scene) -> None:
    module = scene.next_version()
    bad = make_module_zip(module, {"go.mod": b"module example.org/acme/widget\n", "widget.go": b"package evil\n"})
    scene.eve.answers[GetFile] = sending(FileHead(len(bad), digest(bad)), bad, length=len(bad))
    bring = scene.mesh.errands.bring
    assert bring is not None
    holder = scene.eve.holder(bad, digest(bad))
    seen: list[Any] = []
    with pytest.raises(PeerError):
        await bring(FileKey(module, FileKind.ZIP), holder, lambda backing: _watched(backing, seen))
    assert seen[0].size == len(bad)  # who asked had it to read, and verifies it too
    assert scene.mesh.blame.is_struck(scene.eve.node_id)
    scene.check_kept()


def _watched(backing: Any, seen: list[Any]) -> Any:
    seen.append(Growing(backing, lambda _size: None, lambda _at: None))
    return seen[-1]
