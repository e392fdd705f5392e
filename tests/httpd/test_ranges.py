"""Which part of a file a client gets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pmods.httpd import FileBody, Request, Response
from p2pmods.httpd.ranges import choose_part, is_unmodified
from tests.httpd.world import serving

ETAG = '"abc"'

PARTS = [
    # Range, status, first byte, length; of ten bytes
    ("bytes=0-0", 206, 0, 1),
    ("bytes=0-9", 206, 0, 10),
    ("bytes=3-", 206, 3, 7),
    ("bytes=9-", 206, 9, 1),
    ("bytes=2-99999999999999999", 206, 2, 8),
    ("bytes=-3", 206, 7, 3),
    ("bytes=-10", 206, 0, 10),
    ("bytes=-11", 206, 0, 10),
    ("BYTES=1-2", 206, 1, 2),
    ("bytes= 1-2 ", 206, 1, 2),
    ("bytes=10-", 416, 0, 0),
    ("bytes=10-20", 416, 0, 0),
    ("bytes=-0", 416, 0, 0),
    ("bytes=0-1,3-4", 200, 0, 10),
    ("bytes=5-2", 200, 0, 10),
    ("bytes=-", 200, 0, 10),
    ("bytes=a-b", 200, 0, 10),
    ("bytes=1", 200, 0, 10),
    ("bytes=--1", 200, 0, 10),
    ("bytes=+1-2", 200, 0, 10),
    ("bytes=²-", 200, 0, 10),
    ("bytes=0-" + "9" * 400, 200, 0, 10),
    ("lines=1-2", 200, 0, 10),
    ("", 200, 0, 10),
]


@pytest.mark.parametrize(("asked", "status", "offset", "length"), PARTS)
def test_a_range_is_the_part_that_it_says(asked: str, status: int, offset: int, length: int) -> None:
    part = choose_part({"range": asked}, ETAG, 10)
    assert (part.status, part.offset, part.length) == (status, offset, length)
    if status == 206:
        assert ("Content-Range", f"bytes {offset}-{offset + length - 1}/10") in part.headers
    if status == 416:
        assert part.headers == (("Content-Range", "bytes */10"),)


@given(st.text(alphabet="bytes=0123456789-, ", max_size=20), st.integers(0, 50))
def test_no_range_reaches_outside_of_the_file(asked: str, size: int) -> None:
    part = choose_part({"range": asked}, ETAG, size)
    assert 0 <= part.offset <= part.offset + part.length <= size
    assert part.status != 206 or part.length > 0


@pytest.mark.parametrize(
    ("if_range", "status"), [(ETAG, 206), ('"other"', 200), ('W/"abc"', 200), ("Wed, 21 Oct 2015 07:28:00 GMT", 200)]
)
def test_a_range_of_another_file_is_the_whole_of_this_one(if_range: str, status: int) -> None:
    assert choose_part({"range": "bytes=0-0", "if-range": if_range}, ETAG, 10).status == status


@pytest.mark.parametrize(
    ("held", "unmodified"),
    [(ETAG, True), ('W/"abc"', True), ('"x", "abc"', True), ("*", True), ('"x"', False), ("abc", False), ("", False)],
)
def test_what_the_client_holds_is_not_sent_again(held: str, unmodified: bool) -> None:
    assert is_unmodified(held, ETAG) is unmodified
    assert choose_part({"if-none-match": held, "range": "bytes=0-0"}, ETAG, 10).status == (304 if unmodified else 206)


async def test_only_a_200_with_an_etag_has_parts() -> None:
    async def plain(request: Request) -> Response:
        return Response(
            404 if request.path == "/404" else 200, [("ETag", ETAG)][: request.path == "/404"], b"0123456789"
        )

    async with serving(plain) as world, world.client() as client:
        for target, status in (("/", 200), ("/404", 404)):
            answer = await client.get(target, "Range: bytes=0-0", f"If-None-Match: {ETAG}")
            assert (answer.status, answer.body) == (status, b"0123456789")
            assert "accept-ranges" not in answer.headers


async def test_a_file_that_is_not_sent_is_closed() -> None:
    bodies: list[FileBody] = []

    async def file(_request: Request) -> Response:
        from pathlib import Path

        bodies.append(FileBody.open(Path(__file__)))
        return Response(200, [("ETag", ETAG)], bodies[-1])

    async with serving(file) as world, world.client() as client:
        assert (await client.get("/", method="HEAD")).status == 200
        assert (await client.get("/", f"If-None-Match: {ETAG}")).status == 304
        assert (await client.get("/", "Range: bytes=99999999-")).status == 416
        assert (await client.get("/", "Range: bytes=0-3")).body == b'"""W'
    assert len(bodies) == 4
    for body in bodies:
        with pytest.raises(ValueError, match="closed"):
            _ = body.fd
