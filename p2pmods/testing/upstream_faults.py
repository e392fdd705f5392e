"""What can be wrong with an upstream: each fault is a function that answers one request its own way."""

from __future__ import annotations

import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: its path as sent, and headers by lower-case name."""

    method: str
    path: str
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, body and headers; Content-Length is added when it is not there."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request, the answer an honest proxy would give, and the connection to give it over.

    `whole` is that answer when no range is asked for; `base` is the server's URL.
    """

    stream: trio.abc.Stream
    tcp: trio.SocketStream
    asked: Asked
    answer: Answer
    whole: Callable[[], Answer]
    base: str

    async def head(self, answer: Answer) -> None:
        """Send the head of `answer` only."""
        headers = {"Content-Length": str(len(answer.body)), **answer.headers}
        lines = [f"HTTP/1.1 {answer.status} X", *(f"{name}: {value}" for name, value in headers.items() if value)]
        await self.stream.send_all("\r\n".join([*lines, "", ""]).encode("latin-1"))

    def cut(self) -> None:
        """Break the connection off with a reset."""
        self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.tcp.socket.close()
        raise trio.ClosedResourceError


Fault = Callable[[Exchange], Awaitable[None]]


def answer_text(status: int, text: str) -> Answer:
    return Answer(status, f"{text}\n".encode(), {"Content-Type": "text/plain; charset=utf-8"})


async def send(exchange: Exchange) -> None:
    """No fault at all."""
    await exchange.head(exchange.answer)
    await exchange.stream.send_all(exchange.answer.body)


def _answering(answer: Answer) -> Fault:
    async def fault(exchange: Exchange) -> None:
        await send(replace(exchange, answer=answer))

    return fault


def status(code: int, text: str = "go away", *, retry_after: str = "") -> Fault:
    """Answer with a status and a reason: 403, 429 (for `times` requests), 500 …"""
    answer = answer_text(code, text)
    return _answering(replace(answer, headers={**answer.headers, "Retry-After": retry_after}))


def body(data: bytes, content_type: str = "application/octet-stream") -> Fault:
    """Answer 200 with something else."""
    return _answering(Answer(200, data, {"Content-Type": content_type}))


def login_page() -> Fault:
    """Answer 200 with a web page, as a captive portal does."""
    return body(b"<!DOCTYPE html><title>Welcome to the hotel</title>", "text/html")


def redirect(location: str, code: int = 302) -> Fault:
    return _answering(Answer(code, b"", {"Location": location}))


def redirect_loop() -> Fault:
    async def fault(exchange: Exchange) -> None:
        location = f"{exchange.base}{exchange.asked.path}"
        await send(replace(exchange, answer=Answer(302, b"", {"Location": location})))

    return fault


def wrong_length(more: int) -> Fault:
    """State a Content-Length that is `more` than the body, which then ends."""

    async def fault(exchange: Exchange) -> None:
        answer = exchange.answer
        length = {"Content-Length": str(len(answer.body) + more)}
        await send(replace(exchange, answer=replace(answer, headers={**answer.headers, **length})))
        await exchange.stream.aclose()

    return fault


def truncated(at: int) -> Fault:
    """Close the connection after `at` bytes of the body."""

    async def fault(exchange: Exchange) -> None:
        await exchange.head(exchange.answer)
        await exchange.stream.send_all(exchange.answer.body[:at])
        await exchange.stream.aclose()

    return fault


def reset(at: int | None = None) -> Fault:
    """Reset the connection: before the head, or after `at` bytes of the body (the last of which may be lost)."""

    async def fault(exchange: Exchange) -> None:
        if at is not None:
            await exchange.head(exchange.answer)
            await exchange.stream.send_all(exchange.answer.body[:at])
        exchange.cut()

    return fault


def ignore_range() -> Fault:
    """Answer 200 with all of it, whatever part was asked for."""

    async def fault(exchange: Exchange) -> None:
        await send(replace(exchange, answer=exchange.whole()))

    return fault


def hang() -> Fault:
    """Take the request and never answer."""

    async def fault(exchange: Exchange) -> None:
        await trio.sleep_forever()

    return fault


def stall(at: int) -> Fault:
    """Send `at` bytes of the body and then nothing more."""

    async def fault(exchange: Exchange) -> None:
        await exchange.head(exchange.answer)
        await exchange.stream.send_all(exchange.answer.body[:at])
        await trio.sleep_forever()

    return fault


def trickle(piece: int = 1, every: float = 1.0) -> Fault:
    """Send `piece` bytes `every` so many seconds: one byte a second, or a line of a certain bandwidth."""

    async def fault(exchange: Exchange) -> None:
        await exchange.head(exchange.answer)
        content = exchange.answer.body
        for start in range(0, len(content), piece):
            await exchange.stream.send_all(content[start : start + piece])
            await trio.sleep(every)

    return fault


def endless(start: bytes = b"PK\x03\x04") -> Fault:
    """A body without a length that never ends."""

    async def fault(exchange: Exchange) -> None:
        await exchange.head(Answer(200, b"", {"Content-Length": "", "Connection": "close"}))
        await exchange.stream.send_all(start)
        while True:
            await exchange.stream.send_all(b"x" * 65536)

    return fault
