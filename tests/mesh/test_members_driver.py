"""The driver of membership: datagrams in and out, links where those do not get through, and a word when it stops."""

from __future__ import annotations

import math
import socket
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from p2pmods.errors import PeerError
from p2pmods.identity.records import Endpoint
from p2pmods.membership.actions import AskByLink, Datagram, Died, MeetByLink, ProbeByLink, TellByLink
from p2pmods.membership.messages import Ack, BucketContents, Missing, News, Ping, TableDigests
from p2pmods.mesh.members import NOT_A_DIRECTOR, Members
from p2pmods.wire.codec import encode
from p2pmods.wire.seal import MAX_DATAGRAM

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

NEWS = News((), ())
PING = Ping(bytes(8), bytes(32), b"", bytes(8), NEWS)
ACK = Ack(bytes(8), bytes(32), bytes(8), NEWS)
DIGESTS = TableDigests(bytes(512), 0)
CONTENTS = BucketContents(0, (), ())
MISSING = Missing((), ())
PLACE = Endpoint("10.9.0.2", 7000)


class Machine:
    """Wants what it was told to want; `heard` is what the driver told it."""

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self.wanted: list[Any] = []
        self.happened: list[Any] = []
        self.datagrams: list[Datagram] = []
        self.answer: Any = None
        self.timer = math.inf

    def next_timer(self) -> float:
        return self.timer

    def events(self) -> list[Any]:
        happened, self.happened = self.happened, []
        return happened

    def actions(self) -> list[Any]:
        wanted, self.wanted = self.wanted, []
        return wanted

    def datagrams_to_send(self, *, now: float) -> list[Datagram]:
        sent, self.datagrams = self.datagrams, []
        return sent

    def handle_timer(self, *, now: float) -> None:
        self.timer = math.inf

    def receive_request(self, peer: str, message: object, *, now: float) -> object:
        self.heard.append(("receive_request", peer, message))
        return self.answer

    def __getattr__(self, name: str) -> Any:
        def hear(*args: object, now: float, **more: object) -> None:
            self.heard.append((name, *args))

        return hear


class Links:
    """`says` is what every node answers to a request, or an error."""

    def __init__(self) -> None:
        self.handlers: dict[type, Any] = {}
        self.says: object = PeerError("bob", "does not answer")
        self.told: list[tuple[str, object]] = []
        self.limits = SimpleNamespace(dial=1.0)

    def on(self, kind: type, handler: object) -> None:
        self.handlers[kind] = handler

    def linked(self) -> frozenset[str]:
        return frozenset({"bob"})

    async def request(self, node: str, message: object, *, deadline: float) -> Any:
        await trio.lowlevel.checkpoint()
        if isinstance(self.says, Exception):
            raise self.says
        return SimpleNamespace(message=self.says, discard=trio.lowlevel.checkpoint)

    async def notify(self, node: str, message: object) -> None:
        await trio.lowlevel.checkpoint()
        self.told.append((node, message))

    async def dial(self, endpoint: Endpoint, *, deadline: float) -> str:
        await trio.lowlevel.checkpoint()
        if isinstance(self.says, Exception):
            raise self.says
        return "bob"


class Case:
    def __init__(self, *sockets: socket.socket) -> None:
        self.machine, self.links, self.events = Machine(), Links(), []  # type: ignore[var-annotated]
        self.members = Members(self.machine, self.links, sockets, self.events.append)  # type: ignore[arg-type]

    async def act(self, action: object) -> list[Any]:
        """What the machine hears when it wanted this."""
        self.machine.heard.clear()
        self.machine.wanted = [action]
        self.members.settle()
        await wait_all_tasks_blocked()
        return self.machine.heard


@pytest.fixture
async def case(nursery: trio.Nursery) -> Case:
    made = Case()
    await nursery.start(made.members.run)
    return made


async def test_a_probe_over_a_link_ends_one_way_or_the_other(case: Case) -> None:
    assert await case.act(ProbeByLink("bob", PING)) == [("link_probe_failed", "bob")]
    case.links.says = CONTENTS
    assert await case.act(ProbeByLink("bob", PING)) == [("link_probe_failed", "bob")]
    case.links.says = ACK
    assert await case.act(ProbeByLink("bob", PING)) == [("link_probe_succeeded", "bob", ACK)]


async def test_a_question_over_a_link_ends_one_way_or_the_other(case: Case) -> None:
    assert await case.act(AskByLink("bob", DIGESTS)) == [("link_failed", "bob")]
    case.links.says = ACK
    assert await case.act(AskByLink("bob", DIGESTS)) == [("link_failed", "bob")]
    case.links.says = CONTENTS
    assert await case.act(AskByLink("bob", DIGESTS)) == [("link_answered", "bob", CONTENTS)]


