"""What the client makes of the bytes of an answer: the same as go, or an error; never a wait without end."""

from __future__ import annotations

import ssl
from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio
import trustme

from p2pmods.errors import Unavailable
from p2pmods.upstream.http1 import MAX_HEAD
from p2pmods.upstream.limits import Want
from p2pmods.upstream.offline import OfflineState
from p2pmods.upstream.proxy import ProxyClient
from tests.upstream.raw import RawServer
from tests.upstream.world import QUICK

if TYPE_CHECKING:
    from pathlib import Path

OK = b"HTTP/1.1 200 OK\r\n"
PLAIN = OK + b"Content-Length: 9\r\n\r\nmodule x\n"


async def ask(server: RawServer, *, times: int = 1) -> tuple[list[bytes], ProxyClient]:
    client = ProxyClient(OfflineState(), limits=QUICK, environ={}, netrc={})
    try:
        return [await client.get(server.url, "x/@v/v1.0.0.mod", Want.MOD) for _ in range(times)], client
    finally:
        client.close()


@pytest.mark.parametrize(
    ("answer", "end"),
    [
        (PLAIN, False),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n4\r\nmodu\r\n5;ext=1\r\nle x\n\r\n0\r\nTrailer: 1\r\n\r\n", False),
        (OK + b"\r\nmodule x\n", True),
        (b"HTTP/1.0 200 OK\r\n\r\nmodule x\n", True),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: y\r\n\r\n" + PLAIN, False),
        (OK + b"Connection: close\r\nContent-Length: 9\r\n\r\nmodule x\n", True),
    ],
)
async def test_every_way_to_frame_a_body_is_understood(answer: bytes, end: bool) -> None:
    async with RawServer(answer, answer, end=end).running() as server:
        bodies, client = await ask(server, times=2)
    assert bodies == [b"module x\n"] * 2
    assert server.connections == (2 if end else 1)
    assert client.statistics()[0].retries == 0


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        OK + b"Content-Length: 10\r\n\r\nmodule x\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n9\r\nmodule x\n\r\n",
        OK + b"Content-Length: 9\r\nContent-Length: 8\r\n\r\nmodule x\n",
        OK + b"Content-Length: -9\r\n\r\nmodule x\n",
        OK + b"Content-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nmodule x\n\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\nx\r\nmodule x\n\r\n0\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
        OK + b"X: " + b"x" * MAX_HEAD + b"\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * (MAX_HEAD // 20),
    ],
)
async def test_what_is_cut_off_or_no_http_fails_each_time_it_is_tried(answer: bytes) -> None:
    server = RawServer(*[answer] * QUICK.attempts, end=True)
    async with server.running():
        with pytest.raises(Unavailable, match="broke off"):
            await ask(server)
    assert server.connections == QUICK.attempts


async def test_a_connection_that_says_more_than_it_was_asked_is_not_used_again() -> None:
    async with RawServer(PLAIN + PLAIN, PLAIN).running() as server:
        assert (await ask(server, times=2))[0] == [b"module x\n"] * 2
    assert server.connections == 2


async def test_a_connection_that_says_close_is_not_used_again() -> None:
    answer = PLAIN.replace(b"OK\r\n", b"OK\r\nConnection: close\r\n")
    async with RawServer(answer, answer).running() as server:  # which then leaves the closing to us
        assert (await ask(server, times=2))[0] == [b"module x\n"] * 2
    assert server.connections == 2


CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n9\r\nmodule x\n\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"X: x\r\n" * MAX_HEAD,
        CHUNKED + b"0\r\n" + b"X: x\r\n" * MAX_HEAD,
        CHUNKED + b"0\r\nX: " + b"x" * (MAX_HEAD * 8),
        CHUNKED + b"1;x=" + b"x" * (MAX_HEAD * 8),
    ],
    ids=["headers", "trailers", "one trailer", "a chunk's extension"],
)
async def test_headers_without_end_are_not_waited_for(answer: bytes) -> None:
    server = RawServer(*[answer] * QUICK.attempts)  # and the connection stays open
    async with server.running():
        with pytest.raises(Unavailable, match="bytes of headers"):
            await ask(server)


@pytest.mark.parametrize("farewell", [False, True])
async def test_over_tls_only_a_farewell_ends_an_answer_without_length(tmp_path: Path, *, farewell: bool) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)

    async def serve(tcp: trio.SocketStream) -> None:
        stream = trio.SSLStream(tcp, context, server_side=True)
        await stream.receive_some()
        await stream.send_all(OK + b"\r\nmodule x\n")
        await (stream.unwrap() if farewell else tcp.aclose())

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        url = f"https://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
        environ = {"SSL_CERT_FILE": str(tmp_path / "ca.pem")}
        client = ProxyClient(OfflineState(), limits=QUICK, environ=environ, netrc={})
        if farewell:
            assert await client.get(url, "x/@v/v1.0.0.mod", Want.MOD) == b"module x\n"
        else:
            with pytest.raises(Unavailable, match="broke off"):
                await client.get(url, "x/@v/v1.0.0.mod", Want.MOD)
        client.close()
        nursery.cancel_scope.cancel()
