"""The driver of membership moves datagrams and time, and does nothing when nothing happens."""

from __future__ import annotations

import math
import socket
from typing import TYPE_CHECKING, Any

import trio
import trio.testing

from p2pmods.mesh.members import Members

if TYPE_CHECKING:
    from p2pmods.membership.actions import Datagram


class Machine:
    """Wants nothing but to be called every ten seconds; counts how often it is."""

    def __init__(self) -> None:
        self.calls = 0
        self.received: list[bytes] = []
        self.outbox: list[Datagram] = []
        self._next = 10.0

    def handle_timer(self, *, now: float) -> None:
        self.calls += 1
        if now >= self._next:
            self._next = now + 10

    def next_timer(self) -> float:
        return self._next

    def events(self) -> list[Any]:
        return []

    def actions(self) -> list[Any]:
        return []

    def datagrams_to_send(self, *, now: float) -> list[Any]:
        out, self.outbox = self.outbox, []
        return out

    def receive_datagram(self, data: bytes, sender: tuple[str, int], *, now: float) -> None:
        self.received.append(data)

    def leave(self, *, now: float) -> None:
        self._next = math.inf


class NoLinks:
    def on(self, *_: object) -> None:
        pass


def udp() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.bind(("127.0.0.1", 0))
    return sock


def members(machine: Machine, *sockets: socket.socket) -> Members:
    return Members(machine, NoLinks(), sockets, lambda _: None)  # type: ignore[arg-type]


async def test_an_idle_node_sleeps_between_its_timers(autojump_clock: trio.testing.MockClock) -> None:
    machine = Machine()
    async with trio.open_nursery() as nursery:
        await nursery.start(members(machine).run)
        await trio.sleep(100)
        nursery.cancel_scope.cancel()
    assert 10 <= machine.calls <= 12


async def test_datagrams_reach_the_machine() -> None:
    machine = Machine()
    sock = udp()
    async with trio.open_nursery() as nursery:
        await nursery.start(members(machine, sock).run)
        with udp() as other, trio.fail_after(5):
            other.sendto(b"hello", sock.getsockname())
            while not machine.received:
                await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    assert machine.received == [b"hello"]
