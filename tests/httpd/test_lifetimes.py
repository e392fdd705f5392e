"""Slow, vanishing and too many clients; running out of descriptors; stopping."""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys
from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from p2pmods.httpd import CannotListen, FileBody, Limits, Request, Response, Server, listen, ready_made, text, url_of
from p2pmods.httpd import server as server_module
from tests.httpd.world import HOST, Client, hello, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

SHORT = 0.05


async def test_headers_must_arrive_in_time_even_when_they_drip() -> None:
    async with serving(hello, Limits(head_timeout=SHORT)) as world, world.client() as client:
        answered = trio.Event()

        async def drip() -> None:
            await client.send(b"GET / HTTP/1.1\r\nX: ")
            while not answered.is_set():
                await client.send(b"x")
                await trio.sleep(SHORT / 10)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(drip)
            assert (await client.answer()).status == 408
            answered.set()
            nursery.cancel_scope.cancel()


async def test_a_body_must_arrive_in_time() -> None:
    limits = Limits(body_timeout=SHORT)
    async with serving(hello, limits, body_limit=lambda _m, _p, _h: 10) as world, world.client() as client:
        await client.send(b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 10\r\n\r\nabc")
        assert (await client.answer()).status == 408
        assert await client.rest() == b""


async def test_a_handler_may_take_longer_than_any_client() -> None:
    async def slow(request: Request) -> Response:
        await trio.sleep(5 * SHORT)
        return await hello(request)

    limits = Limits(head_timeout=SHORT, idle_timeout=SHORT, body_timeout=SHORT, stall_timeout=SHORT)
    async with serving(slow, limits) as world, world.client() as client:
        assert (await client.get("/")).status == 200


async def test_an_idle_connection_is_closed_without_a_word() -> None:
    async with serving(hello, Limits(idle_timeout=SHORT)) as world, world.client() as client:
        assert (await client.get("/")).status == 200
        assert await client.rest() == b""
        assert await world.is_alive()


@pytest.mark.parametrize("kind", ["bytes", "ready", "sendfile", "read", "stream"])
async def test_a_client_that_does_not_read_is_dropped(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """12 MB is more than the socket buffers of both ends hold."""
    monkeypatch.setattr("p2pmods.httpd.sending.CAN_SENDFILE", kind == "sendfile" and hasattr(os, "sendfile"))
    (tmp_path / "file").write_bytes(bytes(12_000_000))
    bodies: list[FileBody] = []

    async def large(request: Request) -> Response:
        if request.path == "/alive":
            return text(200, "alive")
        if kind == "stream":
            return Response(200, [], stream())
        if kind == "bytes":
            return Response(200, [], bytes(12_000_000))
        bodies.append(FileBody.open(tmp_path / "file"))
        return Response(200, [], bodies[0])

    async def stream() -> AsyncIterator[bytes]:
        for _ in range(12):
            yield bytes(1_000_000)

    fast = {b"/": ready_made(Response(200, [], bytes(12_000_000)))}.get if kind == "ready" else None
    async with serving(large, Limits(stall_timeout=SHORT, linger_timeout=SHORT), fast=fast) as world:
        async with world.client() as client:
            await client.send(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
            await world.server.wait_no_connections()
        for body in bodies:
            with pytest.raises(ValueError, match="closed"):
                _ = body.fd
        assert await world.is_alive()
        assert world.errors == []


async def test_a_client_that_vanishes_does_not_stop_its_handler(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(100_000))
    asked, gone, finished = trio.Event(), trio.Event(), trio.Event()
    body = FileBody.open(tmp_path / "file")

    async def slow(request: Request) -> Response:
        if request.path == "/alive":
            return text(200, "alive")
        asked.set()
        await gone.wait()
        finished.set()
        return Response(200, [], body)

    async with serving(slow) as world:
        async with world.client() as client:
            await client.send(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
            await asked.wait()
            reset(client)
        gone.set()
        await finished.wait()
        await world.server.wait_no_connections()
        with pytest.raises(ValueError, match="closed"):
            _ = body.fd
        assert await world.is_alive()


def reset(client: Client) -> None:
    """Makes the close that follows a reset, as when the process is killed."""
    client.stream.setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
    )


async def test_a_file_cut_short_ends_its_connection_only(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(100_000))

    async def cut(request: Request) -> Response:
        if request.path == "/alive":
            return text(200, "alive")
        body = FileBody.open(tmp_path / "file")
        os.truncate(tmp_path / "file", 50_000)
        return Response(200, [], body)

    async with serving(cut) as world:
        async with world.client() as client:
            with pytest.raises(EOFError):
                await client.get("/")
        assert await world.is_alive()
        assert len(world.errors) == 1


async def test_a_stream_that_fails_ends_its_connection_only() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"first\n"
        raise ValueError("broken")

    async def handler(request: Request) -> Response:
        return text(200, "alive") if request.path == "/alive" else Response(200, [], broken())

    async with serving(handler) as world:
        async with world.client() as client:
            with pytest.raises(EOFError):
                await client.get("/")
        assert await world.is_alive()
        assert [str(error) for error in world.errors] == ["broken"]


async def test_when_full_the_longest_idle_connection_makes_room() -> None:
    async with serving(hello, Limits(connections=2)) as world, world.client() as first, world.client() as second:
        for client in (first, second):
            assert (await client.get("/")).status == 200
        await trio.testing.wait_all_tasks_blocked()
        assert await world.is_alive()
        assert world.server.statistics().turned_away == 0
        assert await first.rest() == b""
        assert (await second.get("/")).status == 200


async def test_when_full_of_busy_connections_others_are_turned_away() -> None:
    asked, release = trio.Event(), trio.Event()

    async def slow(request: Request) -> Response:
        asked.set()
        await release.wait()
        return await hello(request)

    async with serving(slow, Limits(connections=1)) as world, world.client() as busy:
        await busy.send(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
        await asked.wait()
        async with world.client() as client:
            assert (await client.answer()).status == 503
        release.set()
        assert (await busy.answer()).status == 200
        assert world.server.statistics().turned_away == 1


class Exhausted(socket.socket):
    """A listener in a process that has no file descriptors left for a while."""

    failures = 3

    def accept(self) -> tuple[socket.socket, tuple[str, int]]:
        if self.failures:
            self.failures -= 1
            raise OSError(errno.EMFILE, "Too many open files")
        return super().accept()


async def test_out_of_descriptors_it_waits_and_goes_on() -> None:
    (plain,) = await listen("127.0.0.1", 0)
    listener = Exhausted(fileno=plain.detach())
    listener.setblocking(False)
    server = Server(hello, limits=Limits(accept_pause=0.001))
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(server.run, [listener]))
            async with await trio.open_tcp_stream(*listener.getsockname()) as stream:
                assert (await Client(stream).get("/")).status == 200
            assert listener.failures == 0
            nursery.cancel_scope.cancel()


async def test_a_connection_that_cannot_be_begun_costs_itself_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def out_of_memory(*_: object) -> None:
        raise MemoryError

    async with serving(hello) as world:
        with monkeypatch.context() as broken:
            broken.setattr(server_module, "Connection", out_of_memory)
            async with world.client() as client:
                assert await client.stream.receive_some() == b""
        assert [type(error) for error in world.errors] == [MemoryError]
        assert await world.is_alive()


async def test_stopping_finishes_what_is_under_way_and_closes_what_is_idle() -> None:
    asked, release = trio.Event(), trio.Event()

    async def slow(request: Request) -> Response:
        if request.path == "/slow":
            asked.set()
            await release.wait()
        return await hello(request)

    limits = Limits(linger_timeout=SHORT)
    async with serving(slow, limits) as world, world.client() as busy, world.client() as idle:
        assert (await idle.get("/")).status == 200
        await busy.send(b"GET /slow HTTP/1.1\r\n" + HOST + b"\r\nGET /second HTTP/1.1\r\n" + HOST + b"\r\n")
        await asked.wait()
        world.stop()
        assert await idle.rest() == b""
        with pytest.raises(OSError, match="connect"):
            await trio.open_tcp_stream(*world.address)
        release.set()
        answer = await busy.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert await busy.rest() == b""
        await world.stopped.wait()


async def test_stopping_does_not_wait_longer_than_the_grace() -> None:
    asked = trio.Event()

    async def endless(_request: Request) -> Response:
        asked.set()
        await trio.sleep_forever()
        raise AssertionError

    async with serving(endless, Limits(grace=SHORT)) as world, world.client() as client:
        await client.send(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
        await asked.wait()
        world.stop()
        await world.stopped.wait()
        assert await client.rest() == b""


async def test_a_failure_while_stopping_does_not_hide_the_stop() -> None:
    asked = trio.Event()

    async def fails_when_cancelled() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("on the way out")

    async def handler(_request: Request) -> Response:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fails_when_cancelled)
            nursery.start_soon(trio.sleep_forever)
            asked.set()
        raise AssertionError

    async with serving(handler, Limits(grace=SHORT)) as world, world.client() as client:
        await client.send(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
        await asked.wait()
        world.stop()
        await world.stopped.wait()
        assert world.errors != []


async def test_a_listener_that_is_gone_ends_the_server() -> None:
    (plain,) = await listen("127.0.0.1", 0)
    listener = Gone(fileno=plain.detach())
    listener.setblocking(False)
    with pytest.RaisesGroup(OSError, flatten_subgroups=True), trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(Server(hello).run, [listener]))
            async with await trio.open_tcp_stream(*listener.getsockname()):
                await trio.sleep_forever()


class Gone(socket.socket):
    """A listener whose interface went away under it."""

    def accept(self) -> tuple[socket.socket, tuple[str, int]]:
        raise OSError(errno.EBADF, "Bad file descriptor")


async def test_a_taken_port_is_said_with_its_address() -> None:
    (taken,) = await listen("127.0.0.1", 0)
    with taken:
        port = taken.getsockname()[1]
        with pytest.raises(CannotListen, match=f"127.0.0.1:{port}: another program listens there") as caught:
            await listen("127.0.0.1", port)
        assert caught.value.errno == errno.EADDRINUSE


async def test_an_address_of_another_machine_and_an_unknown_name_are_refused() -> None:
    with pytest.raises(CannotListen, match="no such address"):
        await listen("192.0.2.1", 0)
    with pytest.raises(CannotListen, match="not known"):
        await listen("name.invalid", 0)


async def test_localhost_listens_on_one_port_for_each_family() -> None:
    listeners = await listen("localhost", 0)
    assert len({listener.getsockname()[1] for listener in listeners}) == 1
    for listener in listeners:
        listener.close()


async def test_ipv6_loopback_serves() -> None:
    try:
        (listener,) = await listen("::1", 0)
    except CannotListen:
        pytest.skip("no IPv6 here")
    assert url_of(listener) == f"http://[::1]:{listener.getsockname()[1]}"
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(Server(hello).run, [listener]))
            async with await trio.open_tcp_stream("::1", listener.getsockname()[1]) as stream:
                assert (await Client(stream).get("/")).status == 200
            nursery.cancel_scope.cancel()
