"""Connections are few, shared, and found by the address that answers."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import pytest
import trio

from p2pmods.testing import upstream_faults as faults
from p2pmods.testing.upstream import FakeUpstream
from p2pmods.upstream import dial as dialling
from p2pmods.upstream.connections import Connections
from p2pmods.upstream.dial import Names, dial, interleaved
from p2pmods.upstream.failure import Unreachable
from p2pmods.upstream.limits import Limits, Want
from p2pmods.upstream.origin import parse_origin
from p2pmods.upstream.sockets import DEAD, TcpStream
from tests.upstream.world import QUICK, ZIP

if TYPE_CHECKING:
    from p2pmods.upstream.proxy import ProxyClient


async def test_a_connection_whose_other_end_is_out_of_reach_is_given_up_long_before_one_that_thinks() -> None:
    """What the system can do about it is asked of it: no loopback can be cut."""
    ends = tcp_pair()
    stream = TcpStream(ends[0])
    try:
        assert ends[0].getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        for name, value in (("TCP_KEEPIDLE", DEAD), ("TCP_USER_TIMEOUT", DEAD * 1000)):
            if hasattr(socket, name):
                assert ends[0].getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) == value
        assert Limits().answer > DEAD * 3
    finally:
        stream.close()
        ends[1].close()


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return socket.create_connection(server.getsockname()), server.accept()[0]


async def test_files_asked_for_in_turn_share_one_connection(fake: FakeUpstream, client: ProxyClient) -> None:
    fake.files = {f"/x/@v/v1.{n}.0.mod": b"module x\n" for n in range(40)} | {"/x/@v/v1.0.0.zip": ZIP}
    for path in fake.files:
        assert await client.get(fake.url, path.removeprefix("/"), Want.ZIP if path.endswith("zip") else Want.MOD)
    assert fake.connections == 1


async def test_a_request_that_is_given_up_does_not_disturb_the_others(
    fake: FakeUpstream, client: ProxyClient
) -> None:
    fake.files = {"/x/@v/v1.0.0.mod": b"module x\n"}
    fake.fault("v2.0.0", faults.hang())
    assert await client.get(fake.url, "x/@v/v1.0.0.mod", Want.MOD)
    with pytest.raises(Unreachable, match="no answer"):
        await client.get(fake.url, "x/@v/v2.0.0.mod", Want.MOD)
    client.offline.network_changed()
    for _ in range(3):
        assert await client.get(fake.url, "x/@v/v1.0.0.mod", Want.MOD)
    assert fake.connections == 2  # the one that was given up is not used again


async def test_a_connection_that_the_server_closed_meanwhile_is_replaced(client: ProxyClient) -> None:
    server = FakeUpstream()
    server.files = {"/x/@v/v1.0.0.mod": b"module x\n"}
    for _ in range(2):
        async with server.running():  # on the same port each time
            assert await client.get(server.url, "x/@v/v1.0.0.mod", Want.MOD)
    assert server.connections == 2
    assert client.statistics()[0].retries == 0


async def test_a_connection_that_was_idle_too_long_is_closed(
    fake: FakeUpstream, client: ProxyClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("p2pmods.upstream.connections._KEEPALIVE", 0.0)
    fake.files = {f"/x/@v/v1.{n}.0.mod": b"module x\n" for n in range(3)}
    for path in fake.files:
        assert await client.get(fake.url, path.removeprefix("/"), Want.MOD)
    assert fake.connections == 3


async def test_at_most_eight_zips_come_at_once(fake: FakeUpstream, client: ProxyClient) -> None:
    for number in range(30):
        fake.files[f"/x/@v/v1.{number}.0.zip"] = ZIP
    async with trio.open_nursery() as nursery:
        for path in [path for path in fake.files if path.startswith("/x/")]:
            nursery.start_soon(client.get, fake.url, path.removeprefix("/"), Want.ZIP)
    assert fake.connections <= QUICK.zips_at_once


async def test_many_connections_ask_the_resolver_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    async def getaddrinfo(host: str, port: None, **_: Any) -> list[tuple[Any, ...]]:
        asked.append(host)
        await trio.lowlevel.checkpoint()
        return [(0, 0, 0, "", ("2001:db8::1", 0)), (0, 0, 0, "", ("192.0.2.1", 0))]

    monkeypatch.setattr(trio.socket, "getaddrinfo", getaddrinfo)
    names = Names()
    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(names.resolve, "proxy.example.com")
    assert asked == ["proxy.example.com"]
    assert await names.resolve("proxy.example.com") == ("2001:db8::1", "192.0.2.1")


def test_the_families_take_turns() -> None:
    assert interleaved(["::1", "::2", "::2", "1.1.1.1", "2.2.2.2"]) == ("::1", "1.1.1.1", "::2", "2.2.2.2")
    assert interleaved(["1.1.1.1", "::1", "::2"]) == ("1.1.1.1", "::1", "::2")


async def test_an_address_that_refuses_costs_nothing(fake: FakeUpstream) -> None:
    stream = await dial(("127.0.0.2", "127.0.0.1"), fake.port)
    await stream.aclose()


async def test_a_black_hole_costs_a_head_start(fake: FakeUpstream, monkeypatch: pytest.MonkeyPatch) -> None:
    real = trio.open_tcp_stream

    async def swallow(host: str, port: int) -> trio.SocketStream:
        if host == "2001:db8::1":
            await trio.sleep_forever()
        return await real(host, port)

    monkeypatch.setattr(trio, "open_tcp_stream", swallow)
    monkeypatch.setattr(dialling, "_HEAD_START", 0.01)
    stream = await dial(("2001:db8::1", "127.0.0.1"), fake.port)
    await stream.aclose()


async def test_when_no_address_answers_it_says_why() -> None:
    with pytest.raises(OSError, match=r"127\.0\.0\.1:9"):
        await dial(("127.0.0.1",), 9)


async def test_a_connection_that_is_given_back_after_the_end_is_closed(fake: FakeUpstream) -> None:
    fake.files = {"/x/@v/v1.0.0.mod": b"module x\n"}
    connections = Connections({})
    origin = parse_origin(fake.url, "x/@v/v1.0.0.mod", {})
    connection = await connections.take(origin, timeout=5)
    await connection.ask(b"GET /x/@v/v1.0.0.mod HTTP/1.1\r\nHost: x\r\n\r\n")
    while await connection.read():
        pass
    assert connection.is_reusable
    connections.close()
    connections.put_back(origin, connection)
    assert not connection.is_quiet()  # closed: nothing can be read of it
