"""The lab's upstream: a module proxy over a directory of files, checksum database included, that counts every byte.

`python -m simulations.lab.upstream DIRECTORY PORT [CLIENT …]` prints `ready` and serves until it is stopped. The
clients, by IP address, get the login page of a captive portal for everything. Each line on its standard input is a
question, answered by one line of JSON: `tally` says how many requests there were for each path, and how many bytes of
bodies were handed to the network for them, those of answers that were broken off included; `under way` lists the
bodies that are being sent, each with `client`, `path` and `sent`.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

import trio

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAX_HEAD: Final = 16 << 10
_PIECE: Final = 32 << 10
_SEND_BUFFER: Final = 64 << 10  # small, so that what was broken off is counted about as far as it went
_HASH: Final = 32
_LOGIN: Final = b"<!DOCTYPE html><title>Welcome to the hotel</title><form><input name=room></form>\n"


@dataclass(slots=True)
class Tally:
    """Of one path."""

    requests: int = 0
    bytes: int = 0


@dataclass(slots=True, eq=False)
class Body:
    """One that is being sent; `sent` bytes so far."""

    client: str
    path: str
    sent: int = 0


class Upstream:
    """Serves the files below `root` as they lie; a tile is served at any width up to the one that is held."""

    def __init__(self, root: Path, captives: frozenset[str]) -> None:
        """`captives` are the clients behind the portal."""
        self._root = root
        self._captives = captives
        self._tallies: dict[str, Tally] = {}
        self._under_way: list[Body] = []

    async def serve(self, port: int) -> None:
        listeners = await trio.open_tcp_listeners(port, host="0.0.0.0")  # of its own namespace
        print("ready", flush=True)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._answer_questions)
            nursery.start_soon(trio.serve_listeners, self._connection, listeners)

    async def _answer_questions(self) -> None:
        async with trio.lowlevel.FdStream(os.dup(sys.stdin.fileno())) as questions:
            asked = b""
            async for data in questions:
                *whole, asked = (asked + data).split(b"\n")
                for question in whole:
                    print(json.dumps(self._say(question.decode())), flush=True)

    def _say(self, question: str) -> object:
        if question == "tally":
            return {path: asdict(tally) for path, tally in self._tallies.items()}
        return [asdict(body) for body in self._under_way]

    async def _connection(self, stream: trio.SocketStream) -> None:
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        client, buffer = stream.socket.getpeername()[0], b""
        try:
            while True:
                while b"\r\n\r\n" not in buffer:
                    data = await stream.receive_some(_MAX_HEAD)
                    if not data or len(buffer) > _MAX_HEAD:
                        return
                    buffer += data
                head, _, buffer = buffer.partition(b"\r\n\r\n")
                path = unquote(head.split(b" ")[1].decode("latin-1")).partition("?")[0]
                await self._answer(stream, client, path)
        except (trio.BrokenResourceError, trio.ClosedResourceError, IndexError):
            return
        finally:
            await trio.aclose_forcefully(stream)

    async def _answer(self, stream: trio.SocketStream, client: str, path: str) -> None:
        if client in self._captives:
            await stream.send_all(_head(200, len(_LOGIN), b"text/html") + _LOGIN)
            return
        tally = self._tallies.setdefault(path, Tally())
        tally.requests += 1
        found = self._find(path)
        if found is None:
            await stream.send_all(_head(404, 10, b"text/plain; charset=utf-8") + b"not found\n")
            return
        descriptor, length = found
        try:
            with self._sending(client, path) as body:
                await stream.send_all(_head(200, length))
                while body.sent < length:
                    piece = os.pread(descriptor, min(_PIECE, length - body.sent), body.sent)
                    await stream.send_all(piece)
                    tally.bytes += len(piece)
                    body.sent += len(piece)
        finally:
            os.close(descriptor)

    @contextmanager
    def _sending(self, client: str, path: str) -> Iterator[Body]:
        body = Body(client, path)
        self._under_way.append(body)
        try:
            yield body
        finally:
            self._under_way.remove(body)

    def _find(self, path: str) -> tuple[int, int] | None:
        """An open file and how much of it is the answer."""
        if "/../" in path:
            return None
        file = self._root / path.lstrip("/")
        whole, partial, width = path.rpartition(".p/")
        try:
            if file.is_file():
                descriptor = os.open(file, os.O_RDONLY)
                return descriptor, os.fstat(descriptor).st_size
            if not partial:
                return None
            wider = [self._root / whole.lstrip("/"), *sorted((self._root / f"{whole}.p".lstrip("/")).glob("*"))]
            for candidate in wider:
                if candidate.is_file() and candidate.stat().st_size >= int(width) * _HASH:
                    return os.open(candidate, os.O_RDONLY), int(width) * _HASH
        except (OSError, ValueError):
            pass
        return None


def _head(status: int, length: int, kind: bytes = b"application/octet-stream") -> bytes:
    return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\nContent-Type: %s\r\n\r\n" % (status, length, kind)


if __name__ == "__main__":
    trio.run(Upstream(Path(sys.argv[1]), frozenset(sys.argv[3:])).serve, int(sys.argv[2]))
