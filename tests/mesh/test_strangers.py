"""Whoever is no member, or no node, gets nowhere and disturbs nobody."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
from collections import deque
from typing import TYPE_CHECKING

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from p2pmods.errors import PeerError
from p2pmods.identity.certificate import mint
from p2pmods.identity.records import Endpoint
from p2pmods.mesh.limits import LinkLimits
from p2pmods.mesh.tls import ALPN, contexts, reason_of
from p2pmods.wire.frames import PREFACE
from tests.mesh.world import KEYS, OTHER_SWARM, SWARM, Echo, Want, ask, listening, place_of, read_all, soon, world

if TYPE_CHECKING:
    from pathlib import Path

    from p2pmods.mesh.links import Links


def client_context(directory: Path, *, alpn: str = ALPN) -> ssl.SSLContext:
    context = contexts(SWARM, KEYS[7], directory).client
    context.set_alpn_protocols([alpn])
    return context


async def tls_to(links: Links, context: ssl.SSLContext) -> trio.SSLStream[trio.SocketStream]:
    stream = await trio.open_tcp_stream("127.0.0.1", links.port)
    return trio.SSLStream(stream, context, https_compatible=True)


async def ends(stream: trio.abc.Stream) -> bool:
    """The other side ends the connection, whatever it says first."""
    try:
        while await stream.receive_some():
            pass
    except trio.BrokenResourceError:
        pass
    await trio.aclose_forcefully(stream)
    return True


async def test_a_node_of_another_swarm_is_refused_on_both_sides(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        ann, eve = await w.start(), await w.start(swarm=OTHER_SWARM)
        for one, other in ((ann, eve), (eve, ann)):
            with pytest.raises(PeerError, match="its certificate is not of this swarm"):
                await one.dial(place_of(other), deadline=soon())
        assert ann.linked() == eve.linked() == frozenset()


async def test_who_is_refused_learns_it_at_the_first_read(tmp_path: Path) -> None:
    """In TLS 1.3 the client's handshake succeeds before the server has looked at its certificate."""
    async with world(tmp_path) as w:
        ann = await w.start()
        stranger = contexts(OTHER_SWARM, KEYS[7], tmp_path).client
        stranger.check_hostname = False
        stranger.verify_mode = ssl.CERT_NONE
        stream = await tls_to(ann, stranger)
        await stream.do_handshake()
        assert await ends(stream)
        assert ann.statistics().failed == 1


