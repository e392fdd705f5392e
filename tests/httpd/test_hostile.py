"""What a hostile, broken or mistaken client gets, and that nobody else notices."""

from __future__ import annotations

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from p2pmods.httpd import Headers, Limits, Request, Response, ready_made, text
from tests.httpd.world import HOST, hello, serving

SMALL = Limits(head_bytes=2048, target_bytes=1024, headers=20, linger_timeout=5.0)
GET = b"GET / HTTP/1.1\r\n"
POST = b"POST / HTTP/1.1\r\n" + HOST

REFUSED = {
    "no Host": (GET + b"\r\n", 400),
    "empty Host": (GET + b"Host:\r\n\r\n", 400),
    "two Hosts": (GET + HOST + HOST + b"\r\n", 400),
    "two Origins": (GET + HOST + b"Origin: a\r\nOrigin: b\r\n\r\n", 400),
    "folded header": (GET + HOST + b"A: b\r\n c\r\n\r\n", 400),
    "bare newlines": (b"GET / HTTP/1.1\nHost: a\n\n", 400),
    "space before the colon": (GET + b"Host : a\r\n\r\n", 400),
    "NUL in a header": (GET + HOST + b"A: \0\r\n\r\n", 400),
    "CR in a header": (GET + HOST + b"A: b\rc\r\n\r\n", 400),
    "length and chunks": (POST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", 400),
    "chunks and length": (POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "two lengths": (POST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400),
    "two lengths in one": (POST + b"Content-Length: 3, 3\r\n\r\nabc", 400),
    "negative length": (POST + b"Content-Length: -1\r\n\r\n", 400),
    "signed length": (POST + b"Content-Length: +1\r\n\r\na", 400),
    "huge length": (POST + b"Content-Length: 99999999999999999999\r\n\r\n", 400),
    "unknown coding": (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400),
    "chunked twice": (POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "chunked and a blank": (POST + b"Transfer-Encoding: chunked \r\n\r\n0\r\n\r\n", 400),
    "blank Host": (GET + b"Host: \t \r\n\r\n", 400),
    "chunks in 1.0": (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "bad chunk size": (POST + b"Transfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n", 400),
    "bad chunk end": (POST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n", 400),
    "huge chunk": (POST + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", 400),
    "large chunk": (POST + b"Transfer-Encoding: chunked\r\n\r\nff\r\n" + b"x" * 255, 413),
    "too long a body": (POST + b"Content-Length: 11\r\n\r\n", 413),
    "no body here": (b"POST /bodiless HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\n\r\na", 413),
    "unknown expectation": (POST + b"Expect: cake\r\nContent-Length: 1\r\n\r\n", 417),
    "an expectation that is too large": (POST + b"Expect: 100-continue\r\nContent-Length: 11\r\n\r\n", 413),
    "endless chunk extension": (POST + b"Transfer-Encoding: chunked\r\n\r\n1;" + b"x" * 30_000, 400),
    "endless trailer": (POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\nA: " + b"x" * 30_000, 400),
    "many trailers": (POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"A: x\r\n" * 30, 431),
    "many headers": (GET + HOST + b"A: x\r\n" * 30 + b"\r\n", 431),
    "large head": (GET + b"A: " + b"x" * 30_000, 431),
    "long target": (b"GET /" + b"x" * 1100 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414),
    "10 MB of target": (b"GET /" + b"x" * 10_000_000, 414),
    "space in target": (b"GET /a b HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "fragment in target": (b"GET /a#b HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "bytes in target": (b"GET /\xff HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "target without a slash": (b"GET a HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "star": (b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "forward proxy": (b"GET http://other/ HTTP/1.1\r\n" + HOST + b"\r\n", 405),
    "CONNECT": (b"CONNECT other:443 HTTP/1.1\r\n" + HOST + b"\r\n", 405),
    "HTTP/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "HTTP/0.9": (b"GET /\r\n\r\n", 505),
    "HTTP/1.2": (b"GET / HTTP/1.2\r\n" + HOST + b"\r\n", 400),
    "unknown method": (b"BREW / HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "upgrade with a body": (POST + b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 1\r\n\r\na", 400),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500), 400),
}


def small_bodies(_method: str, path: str, _headers: Headers) -> int:
    return 0 if path == "/bodiless" else 10


@pytest.mark.parametrize("name", REFUSED)
async def test_it_is_refused_and_the_connection_ends(name: str) -> None:
    data, status = REFUSED[name]
    async with serving(hello, SMALL, body_limit=small_bodies) as world:
        async with world.client() as client:
            await client.send(data)
            answer = await client.answer()
            assert (answer.status, answer.headers["connection"]) == (status, "close")
            assert answer.headers["content-type"] == "text/plain; charset=utf-8"
            assert await client.rest() == b""
        assert await world.is_alive()
        assert world.errors == []


async def test_answers_due_come_before_the_refusal() -> None:
    async with serving(hello) as world, world.client() as client:
        await client.send(GET + HOST + b"\r\n" + b"GET /2 HTTP/1.1\r\n" + HOST + b"\r\n" + b"nonsense\r\n\r\n")
        assert [(await client.answer()).status for _ in range(3)] == [200, 200, 400]


async def test_an_upgrade_is_declined_by_an_ordinary_answer() -> None:
    async with serving(hello) as world, world.client() as client:
        fields = (
            b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n"
        )
        await client.send(GET + HOST + fields + b"\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        answer = await client.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert await client.rest() == b""


async def test_what_follows_a_close_is_not_answered() -> None:
    async with serving(hello) as world, world.client() as client:
        await client.send(GET + HOST + b"Connection: close\r\n\r\n" + GET + HOST + b"\r\n")
        assert (await client.answer()).headers["connection"] == "close"
        assert await client.rest() == b""


async def test_an_old_client_is_answered_and_may_stay() -> None:
    async with serving(hello) as world, world.client() as client:
        await client.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert (await client.answer()).headers["connection"] == "keep-alive"
        await client.send(b"GET / HTTP/1.0\r\n\r\n")
        assert (await client.answer()).headers["connection"] == "close"
        assert await client.rest() == b""


async def test_a_handler_that_fails_is_a_500_and_the_connection_goes_on() -> None:
    async def fail(request: Request) -> Response:
        if request.path == "/group":
            raise ExceptionGroup("two", [ValueError("secret"), OSError("secret")])
        if request.path == "/injection":
            return Response(200, [("X", "a\r\nSet-Cookie: b")])
        if request.path == "/fail":
            raise ConnectionError("secret")
        return await hello(request)

    async with serving(fail) as world, world.client() as client:
        for target in ("/fail", "/group", "/injection"):
            answer = await client.get(target)
            assert answer.status == 500
            assert answer.body.count(b"\n") == 1
            assert b"secret" not in answer.body
        assert (await client.get("/")).status == 200
        assert [type(error) for error in world.errors] == [ConnectionError, ExceptionGroup, ValueError]


@pytest.mark.parametrize(
    "header",
    [
        ("X", "a\r\nB: c"),
        ("X", "a\nb"),
        ("X", "a\0"),
        ("X", "☃"),
        ("X\r\nB", "c"),
        ("", "a"),
        ("Content-Length", "1"),
    ],
)
def test_a_header_cannot_break_out_of_its_line(header: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match="cannot be sent"):
        Response(200, [header])


PIECES = st.sampled_from(
    [
        *(data for data, _ in REFUSED.values() if len(data) < 1000),
        GET + HOST + b"\r\n",
        b"GET /known HTTP/1.1\r\n" + HOST + b"\r\n",
        POST + b"Content-Length: 3\r\n\r\nabc",
        POST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"\r\n",
        b"0\r\n\r\n",
        b"Upgrade: h2c\r\nConnection: upgrade\r\n",
    ]
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.lists(st.one_of(PIECES, st.binary(max_size=40)), max_size=5).map(b"".join), min_size=1, max_size=6)
)
def test_no_bytes_take_the_server_down(streams: list[bytes]) -> None:
    async def attack() -> None:
        known = {b"/known": ready_made(text(200, "known"))}
        async with serving(hello, SMALL, body_limit=small_bodies, fast=known.get) as world:
            for data in streams:
                async with world.client() as client:
                    await client.send(data)
                    await client.stream.send_eof()
                    await client.rest()
            assert await world.is_alive()
            assert world.errors == []

    trio.run(attack)
