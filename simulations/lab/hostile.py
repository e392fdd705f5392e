"""Eve: a member of the swarm who speaks the protocol, does what a director must, and answers as she is told."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any, Protocol

import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from p2pmods.directory.messages import (
    Advert,
    Advertised,
    Claim,
    Found,
    Growing,
    Holder,
    Intend,
    Intended,
    Location,
    Lookup,
    Providers,
    Release,
    Renew,
    Stop,
    Wait,
)
from p2pmods.identity.records import DIRECTOR, Endpoint
from p2pmods.membership.machine import Membership
from p2pmods.mesh.links import Links
from p2pmods.mesh.members import Members
from p2pmods.mesh.ports import open_sockets
from p2pmods.mesh.roles import DialBack, DialledBack, Directors, WhoDirects
from p2pmods.swarm.messages import NOT_HELD, YOURSELF, GetFile, GetSmall, SmallHead
from p2pmods.swarm.pieces import Follow, GetPieces
from p2pmods.wire.codec import encode
from p2pmods.wire.proofs import AskHead, AskRecord, AskTile, NotHeld

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from p2pmods.config.values import Address
    from p2pmods.identity.swarm import Swarm
    from p2pmods.mesh.answer import Answer
    from p2pmods.mesh.call import Call, Handler

TOKEN = bytes(range(16))
NOTICES = (Renew, Release, Stop)


class Named(Protocol):
    """Whom she may talk to."""

    @property
    def node_id(self) -> str: ...


@dataclass
class Eve:
    """`answers` says how she answers requests of a class; without one she is honest and has nothing.

    `heard` is everything that reached her, but for membership.
    """

    key: Ed25519PrivateKey
    links: Links
    members: Members
    record: bytes = b""
    heard: list[Any] = field(default_factory=list)
    answers: dict[type, Handler] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for asked, answer in self._honest().items():
            self.links.on(asked, self._recorded(asked, answer))

    @property
    def node_id(self) -> str:
        return self.links.node_id

    def count(self, kind: type) -> int:
        """How many messages of this class reached her."""
        return sum(isinstance(message, kind) for message in self.heard)

    def bytes_heard(self) -> bytes:
        return b"\0".join(encode(message) for message in self.heard)

    async def meet(self, node_id: str, there: Endpoint) -> None:
        """Make herself known to the node at that address. Raises PeerError."""
        await self.links.dial(there, expect=node_id, deadline=trio.current_time() + 5)
        self.members.meet(node_id, (there,))

    async def ask(self, node: Named, message: object) -> Answer:
        """Raises PeerError."""
        return await self.links.request(node.node_id, message, deadline=trio.current_time() + 20)

    async def tell(self, node: Named, message: object) -> None:
        await self.links.notify(node.node_id, message)

    # What she may pretend.

    def holder(self, data: bytes, sha256: bytes) -> Holder:
        return Holder(self.node_id, sha256, len(data), 0)

    def says_that_she_holds(self, data: bytes, sha256: bytes) -> None:
        """A zip of these bytes."""
        self.answers[Claim] = replying(Providers((self.holder(data, sha256),), (self.record,)))

    def says_that_she_fetches(self) -> None:
        self.answers[Claim] = replying(Wait(Growing(self.node_id, TOKEN, 0), limited=False, record=self.record))

    def _recorded(self, asked: type, honest: Handler) -> Handler:
        async def handler(call: Call) -> None:
            self.heard.append(call.message)
            await self.answers.get(asked, honest)(call)

        return handler

    def _honest(self) -> dict[type, Handler]:
        async def advertised(call: Call) -> None:
            await call.reply(Advertised(call.message.session, call.message.sequence + 1))

        async def found(call: Call) -> None:
            await call.reply(Found(tuple([Location((), None) for _ in call.message.modules]), ()))

        async def dial_back(call: Call) -> None:
            host = next(link.host for link in self.links.statistics().peers if link.node_id == call.peer)
            await call.reply(DialledBack(Endpoint(host.removeprefix("::ffff:"), call.message.port)))

        async def named(call: Call) -> None:
            await call.reply(Directors((self.record,)))

        answers: dict[type, Handler] = {
            Claim: refusing(64),
            Intend: replying(Intended(None, (), ())),
            Lookup: found,
            Advert: advertised,
            GetFile: refusing(NOT_HELD),
            Follow: refusing(NOT_HELD),
            GetPieces: refusing(NOT_HELD),
            GetSmall: replying(SmallHead(YOURSELF)),
            DialBack: dial_back,
            WhoDirects: named,
            **dict.fromkeys((AskRecord, AskTile, AskHead), replying(NotHeld())),
            **dict.fromkeys(NOTICES, ignoring),
        }
        return answers


def replying(message: object) -> Handler:
    async def handler(call: Call) -> None:
        await call.reply(message)

    return handler


def refusing(code: int) -> Handler:
    async def handler(call: Call) -> None:
        await call.refuse(code, "no")

    return handler


def sending(head: object, *pieces: bytes, length: int | None = None) -> Handler:
    """This head, and then these bytes as its body."""

    async def handler(call: Call) -> None:
        await call.reply_stream(head, length)
        for piece in pieces:
            await call.send(piece)
        await call.end()

    return handler


async def ignoring(call: Call) -> None:
    """Hear it, and say nothing."""
    await trio.lowlevel.checkpoint()


async def silent(call: Call) -> None:
    """Never answer."""
    await trio.sleep_forever()


@asynccontextmanager
async def being_eve(directory: Path, number: int, swarm: Swarm, here: Address) -> AsyncIterator[Eve]:
    """She listens `here`, says that she is a director, and knows nobody yet. `number` makes her key."""
    key = Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)
    directory.mkdir(parents=True)
    sockets = open_sockets(here, directory)
    machine = Membership(key, swarm.datagram_key, Random(number), now=trio.current_time(), hearsay_only=False)

    def addresses(peer: str) -> list[Endpoint]:
        found = machine.members().get(peer)
        return list(found.record.endpoints) if found is not None else []

    links = Links(swarm, key, listeners=sockets.tcp, addresses=addresses, directory=directory)
    eve = Eve(key, links, Members(machine, links, sockets.udp, lambda _event: None))
    async with trio.open_nursery() as nursery:
        await nursery.start(links.run)
        await nursery.start(eve.members.run)
        eve.record = eve.members.set_own_record((Endpoint(here.host, sockets.port),), DIRECTOR).raw
        yield eve
        nursery.cancel_scope.cancel()