async def test_without_a_certificate_there_is_no_link(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        ann = await w.start()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_alpn_protocols([ALPN])
        stream = await tls_to(ann, context)
        await stream.do_handshake()
        assert await ends(stream)
        assert ann.linked() == frozenset()


async def test_tls_1_2_is_not_spoken(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        ann = await w.start()
        context = client_context(tmp_path)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        stream = await tls_to(ann, context)
        with pytest.raises(trio.BrokenResourceError):
            await stream.do_handshake()
        await trio.aclose_forcefully(stream)


@pytest.mark.parametrize("alpn", ["h2", "p2pmods/2"])
async def test_a_member_that_speaks_something_else_is_told_apart(tmp_path: Path, alpn: str) -> None:
    async with world(tmp_path) as w:
        ann = await w.start()
        stream = await tls_to(ann, client_context(tmp_path, alpn=alpn))
        with contextlib.suppress(trio.BrokenResourceError):
            await stream.send_all(PREFACE)
        assert await ends(stream)
        assert ann.statistics().failed == 1
        assert ann.linked() == frozenset()


@pytest.mark.parametrize("said", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", os.urandom(500), b""])
async def test_what_is_not_tls_is_hung_up_on(tmp_path: Path, said: bytes) -> None:
    async with world(tmp_path) as w:
        ann, bob = await w.start(), await w.start()
        stream = await trio.open_tcp_stream("127.0.0.1", ann.port)
        await stream.send_all(said)
        if not said:
            await stream.send_eof()
        assert await ends(stream)
        assert await ask(bob, ann) == Echo("hello")


async def test_a_member_that_speaks_http_inside_is_told_why(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        ann = await w.start()
        stream = await tls_to(ann, client_context(tmp_path))
        await stream.send_all(b"GET / HTTP/1.1\r\n\r\n")
        heard = b""
        while data := await stream.receive_some():
            heard += data
        await trio.aclose_forcefully(stream)
        assert b"not this protocol" in heard


@pytest.mark.parametrize("stage", ["tcp", "tls"])
async def test_who_connects_and_says_nothing_is_gone_after_the_handshake_s_time(tmp_path: Path, stage: str) -> None:
    async with world(tmp_path) as w:
        ann = await w.start(limits=LinkLimits(handshake=0.05))
        if stage == "tcp":
            assert await ends(await trio.open_tcp_stream("127.0.0.1", ann.port))
        else:
            stream = await tls_to(ann, client_context(tmp_path))
            with contextlib.suppress(trio.BrokenResourceError):  # on a machine that is slow today
                await stream.do_handshake()
            assert await ends(stream)
        assert ann.linked() == frozenset()


async def test_a_dial_to_who_says_nothing_ends_in_time(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        ann = await w.start(limits=LinkLimits(handshake=0.05))
        with listening() as silent:
            place = Endpoint("127.0.0.1", silent.getsockname()[1])
            with pytest.raises(PeerError, match="no answer in time"):
                await ann.dial(place, deadline=soon())
            with pytest.raises(PeerError, match="no link in time"):
                await ann.dial(place, deadline=trio.current_time() + 0.01)


async def test_a_thousand_connections_from_one_address_leave_room_for_the_others(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        ann, bob = await w.start(limits=LinkLimits(half_open=20, half_open_per_address=16)), await w.start()
        flood = [socket.socket() for _ in range(1200)]
        try:
            for sock in flood:
                sock.bind(("127.0.0.66", 0))
                sock.setblocking(False)
                sock.connect_ex(("127.0.0.1", ann.port))
            await ask(bob, ann)
            assert ann.statistics().half_open <= 16
            assert ann.linked() == {bob.node_id}
        finally:
            for sock in flood:
                sock.close()


async def test_silent_connections_from_everywhere_make_room_for_who_comes_later(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        ann, bob = await w.start(limits=LinkLimits(half_open=20)), await w.start()
        flood = [socket.socket() for _ in range(200)]
        try:
            for number, sock in enumerate(flood):
                sock.bind((f"127.0.1.{number + 1}", 0))
                sock.setblocking(False)
                sock.connect_ex(("127.0.0.1", ann.port))
            await wait_all_tasks_blocked()
            await ask(bob, ann)
            assert ann.statistics().half_open <= 20
        finally:
            for sock in flood:
                sock.close()


async def test_ten_thousand_connections_do_not_stop_a_link_that_is_there(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        ann, bob = await w.start(), await w.start()
        await ask(bob, ann)
        body = await bob.request(ann.node_id, Want(20_000_000), deadline=soon())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(flood_with, 10_000, ann)
            assert await read_all(body) == 20_000_000
            for _ in range(100):
                assert await ask(bob, ann) == Echo("hello")
        assert ann.statistics().accepted >= 10_000
        assert ann.statistics().turned_away > 9_000
        assert await ask(bob, ann) == Echo("hello")


async def flood_with(count: int, links: Links) -> None:
    """Connections that say nothing; some hundred of them are open at any time."""
    held: deque[socket.socket] = deque()
    for number in range(count):
        sock = socket.socket()
        sock.setblocking(False)
        sock.connect_ex(("127.0.0.1", links.port))
        held.append(sock)
        if len(held) > 300:
            held.popleft().close()
        if number % 20 == 0:
            await trio.lowlevel.checkpoint()
    for sock in held:
        sock.close()


async def test_beyond_the_links_of_one_address_nobody_is_let_in(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        ann = await w.start(limits=LinkLimits(links_per_address=2))
        bob, carl, dora = [await w.start() for _ in range(3)]
        await ask(bob, ann)
        await ask(carl, ann)
        with pytest.raises(PeerError, match="closed the connection"):
            await ask(dora, ann)
        assert ann.statistics().turned_away == 1


async def test_a_full_node_gives_up_its_idlest_link_for_a_newcomer(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        ann = await w.start(limits=LinkLimits(links=2))
        bob, carl, dora = [await w.start() for _ in range(3)]
        await ask(bob, ann)
        await ask(carl, ann)
        await ask(bob, ann)
        await ask(dora, ann)
        assert ann.linked() == {bob.node_id, dora.node_id}


async def test_a_node_out_of_descriptors_accepts_again_when_it_has_some(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    async with world(tmp_path) as w:
        ann, bob = await w.start(limits=LinkLimits(accept_pause=0.001)), await w.start()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        client = socket.socket()
        used = [os.dup(0) for _ in range(20)]
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(used) + 1, hard))
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", ann.port))
            await wait_all_tasks_blocked()
            assert ann.statistics().accepted == 0
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for descriptor in used:
                os.close(descriptor)
            client.close()
        assert await ask(bob, ann) == Echo("hello")


def test_the_key_is_on_disk_only_for_a_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, bool]] = []
    load = ssl.SSLContext.load_cert_chain

    def watch(self: ssl.SSLContext, certfile: str) -> None:
        (path,) = tmp_path.iterdir()
        seen.append((path.stat().st_mode & 0o777, b"PRIVATE KEY" in path.read_bytes()))
        load(self, certfile)

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", watch)
    left_over = tmp_path / ".link-abc.pem"
    left_over.write_bytes(mint(SWARM, KEYS[0]).key_pem)
    contexts(SWARM, KEYS[0], tmp_path)
    assert seen == [(0o600, True)] * 2
    assert list(tmp_path.iterdir()) == []


def test_only_the_swarm_s_own_authority_is_trusted(tmp_path: Path) -> None:
    both = contexts(SWARM, KEYS[0], tmp_path)
    for context in (both.server, both.client):
        assert len(context.get_ca_certs()) == 1
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.minimum_version is ssl.TLSVersion.TLSv1_3
    assert both.server.num_tickets == 0


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ConnectionResetError(104, "reset"), "it closed the connection"),
        (ssl.SSLEOFError(8, "eof"), "it closed the connection"),
        (OSError(113, "No route to host"), "No route to host"),
    ],
)
def test_why_there_was_no_link_is_said_in_words(error: OSError, reason: str) -> None:
    assert reason_of(error) == reason
