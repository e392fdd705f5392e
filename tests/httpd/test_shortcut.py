"""A header block seen before is not parsed again, and that never shows."""

from __future__ import annotations

import pytest
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pmods.httpd import Limits, Request, Response, ready_made, text
from p2pmods.httpd.guard import allowed_hosts, is_host_allowed
from p2pmods.httpd.parser import RequestParser
from p2pmods.httpd.shortcut import Fast, Shortcut
from tests.httpd.world import HOST, serving

KNOWN = {b"/a": ready_made(text(200, "A")), b"/b": ready_made(text(200, "B"))}


async def handler(request: Request) -> Response:
    """Says the same of what is known as the ready-made answers do."""
    if request.method == "GET" and request.target in ("/a", "/b"):
        return text(200, request.target[1:].upper())
    return text(404, f"{request.method} {request.target} {request.body!r}")


HEADS = [HOST, b"Host: localhost\r\nUser-Agent: x\r\n", b"Host: localhost\r\nA: /a HTTP/1.1\r\n"]
REQUESTS = st.one_of(
    st.builds(
        lambda method, target, fields: b"%s %s HTTP/1.1\r\n%s\r\n" % (method, target, fields),
        st.sampled_from([b"GET", b"GET", b"GET", b"HEAD", b"POST"]),
        st.sampled_from(
            [b"/a", b"/b", b"/c", b"/c?d", b"/a?", b"/%61", b" /a", b"/a b", b"/#", b"c", b"/" + b"x" * 200]
        ),
        st.sampled_from(HEADS),
    ),
    st.sampled_from(
        [
            b"POST /a HTTP/1.1\r\n" + HOST + b"Content-Length: 24\r\n\r\n" + b"GET /a HTTP/1.1\r\nHost: l",
            b"GET /a HTTP/1.0\r\n" + HOST + b"\r\n",
            b"GET /a HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n",
            b"GET /a HTTP/1.1\r\n" + HOST,
            b"GET /a HTTP/1.1\r\n" + HOST + b"Range: bytes=0-0\r\n\r\n",
            b"\r\n",
        ]
    ),
)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(REQUESTS, min_size=1, max_size=4).map(b"".join), min_size=1, max_size=6))
def test_answers_are_the_same_with_and_without_it(writes: list[bytes]) -> None:
    async def answers(fast: bool) -> bytes:
        hooks = {"fast": KNOWN.get} if fast else {}
        limits = Limits(linger_timeout=5, target_bytes=100)
        async with (
            serving(handler, limits, body_limit=lambda _m, _p, _h: 100, **hooks) as world,
            world.client() as client,
        ):
            for data in writes:
                await client.send(data)
                await trio.testing.wait_all_tasks_blocked(0.0005)
            await client.stream.send_eof()
            return await client.rest()

    async def both() -> None:
        assert await answers(True) == await answers(False)

    trio.run(both)


def learned(data: bytes, fast: Fast = KNOWN.get) -> Shortcut:
    shortcut = Shortcut(fast, 1000, "")
    shortcut.learn(data, {"host": "localhost"})
    return shortcut


GET = b"GET /%s HTTP/1.1\r\n" + HOST + b"\r\n"


def test_pipelined_answers_go_out_together_and_the_rest_is_left() -> None:
    answers, request, rest = learned(GET % b"a").take(GET % b"a" + GET % b"b" + GET % b"c" + GET % b"a")
    assert answers == [KNOWN[b"/a"], KNOWN[b"/b"]]
    assert request is not None
    assert (request.path, request.headers) == ("/c", {"host": "localhost"})
    assert rest == GET % b"a"


@pytest.mark.parametrize("fields", [b"Host: localhos\r\n\r\n", b"Host: evil\r\n\r\n", b"Host: localhost\r\n", b""])
def test_other_headers_are_left_to_the_parser(fields: bytes) -> None:
    data = b"GET /a HTTP/1.1\r\n" + fields
    assert learned(GET % b"a").take(data) == ([], None, data)


@given(st.one_of(st.binary(max_size=30), st.text(st.characters(max_codepoint=127), max_size=10).map(str.encode)))
def test_a_target_is_taken_as_the_parser_takes_it_or_left_to_it(end: bytes) -> None:
    data = GET % end
    _, request, rest = learned(GET % b"c", lambda _target: None).take(data)
    assert rest == (b"" if request else data)
    if request:
        parser = RequestParser(Limits(), lambda _m, _p, _h: 0)
        parser.feed(data)
        (parsed,) = parser.take()
        assert request == parsed


def test_pipelined_answers_are_bounded() -> None:
    large = bytes(200 << 10)
    answers, request, rest = learned(GET % b"a", lambda _target: large).take(GET % b"a" * 10)
    assert (len(answers), request, rest) == (2, None, GET % b"a" * 8)


async def test_a_pair_of_requests_seen_before_is_still_two() -> None:
    async with serving(handler, fast=KNOWN.get) as world, world.client() as client:
        for _ in range(3):
            await client.send(GET % b"a" + GET % b"b")
            assert [(await client.answer()).body for _ in range(2)] == [b"A\n", b"B\n"]
            await trio.testing.wait_all_tasks_blocked()


async def test_a_host_that_is_not_ours_gets_no_ready_made_answer() -> None:
    allowed = allowed_hosts(3070)

    def admit(headers: dict[str, str]) -> Response | None:
        return None if is_host_allowed(headers.get("host"), allowed) else text(403, "this host name is not served")

    async with serving(handler, fast=KNOWN.get, admit=admit) as world, world.client() as client:
        for _ in range(3):
            await client.send(b"GET /a HTTP/1.1\r\nHost: evil.example:3070\r\n\r\n")
            assert (await client.answer()).status == 403
            assert (await client.get("/a")).status == 200
            assert (await client.get("/nothing", method="POST")).status == 404
        assert world.server.statistics().ready_made == 3


async def test_ranges_and_conditions_are_not_answered_from_ready_made_bytes() -> None:
    async def file(_request: Request) -> Response:
        return Response(200, [("ETag", '"x"')], b"A\n")

    async with serving(file, fast=KNOWN.get) as world, world.client() as client:
        for _ in range(2):
            assert (await client.get("/a")).body == b"A\n"
            for _ in range(2):
                assert (await client.get("/a", "Range: bytes=0-0")).status == 206
            for _ in range(2):
                assert (await client.get("/a", 'If-None-Match: "x"')).status == 304
            assert (await client.get("/a", method="HEAD")).body == b""
