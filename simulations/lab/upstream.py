"""The lab's upstream: a module proxy over a directory of files, checksum database included, that counts every byte.

`python -m simulations.lab.upstream DIRECTORY PORT` prints `ready` and serves until it is stopped. `GET /-/tally` says
how many requests there were for each path, and how many bytes of bodies were handed to the network for them, those of
answers that were broken off included.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote

import trio

_MAX_HEAD: Final = 16 << 10
_PIECE: Final = 32 << 10
_SEND_BUFFER: Final = 64 << 10  # small, so that what was broken off is counted about as far as it went
_HASH: Final = 32


@dataclass(slots=True)
class Tally:
    """Of one path."""

    requests: int = 0
    bytes: int = 0


class Upstream:
    """Serves the files below `root` as they lie; a tile is served at any width up to the one that is held."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._tallies: dict[str, Tally] = {}

    async def serve(self, port: int) -> None:
        listeners = await trio.open_tcp_listeners(port, host="0.0.0.0")  # of its own namespace
        print("ready", flush=True)
        await trio.serve_listeners(self._connection, listeners)

    async def _connection(self, stream: trio.SocketStream) -> None:
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        buffer = b""
        try:
            while True:
                while b"\r\n\r\n" not in buffer:
                    data = await stream.receive_some(_MAX_HEAD)
                    if not data or len(buffer) > _MAX_HEAD:
                        return
                    buffer += data
                head, _, buffer = buffer.partition(b"\r\n\r\n")
                await self._answer(stream, unquote(head.split(b" ")[1].decode("latin-1")).partition("?")[0])
        except (trio.BrokenResourceError, trio.ClosedResourceError, IndexError):
            return
        finally:
            await trio.aclose_forcefully(stream)

    async def _answer(self, stream: trio.SocketStream, path: str) -> None:
        if path == "/-/tally":
            body = json.dumps({name: asdict(tally) for name, tally in self._tallies.items()}).encode()
            await stream.send_all(_head(200, len(body)) + body)
            return
        tally = self._tallies.setdefault(path, Tally())
        tally.requests += 1
        found = self._find(path)
        if found is None:
            await stream.send_all(_head(404, 10) + b"not found\n")
            return
        descriptor, length = found
        try:
            await stream.send_all(_head(200, length))
            for offset in range(0, length, _PIECE):
                piece = os.pread(descriptor, min(_PIECE, length - offset), offset)
                await stream.send_all(piece)
                tally.bytes += len(piece)
        finally:
            os.close(descriptor)

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


def _head(status: int, length: int) -> bytes:
    kind = b"text/plain; charset=utf-8" if status == 404 else b"application/octet-stream"
    return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\nContent-Type: %s\r\n\r\n" % (status, length, kind)


if __name__ == "__main__":
    trio.run(Upstream(Path(sys.argv[1])).serve, int(sys.argv[2]))
