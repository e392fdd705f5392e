"""Faults of this node's own parts stay where they are; bounds hold where they are rarely met."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from p2pmods.errors import PeerError, PeerRefused
from p2pmods.mesh.door import block_of
from p2pmods.mesh.limits import LinkLimits
from p2pmods.mesh.link import Link
from p2pmods.mesh.sockets import keep_queue_short
from p2pmods.mesh.tls import contexts
from p2pmods.wire.codec import encode
from p2pmods.wire.events import Code
from p2pmods.wire.frames import CREDIT, PREFACE, Kind, encode_frame
from tests.mesh.world import KEYS, SWARM, Echo, Unheard, Want, ask, soon, world

if TYPE_CHECKING:
    from pathlib import Path

    from p2pmods.identity.records import Endpoint
    from p2pmods.mesh.call import Call


@pytest.mark.parametrize(
    ("host", "block"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
    ],
)
def test_an_address_stands_for_what_one_party_has(host: str, block: str) -> None:
    assert block_of(host) == block


def test_without_the_option_the_kernel_s_queue_is_short_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as sock:
        before = sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
        keep_queue_short(sock)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) == before
        monkeypatch.delattr(socket, "TCP_NOTSENT_LOWAT", raising=False)
        keep_queue_short(sock)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) <= 256 << 10


async def test_a_message_has_one_handler(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        ann = await w.start()
        with pytest.raises(ValueError, match="Echo has a handler"):
            ann.on(Echo, ann.handler_for(Echo))  # type: ignore[arg-type]


async def test_a_handler_whose_tasks_fail_while_it_is_cancelled_ends_nothing_else(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        ann, bob = await w.start(), await w.start()
        begun, over = trio.Event(), trio.Event()

        async def stubborn() -> None:
            try:
                await trio.sleep_forever()
            finally:
                raise RuntimeError("in the middle of it")

        async def handler(_: Call) -> None:
            try:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(stubborn)
                    begun.set()
                    await trio.sleep_forever()
            finally:
                over.set()

        bob.on(Unheard, handler)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: ann.request(bob.node_id, Unheard(), deadline=soon()))
            await begun.wait()
            nursery.cancel_scope.cancel()
        await over.wait()
        assert await ask(ann, bob) == Echo("hello")
        assert ann.statistics().dialled == 1


async def test_a_handler_that_does_not_answer_is_a_refusal(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        ann, bob = await w.start(), await w.start()

        async def forgetful(_: Call) -> None:
            await trio.lowlevel.checkpoint()

        bob.on(Unheard, forgetful)
        with pytest.raises(PeerRefused, match="no answer") as caught:
            await ann.request(bob.node_id, Unheard(), deadline=soon())
        assert caught.value.code == Code.FAILED


async def test_a_fault_in_one_link_ends_that_link_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with world(tmp_path) as w:
        ann, bob, carl = [await w.start() for _ in range(3)]
        await ask(ann, carl)
        take = Link._dispatch

        def fail(self: Link, events: list[object]) -> None:
            if self.peer == bob.node_id and events:
                raise RuntimeError("a bug")
            take(self, events)  # type: ignore[arg-type]

        monkeypatch.setattr(Link, "_dispatch", fail)
        with pytest.raises(PeerError):
            await ask(ann, bob)
        assert await ask(ann, carl) == Echo("hello")


async def test_a_fault_in_the_addresses_fails_the_dial_alone(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        ann, bob = await w.start(), await w.start()
        known = ann.addresses

        def fail(_: str) -> list[Endpoint]:
            raise RuntimeError("a bug")

        ann.addresses = fail
        with pytest.raises(PeerError, match="no link in time"):
            await ask(ann, bob)
        ann.addresses = known
        assert await ask(ann, bob) == Echo("hello")


async def test_who_takes_nothing_of_what_it_asked_for_loses_the_link(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        ann = await w.start(limits=LinkLimits(stall=0.05))
        stream = await trio.open_tcp_stream("127.0.0.1", ann.port)
        stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        secure = trio.SSLStream(stream, contexts(SWARM, KEYS[7], tmp_path).client, https_compatible=True)
        want = CREDIT.pack(16 << 20) + encode(Want(16 << 20))
        await secure.send_all(PREFACE + encode_frame(Kind.REQUEST, 1, want))
        await wait_all_tasks_blocked()
        (link,) = ann._table
        await link.ended.wait()
        assert link.reason == "it takes nothing of what it is sent"
        assert ann.linked() == frozenset()
        await trio.aclose_forcefully(secure)


async def test_a_node_with_all_its_links_in_use_dials_no_more(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        ann, bob, carl = await w.start(limits=LinkLimits(links=1)), await w.start(), await w.start()
        body = await ann.request(bob.node_id, Want(10_000_000), deadline=soon())
        with pytest.raises(PeerError, match="all the links that it may have"):
            await ask(ann, carl)
        await body.discard()


async def test_a_node_that_does_not_run_asks_nobody(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        ann, bob = await w.start(), await w.start()
        ann._nursery = None
        with pytest.raises(PeerError, match="not running"):
            await ask(ann, bob)


async def test_of_two_links_the_other_serves_when_one_goes(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        ann, bob = await w.start(is_known=False), await w.start()
        for _ in range(2):  # at bob both stay for a moment: ann dialled, ann says which goes
            await ann.dial(w.places[bob.node_id][0], deadline=soon())
        for number in range(20):
            assert await ask(bob, ann, str(number)) == Echo(str(number))
        assert bob.statistics().dialled == 0


@pytest.mark.parametrize("data", [b"\xc1", b"\x91\x01"])
async def test_a_notice_that_is_no_message_is_nothing(tmp_path: Path, data: bytes) -> None:
    async with world(tmp_path) as w:
        ann, bob = await w.start(), await w.start()
        await ask(ann, bob)
        (link,) = ann._table
        link.notify(data)
        assert await ask(ann, bob) == Echo("hello")