async def test_who_is_met_by_a_link_is_told_to_the_machine(case: Case) -> None:
    assert await case.act(MeetByLink(PLACE)) == []
    case.links.says = ACK
    assert await case.act(MeetByLink(PLACE)) == [("met", "bob")]


async def test_a_notice_goes_over_a_link(case: Case) -> None:
    await case.act(TellByLink("bob", MISSING))
    assert case.links.told == [("bob", MISSING)]


async def test_what_happens_is_told(case: Case) -> None:
    case.machine.happened = [Died("bob")]
    case.members.settle()
    assert case.events == [Died("bob")]


async def test_only_who_is_linked_is_met_and_every_address_is_tried(case: Case) -> None:
    case.members.meet("eve", (PLACE,))
    assert case.machine.heard == [("join", (PLACE,))]
    case.machine.heard.clear()
    case.members.meet("bob")
    assert case.machine.heard == [("met", "bob"), ("join", ())]


class Call:
    def __init__(self, message: object) -> None:
        self.peer, self.message = "bob", message
        self.answer: Any = None

    async def reply(self, message: object) -> None:
        await trio.lowlevel.checkpoint()
        self.answer = message

    async def refuse(self, code: int, text: str) -> None:
        await trio.lowlevel.checkpoint()
        self.answer = code


@pytest.mark.parametrize("message", [PING, DIGESTS])
async def test_questions_over_links_are_the_machines_to_answer(case: Case, message: object) -> None:
    call = Call(message)
    await case.links.handlers[type(message)](call)
    assert call.answer == NOT_A_DIRECTOR
    case.machine.answer = ACK
    await case.links.handlers[type(message)](call)
    assert call.answer == ACK
    assert case.machine.heard[-1] == ("receive_request", "bob", message)


async def test_a_notice_over_a_link_reaches_the_machine(case: Case) -> None:
    await case.links.handlers[Missing](Call(MISSING))
    assert case.machine.heard == [("receive_notice", "bob", MISSING)]


# Datagrams.


@pytest.fixture
async def pair() -> AsyncIterator[tuple[socket.socket, socket.socket]]:
    """The node's socket, which the driver closes, and another's."""
    made = []
    for _ in range(2):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("127.0.0.1", 0))
        made.append(sock)
    made[0].setblocking(False)
    made[1].settimeout(5)
    yield made[0], made[1]
    made[1].close()


async def test_datagrams_go_to_the_machine_and_out_of_it(pair: tuple[socket.socket, socket.socket]) -> None:
    mine, other = pair
    case = Case(mine)
    async with trio.open_nursery() as nursery:
        await nursery.start(case.members.run)
        other.sendto(b"hello", mine.getsockname())
        other.sendto(bytes(MAX_DATAGRAM + 500), mine.getsockname())
        with trio.fail_after(5):
            while len(case.machine.heard) < 2:  # noqa: ASYNC110 - the kernel tells nobody else
                await trio.sleep(0.01)
        host, port = other.getsockname()
        assert case.machine.heard[0] == ("receive_datagram", b"hello", (host, port))
        assert len(case.machine.heard[1][1]) == MAX_DATAGRAM + 1  # enough to see that it is too long
        unreachable = Datagram(b"lost", ("255.255.255.255", 9))
        case.machine.datagrams = [unreachable, Datagram(b"other family", ("::1", 9)), Datagram(b"bye", (host, port))]
        case.members.settle()
        assert await trio.to_thread.run_sync(other.recv, 100) == b"bye"
        nursery.cancel_scope.cancel()


async def test_whoever_stops_says_so(pair: tuple[socket.socket, socket.socket]) -> None:
    mine, other = pair
    case = Case(mine)
    async with trio.open_nursery() as nursery:
        await nursery.start(case.members.run)
        case.machine.heard.clear()
        case.machine.datagrams = [Datagram(b"farewell", other.getsockname())]
        nursery.cancel_scope.cancel()
    assert case.machine.heard == [("leave",)]
    assert await trio.to_thread.run_sync(other.recv, 100) == b"farewell"
    assert mine.fileno() == -1
    case.machine.wanted = [TellByLink("bob", MISSING)]
    case.members.settle()  # in vain, and no harm


def test_the_messages_here_are_some_that_nodes_send() -> None:
    assert all(encode(message) for message in (PING, ACK, DIGESTS, CONTENTS, MISSING))
