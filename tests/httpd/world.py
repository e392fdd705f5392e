"""A server on a real loopback socket, and a client that speaks raw bytes to it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import trio

from p2pmods.httpd import Limits, Request, Response, Server, listen, text

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator

    from p2pmods.httpd import Handler

HOST = b"Host: localhost\r\n"


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


class Client:
    """Raw bytes out, answers in."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self._buffer = b""

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def get(self, target: str, *fields: str, method: str = "GET") -> Answer:
        extra = "".join(field + "\r\n" for field in fields).encode("latin-1")
        await self.send(f"{method} {target} HTTP/1.1\r\n".encode("latin-1") + HOST + extra + b"\r\n")
        return await self.answer(bodiless=method == "HEAD")

    async def answer(self, *, bodiless: bool = False) -> Answer:
        head = (await self._until(b"\r\n\r\n")).decode("latin-1")
        line, *fields = head.split("\r\n")
        headers = {name.lower(): value for name, _, value in (f.partition(": ") for f in fields if f)}
        status = int(line.split(" ")[1])
        if bodiless or status in (100, 204, 304):
            return Answer(status, headers, b"")
        if headers.get("transfer-encoding") == "chunked":
            return Answer(status, headers, await self._chunks())
        return Answer(status, headers, await self._exactly(int(headers["content-length"])))

    async def rest(self) -> bytes:
        """Everything up to the end of the connection."""
        data, self._buffer = self._buffer, b""
        try:
            while more := await self.stream.receive_some():
                data += more
        except trio.BrokenResourceError:
            pass
        return data

    async def _chunks(self) -> bytes:
        body = b""
        while size := int(await self._until(b"\r\n"), 16):
            body += (await self._exactly(size + 2))[:-2]
        await self._until(b"\r\n")
        return body

    async def _until(self, end: bytes) -> bytes:
        while end not in self._buffer:
            await self._more()
        data, _, self._buffer = self._buffer.partition(end)
        return data

    async def _exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            await self._more()
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data

    async def _more(self) -> None:
        data = await self.stream.receive_some()
        if not data:
            raise EOFError(self._buffer)
        self._buffer += data


class World:
    """A running server and its address."""

    def __init__(self, server: Server, listener: socket.socket, errors: list[BaseException]) -> None:
        self.server = server
        self.errors = errors
        self.address = listener.getsockname()[:2]
        self.stopped = trio.Event()
        self._scope = trio.CancelScope()
        self._listener = listener

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        with self._scope:
            await self.server.run([self._listener], task_status=task_status)
        self.stopped.set()

    def stop(self) -> None:
        self._scope.cancel()

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        stream = await trio.open_tcp_stream(*self.address)
        async with stream:
            yield Client(stream)

    async def is_alive(self) -> bool:
        async with self.client() as client:
            return (await client.get("/alive")).status == 200


@asynccontextmanager
async def serving(handler: Handler, limits: Limits | None = None, **hooks: Any) -> AsyncIterator[World]:
    """A server with this handler; a test that takes longer than 20 s fails."""
    (listener,) = await listen("127.0.0.1", 0)
    errors: list[BaseException] = []
    server = Server(handler, limits=limits, on_error=lambda _request, error: errors.append(error), **hooks)
    world = World(server, listener, errors)
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            await nursery.start(world.run)
            yield world
            world.stop()


async def hello(request: Request) -> Response:
    """Says what was asked."""
    return text(200, f"{request.method} {request.target}")
