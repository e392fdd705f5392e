"""Whatever an upstream answers, the node says what was wrong, takes no more than it should, and waits no longer."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import trio

from p2pmods.errors import NotFound, Refused, SourceError, Unavailable
from p2pmods.testing import upstream_faults as faults
from p2pmods.upstream.answer import check_start
from p2pmods.upstream.failure import Unreachable
from p2pmods.upstream.limits import Want
from p2pmods.upstream.proxy import ProxyClient
from p2pmods.upstream.sink import BytesSink, Listener
from tests.upstream.world import INFO, MOD, QUICK, ZIP, ZIP_KEY, upstream

if TYPE_CHECKING:
    from p2pmods.gomod.module import FileKey
    from p2pmods.testing.upstream import FakeUpstream


async def fetch(fake: FakeUpstream, client: ProxyClient, key: FileKey = ZIP_KEY) -> bytes:
    sink = BytesSink()
    await client.fetch(fake.url, key.url_path, Want[key.kind.name], sink)
    return sink.getvalue()


async def failure(fake: FakeUpstream, client: ProxyClient, key: FileKey = ZIP_KEY) -> SourceError:
    with pytest.raises(SourceError) as caught:
        await fetch(fake, client, key)
    return caught.value


async def test_a_good_answer_is_delivered(fake: FakeUpstream, client: ProxyClient) -> None:
    assert await fetch(fake, client) == ZIP
    assert await fetch(fake, client, MOD) == b"module example.com/Widget\n"
    assert fake.requests[0] == "/example.com/!widget/@v/v1.2.3.zip"
    assert fake.connections == 1


@pytest.mark.parametrize(("code", "kind"), [(404, NotFound), (410, NotFound), (403, Refused), (451, Refused)])
async def test_a_no_is_passed_on_with_its_reason_and_not_asked_twice(
    fake: FakeUpstream, client: ProxyClient, code: int, kind: type[SourceError]
) -> None:
    fake.fault(".mod", faults.status(code, "gone fishing\x1b[2J\n\nsecret second paragraph"))
    error = await failure(fake, client, MOD)
    assert isinstance(error, kind)
    assert f"{code} " in error.reason
    assert error.reason.endswith("gone fishing\\x1b[2J")
    assert len(fake.requests) == 1


async def test_401_says_that_credentials_are_missing(fake: FakeUpstream, client: ProxyClient) -> None:
    fake.fault(".mod", faults.status(401))
    error = await failure(fake, client, MOD)
    assert isinstance(error, Refused)
    assert "credentials (netrc)" in error.reason


async def test_an_error_body_is_shown_only_as_plain_text_and_in_small_amounts(
    fake: FakeUpstream, client: ProxyClient
) -> None:
    fake.fault(".mod", faults.status(404, "x" * 100_000), times=1)
    assert len((await failure(fake, client, MOD)).reason) < 700
    fake.fault(".mod", faults.redirect("/elsewhere", 404))
    assert (await failure(fake, client, MOD)).reason == "404 Not Found"


@pytest.mark.parametrize("code", [429, 500, 502, 503, 504])
async def test_a_passing_failure_is_tried_again(fake: FakeUpstream, client: ProxyClient, code: int) -> None:
    fake.fault(".zip", faults.status(code, retry_after="0"), times=3)
    assert await fetch(fake, client) == ZIP
    assert client.statistics()[0].retries == 3


@pytest.mark.parametrize(("wish", "told"), [("1", 1), ("0", 0), ("", 0)])
async def test_who_waits_is_told_that_the_upstream_wants_a_pause(
    fake: FakeUpstream, client: ProxyClient, wish: str, told: int
) -> None:
    fake.fault(".zip", faults.status(429, retry_after=wish), times=1)
    heard: list[int | None] = []

    class Heard(Listener):
        def limited(self) -> None:
            heard.append(sink.size)

        def expects(self, length: int | None) -> None:
            heard.append(length)

    sink = BytesSink()
    patient = ProxyClient(client.offline, limits=replace(QUICK, retry_after=2.0), environ={}, netrc={})
    await patient.fetch(fake.url, ZIP_KEY.url_path, Want.ZIP, sink, Heard())
    patient.close()
    assert sink.getvalue() == ZIP
    assert heard == [0] * told + [len(ZIP)]


async def test_a_failure_that_does_not_pass_is_given_up_soon(fake: FakeUpstream, client: ProxyClient) -> None:
    fake.fault(".zip", faults.status(500, "out of order"))
    error = await failure(fake, client)
    assert isinstance(error, Unavailable)
    assert error.reason == "500 Internal Server Error: out of order"
    assert len(fake.requests) == QUICK.attempts


async def test_a_long_retry_after_is_not_waited_for(fake: FakeUpstream, client: ProxyClient) -> None:
    fake.fault(".zip", faults.status(429, retry_after="3600"))
    assert isinstance(await failure(fake, client), Unavailable)
    assert len(fake.requests) == 1


@pytest.mark.parametrize("more", [1, 5000])
async def test_a_body_shorter_than_stated_is_no_body(fake: FakeUpstream, client: ProxyClient, more: int) -> None:
    fake.fault(".mod", faults.wrong_length(more))
    assert isinstance(await failure(fake, client, MOD), Unavailable)


async def test_a_body_longer_than_stated_ends_where_it_was_said_to(fake: FakeUpstream, client: ProxyClient) -> None:
    fake.fault(".zip", faults.wrong_length(-1000), times=1)
    assert await fetch(fake, client) == ZIP[:-1000]  # its hash will tell; the next request is not disturbed
    assert await fetch(fake, client) == ZIP


@pytest.mark.parametrize(
    "fault", [faults.reset(), faults.reset(200_000), faults.truncated(200_000), faults.stall(99)]
)
async def test_what_breaks_off_is_completed(fake: FakeUpstream, client: ProxyClient, fault: faults.Fault) -> None:
    fake.fault(".zip", fault, times=1)
    assert await fetch(fake, client) == ZIP


async def test_an_interrupted_zip_goes_on_where_it_stopped(fake: FakeUpstream, client: ProxyClient) -> None:
    fake.fault(".zip", faults.truncated(200_000), times=1)
    assert await fetch(fake, client) == ZIP
    again = fake.log[1].headers
    assert again["range"] == "bytes=200000-"
    assert again["if-range"].startswith('"')


async def test_a_zip_that_changed_meanwhile_is_begun_again(fake: FakeUpstream, client: ProxyClient) -> None:
    other = ZIP[:1000] + b"!" + ZIP[1000:]

    async def cut_and_change(exchange: faults.Exchange) -> None:
        fake.files[f"/{ZIP_KEY.url_path}"] = other
        await faults.truncated(200_000)(exchange)

    fake.fault(".zip", cut_and_change, times=1)
    assert await fetch(fake, client) == other


async def test_a_server_that_ignores_ranges_is_taken_from_the_start(fake: FakeUpstream, client: ProxyClient) -> None:
    fake.fault(".zip", faults.truncated(200_000), times=1)
    fake.fault(".zip", faults.ignore_range())
    assert await fetch(fake, client) == ZIP


async def test_a_server_that_sends_another_range_is_taken_from_the_start(
    fake: FakeUpstream, client: ProxyClient
) -> None:
    async def wrong_part(exchange: faults.Exchange) -> None:
        headers = {"Content-Range": f"bytes 5-{len(ZIP) - 1}/{len(ZIP)}"}
        await faults.send(replace_answer(exchange, faults.Answer(206, ZIP[5:], headers)))

    fake.fault(".zip", faults.truncated(200_000), times=1)
    fake.fault(".zip", wrong_part, times=1)
    assert await fetch(fake, client) == ZIP
    assert "range" not in fake.log[2].headers


async def test_a_refused_range_is_taken_from_the_start(fake: FakeUpstream, client: ProxyClient) -> None:
    fake.fault(".zip", faults.truncated(200_000), times=1)
    fake.fault(".zip", faults.status(416), times=1)
    assert await fetch(fake, client) == ZIP


@pytest.mark.parametrize("key", [INFO, MOD, ZIP_KEY])
async def test_a_login_page_is_not_an_answer(fake: FakeUpstream, client: ProxyClient, key: FileKey) -> None:
    fake.fault("/", faults.login_page())
    error = await failure(fake, client, key)
    assert isinstance(error, Unreachable)
    assert "answered 200 with a web page: captive portal" in error.reason
    assert client.offline.offline


@pytest.mark.parametrize("portal", [faults.login_page(), faults.status(511)], ids=["a page", "511"])
async def test_a_portal_is_remembered_until_the_upstream_delivers_again(
    fake: FakeUpstream, client: ProxyClient, portal: faults.Fault
) -> None:
    fake.fault(".zip", portal, times=1)
    await failure(fake, client, ZIP_KEY)
    there = upstream(fake.url, client)
    assert there.statistics().is_captive
    host = fake.url.removeprefix("http://")
    client.offline.succeeded(host, now=trio.current_time())  # it answers; whether with files is not known yet
    assert there.statistics().is_captive
    assert await fetch(fake, client) == ZIP
    assert not there.statistics().is_captive


@pytest.mark.parametrize("fault", [faults.status(404), faults.status(503), faults.status(403)])
async def test_other_failures_are_no_portal(fake: FakeUpstream, client: ProxyClient, fault: faults.Fault) -> None:
    fake.fault(".zip", fault)
    await failure(fake, client, ZIP_KEY)
    assert not upstream(fake.url, client).statistics().is_captive


async def test_a_list_is_no_login_page_either(fake: FakeUpstream, client: ProxyClient) -> None:
    fake.fault("/", faults.login_page())
    with pytest.raises(Unreachable):
        await upstream(fake.url, client).fetch_list("example.com/Widget")


@pytest.mark.parametrize(
    ("key", "body"),
    [(ZIP_KEY, b"hello"), (ZIP_KEY, b""), (INFO, b"v1.2.3"), (INFO, b"{"), (INFO, b""), (INFO, b"[]")],
)
async def test_nonsense_with_200_is_not_an_answer(
    fake: FakeUpstream, client: ProxyClient, key: FileKey, body: bytes
) -> None:
    fake.fault("/", faults.body(body))
    error = await failure(fake, client, key)
    assert isinstance(error, Unavailable)
    assert error.reason.startswith("answered 200 with ")
    assert len(fake.requests) == 1


async def test_a_redirect_is_followed(fake: FakeUpstream, client: ProxyClient) -> None:
    fake.files["/blob"] = ZIP
    fake.fault(".zip", faults.redirect("/blob?sig=a%20b"))
    fake.fault("/blob", faults.body(ZIP))
    assert await fetch(fake, client) == ZIP
    assert fake.requests[1] == "/blob?sig=a%20b"


async def test_redirects_in_a_circle_end(fake: FakeUpstream, client: ProxyClient) -> None:
    fake.fault(".zip", faults.redirect_loop())
    error = await failure(fake, client)
    assert "stopped after 10 redirects" in error.reason
    assert len(fake.requests) == 11


@pytest.mark.parametrize("location", ["", "file:///etc/passwd", "ftp://x/y", "http://:80/", "//"])
async def test_a_redirect_to_nowhere_is_not_followed(fake: FakeUpstream, client: ProxyClient, location: str) -> None:
    fake.fault(".zip", faults.redirect(location))
    assert isinstance(await failure(fake, client), Unavailable)


async def test_an_endless_body_is_cut_at_what_its_kind_may_have(fake: FakeUpstream, client: ProxyClient) -> None:
    fake.fault(".info", faults.endless(b"{"))
    error = await failure(fake, client, INFO)
    assert isinstance(error, Unavailable)
    assert "may have 1048576 bytes" in error.reason


async def test_a_body_that_says_it_is_too_large_is_not_read(fake: FakeUpstream, client: ProxyClient) -> None:
    fake.fault(".zip", faults.wrong_length(500 << 20))
    error = await failure(fake, client)
    assert "a zip may have 524288000 bytes" in error.reason


async def test_one_byte_at_a_time_is_given_up(fake: FakeUpstream, client: ProxyClient) -> None:
    fake.fault(".zip", faults.trickle(1, every=0.01))
    error = await failure(fake, client)
    assert isinstance(error, Unavailable)
    assert "slower than 4 KiB/s" in error.reason


async def test_a_slow_line_is_borne_as_long_as_it_is_above_the_floor(fake: FakeUpstream, client: ProxyClient) -> None:
    fake.fault(".zip", faults.trickle(30_000, every=0.01))
    assert await fetch(fake, client) == ZIP


async def test_silence_in_a_body_is_given_up(fake: FakeUpstream, client: ProxyClient) -> None:
    fake.fault(".zip", faults.stall(1000))
    error = await failure(fake, client)
    assert isinstance(error, Unavailable)
    assert "nothing came for" in error.reason


async def test_no_answer_at_all_is_given_up(fake: FakeUpstream, client: ProxyClient) -> None:
    fake.fault(".zip", faults.hang())
    error = await failure(fake, client)
    assert isinstance(error, Unreachable)
    assert "no answer in" in error.reason
    assert len(fake.requests) == 1


async def test_a_compressed_answer_that_was_not_asked_for_is_refused(fake: FakeUpstream, client: ProxyClient) -> None:
    async def gzipped(exchange: faults.Exchange) -> None:
        await faults.send(replace_answer(exchange, faults.Answer(200, b"\x1f\x8b", {"Content-Encoding": "gzip"})))

    fake.fault(".mod", gzipped)
    assert "compressed" in (await failure(fake, client, MOD)).reason


@pytest.mark.parametrize(
    "garbage",
    [b"\0\1\2\3" * 100, b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n"],
)
async def test_what_is_not_http_is_unavailable(fake: FakeUpstream, client: ProxyClient, garbage: bytes) -> None:
    async def no_http(exchange: faults.Exchange) -> None:
        await exchange.stream.send_all(garbage)
        await exchange.stream.aclose()

    fake.fault("/", no_http)
    assert isinstance(await failure(fake, client, MOD), Unavailable)


def replace_answer(exchange: faults.Exchange, answer: faults.Answer) -> faults.Exchange:
    return replace(exchange, answer=answer)


@pytest.mark.parametrize("start", [b"<\x00hashes", b" \n<\x17", b"\xef\xbb\xbf<p"])
def test_the_hashes_of_a_tile_may_begin_like_a_web_page(start: bytes) -> None:
    check_start("upstream", Want.SUMDB, start)
    with pytest.raises(Unreachable):
        check_start("upstream", Want.MOD, start)


@pytest.mark.parametrize("want", list(Want))
def test_a_web_page_is_noticed_whatever_was_asked_for(want: Want) -> None:
    for page in (b"<!DOCTYPE html><title>Log in", b"\r\n<html>", b"<HTML lang=en>"):
        with pytest.raises(Unreachable):
            check_start("upstream", want, page)
