"""One end of a link, or of a plain TLS connection, as a process: `linkpeer serve|load node|plain DIRECTORY …`.

`serve` prints `ready PORT` and goes on until killed. `load … PORT MEGABYTES ROUND_TRIPS` prints a JSON object with
`bytes_per_s` and `requests_per_s` (one after the other) and, of a node, `at_once_per_s` (32 at once).
Both kinds use the same certificates and cipher; the plain one is blocking sockets of the standard library.
"""

from __future__ import annotations

import json
import math
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from p2pmods.httpd.listening import listen
from p2pmods.identity.key import node_id
from p2pmods.identity.records import Endpoint
from p2pmods.identity.swarm import Swarm
from p2pmods.logs import configure_logs
from p2pmods.mesh.limits import HELD_FLOOR
from p2pmods.mesh.links import Links
from p2pmods.mesh.tls import contexts
from p2pmods.wire.codec import message

if TYPE_CHECKING:
    import ssl

    from p2pmods.mesh.call import Call

SWARM: Final = Swarm("bench", bytes(32))
SERVER: Final = Ed25519PrivateKey.from_private_bytes(b"s" * 32)
CLIENT: Final = Ed25519PrivateKey.from_private_bytes(b"c" * 32)
PIECE: Final = bytes(64 << 10)
READ: Final = 256 << 10
SMALL: Final = 64  # bytes of a small message
AT_ONCE: Final = 32


@message(250)
class Pull:
    """`size` bytes of body, a multiple of a piece."""

    size: int


@message(251)
class Small:
    text: bytes


async def _pull(call: Call) -> None:
    await call.reply_stream(call.message, call.message.size)
    for _ in range(call.message.size // len(PIECE)):
        await call.send(PIECE)
    await call.end()


async def _echo(call: Call) -> None:
    await call.reply(call.message)


async def serve_node(directory: Path) -> None:
    listeners = await listen("127.0.0.1", 0)
    links = Links(SWARM, SERVER, listeners=listeners, addresses=lambda _: [], directory=directory)
    links.on(Pull, _pull)
    links.on(Small, _echo)
    async with trio.open_nursery() as nursery:
        await nursery.start(links.run)
        print(f"ready {links.port}", flush=True)


async def load_node(directory: Path, port: int, size: int, trips: int) -> dict[str, float]:
    place = Endpoint("127.0.0.1", port)
    links = Links(SWARM, CLIENT, listeners=[], addresses=lambda _: [place], directory=directory)
    peer = node_id(SERVER)
    async with trio.open_nursery() as nursery:
        await nursery.start(links.run)
        await _pull_from(links, peer, size // 10)  # not counted
        result = {"bytes_per_s": size / await _pull_from(links, peer, size)}
        result["requests_per_s"] = trips / await _ask(links, peer, trips, 1)
        result["at_once_per_s"] = trips / await _ask(links, peer, trips // AT_ONCE, AT_ONCE)
        nursery.cancel_scope.cancel()
    return result


async def _pull_from(links: Links, peer: str, size: int) -> float:
    start = time.perf_counter()
    answer = await links.request(peer, Pull(size - size % len(PIECE)), deadline=math.inf, floor=HELD_FLOOR)
    async for _ in answer:
        pass
    return time.perf_counter() - start


async def _ask(links: Links, peer: str, trips: int, at_once: int) -> float:
    async def one_after_the_other() -> None:
        for _ in range(trips):
            await links.request(peer, Small(bytes(SMALL)), deadline=trio.current_time() + 10)

    start = time.perf_counter()
    async with trio.open_nursery() as nursery:
        for _ in range(at_once):
            nursery.start_soon(one_after_the_other)
    return time.perf_counter() - start


def serve_plain(directory: Path) -> None:
    context = contexts(SWARM, SERVER, directory).server
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(f"ready {listener.getsockname()[1]}", flush=True)
        while True:
            sock, _ = listener.accept()
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with context.wrap_socket(sock, server_side=True) as stream:
                _serve_plainly(stream)


def _serve_plainly(stream: ssl.SSLSocket) -> None:
    """A number of pieces in 8 bytes brings them; a small message comes back."""
    while order := stream.recv(SMALL):
        if len(order) == SMALL:
            stream.sendall(order)
        for _ in range(int.from_bytes(order[:8], "big")):
            stream.sendall(PIECE)


def load_plain(directory: Path, port: int, size: int, trips: int) -> dict[str, float]:
    context = contexts(SWARM, CLIENT, directory).client
    with context.wrap_socket(socket.create_connection(("127.0.0.1", port))) as stream:
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _pull_plainly(stream, size // 10)  # not counted
        result = {"bytes_per_s": size / _pull_plainly(stream, size)}
        start = time.perf_counter()
        for _ in range(trips):
            stream.sendall(bytes(SMALL))
            stream.recv(SMALL)
        result["requests_per_s"] = trips / (time.perf_counter() - start)
    return result


def _pull_plainly(stream: ssl.SSLSocket, size: int) -> float:
    start = time.perf_counter()
    pieces = size // len(PIECE)
    stream.sendall(pieces.to_bytes(8, "big"))
    left = pieces * len(PIECE)
    buffer = bytearray(READ)
    while left:
        left -= stream.recv_into(buffer)
    return time.perf_counter() - start


def main(what: str, kind: str, directory: Path, numbers: list[int]) -> None:
    configure_logs()  # on stderr
    if what == "serve":
        trio.run(serve_node, directory) if kind == "node" else serve_plain(directory)
        return
    port, megabytes, trips = numbers
    arguments = (directory, port, megabytes * 1_000_000, trips)
    result = trio.run(load_node, *arguments) if kind == "node" else load_plain(*arguments)
    print(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), [int(number) for number in sys.argv[4:]])
