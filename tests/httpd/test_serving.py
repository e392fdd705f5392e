"""What a well-behaved client gets."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest
import trio.testing

from p2pmods.httpd import FileBody, Request, Response, ready_made, text
from tests.httpd.world import HOST, hello, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path


async def test_one_connection_answers_many_requests() -> None:
    async with serving(hello) as world, world.client() as client:
        for number in range(5):
            answer = await client.get(f"/{number}?q=%20")
            assert answer.body == f"GET /{number}?q=%20\n".encode()
        assert world.server.statistics().accepted == 1


async def test_blanks_after_a_value_are_no_part_of_it() -> None:
    async def echo(request: Request) -> Response:
        return text(200, repr([request.headers["host"], request.headers["x"]]))

    async with serving(echo) as world, world.client() as client:
        await client.send(b"GET / HTTP/1.1\r\nHost:  a.example \t\r\nX: one two \r\nX:three\t\r\n\r\n")
        assert (await client.answer()).body == b"['a.example', 'one two, three']\n"


async def test_pipelined_requests_are_answered_in_their_order() -> None:
    async def slow_first(request: Request) -> Response:
        if request.path == "/0":
            await trio.testing.wait_all_tasks_blocked()
        return text(200, request.path)

    async with serving(slow_first) as world, world.client() as client:
        await client.send(b"".join(b"GET /%d HTTP/1.1\r\n%s\r\n" % (i, HOST) for i in range(400)))
        assert [(await client.answer()).body for _ in range(400)] == [b"/%d\n" % i for i in range(400)]


async def test_a_body_arrives_whole_with_a_length_or_in_chunks() -> None:
    async def echo(request: Request) -> Response:
        return Response(200, [], request.body)

    async with serving(echo, body_limit=lambda _m, _p, _h: 10) as world, world.client() as client:
        await client.send(b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 10\r\n\r\n0123456789")
        assert (await client.answer()).body == b"0123456789"
        await client.send(
            b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
        )
        assert (await client.answer()).body == b"abcde"


async def test_a_large_body_is_taken_where_the_route_allows_it() -> None:
    async def size(request: Request) -> Response:
        return text(200, str(len(request.body)))

    async with serving(size, body_limit=lambda _m, _p, _h: 16 << 20) as world, world.client() as client:
        await client.send(
            b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % (16 << 20) + bytes(16 << 20)
        )
        assert (await client.answer()).body == b"16777216\n"


async def test_a_client_that_asks_first_is_told_to_go_on() -> None:
    async def echo(request: Request) -> Response:
        return Response(200, [], request.body)

    async with serving(echo, body_limit=lambda _m, _p, _h: 10) as world, world.client() as client:
        await client.send(b"POST / HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert (await client.answer()).status == 100
        await client.send(b"ok")
        assert (await client.answer()).body == b"ok"


async def test_a_stream_goes_out_as_it_comes() -> None:
    async def stream(_request: Request) -> Response:
        async def lines() -> AsyncIterator[bytes]:
            yield b"one\n"
            yield b""
            yield b"two\n"

        return Response(200, [("Content-Type", "application/jsonl")], lines())

    async with serving(stream) as world, world.client() as client:
        assert (await client.get("/")).body == b"one\ntwo\n"
        assert (await client.get("/")).body == b"one\ntwo\n"
        await client.send(b"GET / HTTP/1.0\r\n\r\n")
        assert (await client.rest()).endswith(b"\r\n\r\none\ntwo\n")


def no_sendfile(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("p2pmods.httpd.sending.CAN_SENDFILE", False)


def no_sendfile_for_this_file(patch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object) -> int:
        raise OSError(errno.EINVAL, "Invalid argument")

    patch.setattr(os, "sendfile", refuse, raising=False)


def neither_sendfile_nor_pread(patch: pytest.MonkeyPatch) -> None:
    no_sendfile(patch)
    patch.delattr(os, "pread", raising=False)


def as_it_is(_patch: pytest.MonkeyPatch) -> None:
    pass


PLATFORMS = [as_it_is, no_sendfile, no_sendfile_for_this_file, neither_sendfile_nor_pread]


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("size", [0, 1, 32 << 10, (32 << 10) + 1, 5_000_000])
async def test_a_file_arrives_unchanged(
    size: int, platform: Callable[[pytest.MonkeyPatch], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform(monkeypatch)
    content = os.urandom(size)
    (tmp_path / "file").write_bytes(content)

    async def file(_request: Request) -> Response:
        return Response(200, [("ETag", '"x"')], FileBody.open(tmp_path / "file"))

    async with serving(file) as world, world.client() as client:
        for _ in range(2):
            assert (await client.get("/")).body == content
        if size > 20:
            answer = await client.get("/", "Range: bytes=10-19")
            assert (answer.status, answer.body) == (206, content[10:20])
            assert (await client.get("/", "Range: bytes=7-")).body == content[7:]
        head = await client.get("/", method="HEAD")
        assert head.headers["content-length"] == str(size)
        assert (await client.get("/", 'If-None-Match: "x"')).status == 304
        assert (await client.get("/", "Range: bytes=0-0", method="HEAD")).status == (206 if size else 416)


async def test_ready_made_answers_come_without_the_handler() -> None:
    async def refuse(request: Request) -> Response:
        return text(404, "no " + request.path)

    known = {b"/a": ready_made(text(200, "A")), b"/b": ready_made(text(200, "B"))}
    async with serving(refuse, fast=known.get) as world, world.client() as client:
        for _ in range(3):
            assert (await client.get("/a")).body == b"A\n"
            assert (await client.get("/b")).body == b"B\n"
            assert (await client.get("/c")).body == b"no /c\n"
        await client.send(b"".join(b"GET /%s HTTP/1.1\r\n%s\r\n" % (n, HOST) for n in (b"a", b"b", b"c", b"a")))
        assert [(await client.answer()).body for _ in range(4)] == [b"A\n", b"B\n", b"no /c\n", b"A\n"]
        assert world.server.statistics().ready_made == 9
        assert world.server.statistics().handled == 4


@pytest.mark.parametrize("kind", ["bytes", "ready", "sendfile", "read", "stream"])
async def test_a_client_that_reads_late_gets_it_all(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind == "read":
        no_sendfile(monkeypatch)
    content = os.urandom(12_000_000)
    (tmp_path / "file").write_bytes(content)

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(content), 1_000_000):
            yield content[start : start + 1_000_000]

    async def large(_request: Request) -> Response:
        if kind == "stream":
            return Response(200, [], pieces())
        return Response(200, [], content if kind == "bytes" else FileBody.open(tmp_path / "file"))

    fast = {b"/": ready_made(Response(200, [], content))}.get if kind == "ready" else None
    async with serving(large, fast=fast) as world, world.client() as client:
        for _ in range(2):
            await client.send(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
            await trio.testing.wait_all_tasks_blocked(0.01)
            assert (await client.answer()).body == content


async def test_head_of_a_stream_starts_nothing() -> None:
    closed = trio.Event()

    class Stream:
        def __aiter__(self) -> Stream:
            return self

        async def __anext__(self) -> bytes:
            raise AssertionError("asked for bytes")

        async def aclose(self) -> None:
            closed.set()

    async def stream(_request: Request) -> Response:
        return Response(200, [], Stream())

    async with serving(stream) as world, world.client() as client:
        assert (await client.get("/", method="HEAD")).headers["transfer-encoding"] == "chunked"
        await closed.wait()
        assert (await client.get("/", method="HEAD")).status == 200


def test_only_bytes_can_be_made_ready() -> None:
    with pytest.raises(TypeError):
        ready_made(Response(200, [], FileBody(-1, 0)))
    assert ready_made(Response(304, [("ETag", '"x"')])) == b'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\n\r\n'


async def test_ready_made_bytes_are_what_the_server_itself_would_send() -> None:
    response = Response(200, [("Content-Type", "text/plain"), ("ETag", '"x"')], b"body")

    async def plain(_request: Request) -> Response:
        return response

    async with serving(plain) as world, world.client() as client:
        await client.send(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
        await client.stream.send_eof()
        assert await client.rest() == ready_made(response)
