"""Web pages in the user's browser, and paths that would be read twice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pmods.errors import MalformedData
from p2pmods.httpd.guard import allowed_hosts, is_host_allowed, is_read, is_same_origin
from p2pmods.httpd.targets import decode_path

ALLOWED = allowed_hosts(3070, ["host.docker.internal", "Proxy.example:8080"])


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.0.0.1:3070", "localhost", "LocalHost:3070", "[::1]", "[::1]:3070",
        "host.docker.internal", "host.docker.internal:3070", "proxy.example:8080",
    ],
)  # fmt: skip
def test_our_names_are_allowed(host: str) -> None:
    assert is_host_allowed(host, ALLOWED)


@pytest.mark.parametrize(
    "host",
    [
        None, "", "evil.example", "evil.example:3070", "127.0.0.1:80", "localhost:3071", "localhost.",
        "localhost.evil.example", "127.0.0.1.evil.example", "127.0.0.2", "0.0.0.0:3070", "::1", "[::1", "127.1",
        "2130706433", "localhost:3070:3070", " localhost", "localhost@evil.example", "proxy.example",
    ],
)  # fmt: skip
def test_a_name_that_was_made_to_resolve_to_us_is_not(host: str | None) -> None:
    assert not is_host_allowed(host, ALLOWED)


@pytest.mark.parametrize(
    ("headers", "same"),
    [
        ({"host": "127.0.0.1:3070"}, True),
        ({"host": "127.0.0.1:3070", "origin": "http://127.0.0.1:3070"}, True),
        ({"host": "127.0.0.1:3070", "origin": "http://127.0.0.1:3070", "sec-fetch-site": "same-origin"}, True),
        ({"host": "127.0.0.1:3070", "sec-fetch-site": "none"}, True),
        ({"host": "127.0.0.1:3070", "origin": "null"}, False),
        ({"host": "127.0.0.1:3070", "origin": ""}, False),
        ({"host": "127.0.0.1:3070", "origin": "http://localhost:3070"}, False),
        ({"host": "localhost:3070", "origin": "http://localhost:8080"}, False),
        ({"host": "localhost:3070", "origin": "http://localhost"}, False),
        ({"host": "localhost:3070", "origin": "https://localhost:3070"}, False),
        ({"host": "localhost:3070", "origin": "http://evil.example"}, False),
        ({"host": "localhost:3070", "sec-fetch-site": "cross-site"}, False),
        ({"host": "localhost:3070", "sec-fetch-site": "same-site"}, False),
        ({"host": "localhost:3070", "origin": "http://localhost:3070", "sec-fetch-site": "cross-site"}, False),
        ({"host": "localhost:3070", "sec-fetch-site": "anything new"}, False),
    ],
)
def test_another_origin_may_change_nothing(headers: dict[str, str], same: bool) -> None:
    assert is_same_origin(headers) is same


def test_the_go_api_only_reads() -> None:
    assert [method for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "get") if is_read(method)] == [
        "GET",
        "HEAD",
    ]


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ("/github.com/%21up/x/@v/list", "/github.com/!up/x/@v/list"),
        ("/a+b", "/a+b"),
        ("/a%2Bb", "/a+b"),
        ("/a%20b", "/a b"),
        ("/%2521up", "/%21up"),
        ("/%e2%98%83", "/☃"),
        ("/a%40v1", "/a@v1"),
        ("", ""),
    ],
)
def test_a_path_is_decoded_exactly_once(sent: str, meant: str) -> None:
    assert decode_path(sent) == meant


@pytest.mark.parametrize(
    "sent",
    [
        "/%",
        "/%2",
        "/%zz",
        "/%+1",
        "/% 1",
        "/%00",
        "/%0a",
        "/%7f",
        "/a%2fb",
        "/a%2Fb",
        "/%ff",
        "/%c0%af",
        "/%²1",
        "/☃%20",
    ],
)
def test_a_path_with_two_readings_is_refused(sent: str) -> None:
    with pytest.raises(MalformedData):
        decode_path(sent)


@given(st.text(alphabet="/%0123456789abcdefABCDEF.!@+", max_size=30))
def test_decoding_keeps_the_segments(sent: str) -> None:
    try:
        decoded = decode_path(sent)
    except MalformedData:
        return
    assert decoded.count("/") == sent.count("/")
    assert all(c.isprintable() or ord(c) > 0x7F for c in decoded)
