"""Nodes with links on loopback, and messages for them to say."""

from __future__ import annotations

import itertools
import socket
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import attrs
import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from p2pmods.identity.key import node_id
from p2pmods.identity.records import Endpoint
from p2pmods.identity.swarm import Swarm
from p2pmods.mesh.links import Links
from p2pmods.wire.bounds import at_most
from p2pmods.wire.codec import message

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from p2pmods.mesh.answer import Answer
    from p2pmods.mesh.call import Call
    from p2pmods.mesh.limits import LinkLimits
    from p2pmods.wire.budget import Budget

SWARM = Swarm("test", bytes(32))
OTHER_SWARM = Swarm("test", bytes(31) + b"\1")
SOON = 30.0  # seconds that nothing here should take


@message(240)
class Echo:
    text: str = attrs.field(validator=at_most(60_000))


@message(241)
class Want:
    """A body of `size` bytes."""

    size: int


@message(242)
class Unheard:
    """Nobody handles it."""


def soon() -> float:
    return trio.current_time() + SOON


def key_of(number: int) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)


# In the order of their node ids.
KEYS = sorted((key_of(number) for number in range(1, 9)), key=node_id)


@dataclass
class World:
    """Every node knows where every other one listens."""

    directory: Path
    nursery: trio.Nursery
    nodes: list[Links] = field(default_factory=list)
    places: dict[str, list[Endpoint]] = field(default_factory=dict)
    numbers: itertools.count[int] = field(default_factory=itertools.count)

    async def start(
        self,
        *,
        swarm: Swarm = SWARM,
        key: Ed25519PrivateKey | None = None,
        limits: LinkLimits | None = None,
        budget: Budget | None = None,
        is_known: bool = True,
    ) -> Links:
        """A node that echoes and sends what is wanted; `is_known` to the others by its address."""
        listener = listening()
        links = Links(
            swarm,
            key or KEYS[next(self.numbers)],
            listeners=[listener],
            addresses=lambda peer: self.places.get(peer, []),
            directory=self.directory,
            limits=limits,
            budget=budget,
        )
        links.on(Echo, echo)
        links.on(Want, send_wanted)
        if is_known:
            self.places[links.node_id] = [place_of(links)]
        self.nodes.append(links)
        await self.nursery.start(links.run)
        return links


@asynccontextmanager
async def world(directory: Path) -> AsyncIterator[World]:
    async with trio.open_nursery() as nursery:
        with trio.fail_after(SOON):
            yield World(directory, nursery)
        nursery.cancel_scope.cancel()


def listening(host: str = "127.0.0.1") -> socket.socket:
    listener = socket.create_server((host, 0), backlog=512)
    listener.setblocking(False)
    return listener


def place_of(links: Links, host: str = "127.0.0.1") -> Endpoint:
    return Endpoint(host, links.port)


async def echo(call: Call) -> None:
    await call.reply(call.message)


async def send_wanted(call: Call) -> None:
    size = call.message.size
    await call.reply_stream(call.message, size)
    while size:
        step = min(size, 64 << 10)
        await call.send(bytes(step))
        size -= step
    await call.end()


async def ask(links: Links, peer: Links, text: str = "hello") -> Any:
    """The answer's head."""
    return (await links.request(peer.node_id, Echo(text), deadline=soon())).message


async def read_all(answer: Answer) -> int:
    return sum([len(piece) async for piece in answer])
