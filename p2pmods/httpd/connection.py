"""One client's connection: reads, has requests answered in order, and ends without harm to anyone else."""

from __future__ import annotations

import contextlib
import math
import socket
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import trio

from p2pmods.httpd.answering import send_response
from p2pmods.httpd.limits import RECEIVE
from p2pmods.httpd.parser import RequestParser
from p2pmods.httpd.render import CONTINUE, last_words
from p2pmods.httpd.sending import send_all
from p2pmods.httpd.shortcut import Shortcut, is_plain

if TYPE_CHECKING:
    from p2pmods.httpd.message import Request
    from p2pmods.httpd.server import Server

_DISCARD = 64 << 10


class Connection:
    """`deadline` is in the server's coarse time; the server calls `expire` once it is past."""

    def __init__(self, server: Server, sock: socket.socket, client: str) -> None:
        self.deadline = math.inf
        self._waiting = False
        self._server = server
        self._sock = sock
        self._parser = RequestParser(server.limits, server.body_limit, client)
        self._shortcut = Shortcut(server.fast, server.limits.target_bytes, client)
        self._stage: object = None  # what the deadline of a read was set for
        self._done = False  # the last answer said that the connection closes

    @property
    def is_idle(self) -> bool:
        """Nothing of a request has arrived and none is being answered."""
        return self._waiting and self._parser.idle

    def expire(self) -> None:
        """Ends the connection if it waits for its client.

        While a handler runs nothing happens: it may take its time, the deadlines of fetching are its own.
        """
        trio.lowlevel.notify_closing(self._sock)

    async def run(self) -> None:
        """Serves until the client or a deadline ends it. Raises nothing but a cancellation."""
        try:
            await self._serve()
            await self._linger()
        except (trio.ClosedResourceError, ConnectionError, TimeoutError):
            pass  # the client went away, or its time was up
        except Exception as error:  # the border between one connection and the server
            self._server.report(error)
        except BaseExceptionGroup as group:  # a cancellation among them must go on
            failures, rest = group.split(Exception)
            if failures:
                self._server.report(failures)
            if rest:
                raise rest from None
        finally:
            self._parser.close()
            self._sock.close()

    async def _serve(self) -> None:
        parser = self._parser
        while not (self._done or parser.refusal or (self._server.stopping and parser.idle)):
            self._set_read_deadline()
            data = await self._receive()
            if not data:
                return
            if parser.idle:
                data = await self._answer_known(data)
            if data and not self._done:
                await self._take_in(data)
        if parser.refusal:
            self._server.refused += 1
            await self._send(last_words(parser.refusal.status, parser.refusal.reason))

    def _set_read_deadline(self) -> None:
        """A deadline stands from the first byte of its stage: bytes that drip in do not move it."""
        parser, limits = self._parser, self._server.limits
        stage = (parser.messages, parser.in_head, parser.in_body)
        if stage == self._stage:
            return
        self._stage = stage
        limit = (
            limits.head_timeout if parser.in_head else limits.body_timeout if parser.in_body else limits.idle_timeout
        )
        self.deadline = self._server.clock + limit

    async def _receive(self) -> bytes:
        self._waiting = True
        try:
            while True:
                await trio.lowlevel.wait_readable(self._sock)
                with contextlib.suppress(BlockingIOError):
                    return self._sock.recv(RECEIVE)
        except trio.ClosedResourceError:
            self._say_too_slow()
            raise
        finally:
            self._waiting = False

    async def _answer_known(self, data: bytes) -> bytes:
        """Answers the leading requests that need no parser; the rest of `data` comes back."""
        while not self._done:
            answers, request, data = self._shortcut.take(data)
            if not answers and request is None:
                break
            self._stage = None
            if answers:
                self._server.ready_made += len(answers)
                await self._send(answers[0] if len(answers) == 1 else b"".join(answers))
            if request is not None:
                await self._answer(request)
        return data

    async def _take_in(self, data: bytes) -> None:
        parser = self._parser
        parser.feed(data)
        requests = parser.take()
        for request in requests:
            plain = is_plain(request) and self._server.is_admitted(request)
            if plain and len(requests) == 1 and parser.idle:
                self._shortcut.learn(data, request.headers)
            ready = self._server.ready_answer(request) if plain else None
            if ready is None:
                await self._answer(request)
            else:
                await self._send(ready)
            if self._done:
                return  # what came behind it is not answered
        if parser.wants_continue and parser.refusal is None:
            parser.wants_continue = False
            await self._send(CONTINUE)

    async def _answer(self, request: Request) -> None:
        self._stage = None
        response = await self._server.respond(request)
        keep = request.keep_alive and not self._server.stopping
        keep &= request.http11 or not isinstance(response.body, AsyncIterator)
        self._done = not keep
        await send_response(self._sock, request, response, keep=keep, progress=self._progress)

    async def _send(self, data: bytes) -> None:
        await send_all(self._sock, data, self._progress)

    def _progress(self) -> None:
        self.deadline = self._server.clock + self._server.limits.stall_timeout

    async def _linger(self) -> None:
        """Lets the client read the last answer: closing with unread input would reset the connection under it."""
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError:
            return  # already gone
        self.deadline = self._server.clock + self._server.limits.linger_timeout
        lingering = True
        while lingering:
            await trio.lowlevel.wait_readable(self._sock)
            with contextlib.suppress(BlockingIOError):
                lingering = bool(self._sock.recv(_DISCARD))

    def _say_too_slow(self) -> None:
        if self._parser.in_head or self._parser.in_body:
            with contextlib.suppress(OSError):
                self._sock.send(last_words(408, "the request took too long to arrive"))
