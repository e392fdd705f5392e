from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pmods.errors import MalformedData
from p2pmods.gomod.goproxy import ProxyStep, format_goproxy, parse_goproxy
from p2pmods.gomod.urls import MAX_URL, parse_url
from tests.gomod.vectors import rows

entries = st.sampled_from(
    ["https://a.example", "http://b.example/p", "file:///srv", "https://u:p@c.example", "direct", "off"]
)


def accepts(text: str) -> bool:
    try:
        parse_goproxy(text)
    except MalformedData:
        return False
    return True


def test_a_list_is_taken_or_refused_as_the_go_command_does() -> None:
    # The vectors were asked with an entry in front, so an entry must be in front here too.
    strays = []
    for text, accepted in rows("goproxy"):
        if accepts(f"file:///srv/first,{text}") != accepted:
            strays.append((text, accepted))
    assert strays == [('https://x"y.example', True)]  # a host that nothing can look up


def test_a_comma_leads_on_when_it_is_not_there_and_a_bar_after_any_failure() -> None:
    assert parse_goproxy("https://a.example|https://b.example,direct") == (
        ProxyStep("url", "https://a.example", fall_through_any=True),
        ProxyStep("url", "https://b.example", fall_through_any=False),
        ProxyStep("direct"),
    )


@pytest.mark.parametrize("kind", ["direct", "off"])
def test_nothing_after_direct_or_off_is_read(kind: Literal["direct", "off"]) -> None:
    assert parse_goproxy(f" {kind} |ftp://nonsense,") == (ProxyStep(kind),)


@pytest.mark.parametrize("text", ["", ",", " | ,"])
def test_a_list_without_entries_is_an_error(text: str) -> None:
    with pytest.raises(MalformedData, match="no entries"):
        parse_goproxy(text)


def test_a_bare_host_is_asked_over_https() -> None:
    assert [step.url for step in parse_goproxy("x.example/p, localhost:3000 ")] == [
        "https://x.example/p",
        "https://localhost:3000",
    ]


@pytest.mark.parametrize(
    "url", ["https:///p", "http:/x.example", "https://", "https://:80/", "https://x.example:99999", "https://[x]/"]
)
def test_a_url_that_can_reach_no_host_is_refused_at_once(url: str) -> None:
    assert not accepts(url)


@pytest.mark.parametrize(
    "url", ["https://user:secret@x.example:8443/p?token=secret#secret", "https://secret@x.example:8443/p"]
)
def test_what_is_shown_holds_no_credentials(url: str) -> None:
    [step] = parse_goproxy(url)
    assert step.url == url
    assert step.redacted == "https://x.example:8443/p"
    assert "secret" not in repr(step)


@pytest.mark.parametrize(
    "url", ["ftp://user:secret@x.example", "https://user:secret@x.example:port", "https://user:sec{ret@x.example"]
)
def test_an_error_holds_no_credentials(url: str) -> None:
    with pytest.raises(MalformedData) as caught:
        parse_goproxy(url)
    assert "sec" not in str(caught.value)


def test_a_step_is_a_url_or_a_word_and_never_both() -> None:
    for kind, url, any_failure in (("url", None, False), ("direct", "https://x.example", False), ("off", None, True)):
        with pytest.raises(MalformedData):
            ProxyStep(kind, url, any_failure)  # type: ignore[arg-type]
    with pytest.raises(MalformedData):
        ProxyStep("url", "https://x.example,https://y.example")


def test_the_parts_of_a_url_stay_as_written() -> None:
    url = parse_url("HTTPS://u%40:p@[::1]:80/a%20b?q#f")
    assert (url.scheme, url.user, url.host, url.path) == ("https", "u%40:p", "[::1]:80", "/a%20b")


def test_a_url_of_any_length_is_not_taken() -> None:
    assert not accepts("https://x.example/" + "a" * MAX_URL)


@given(st.lists(entries, min_size=1, max_size=5), st.lists(st.sampled_from(",|"), min_size=5, max_size=5))
def test_a_formatted_list_reads_as_the_same_steps(names: list[str], separators: list[str]) -> None:
    steps = parse_goproxy("".join(map(str.__add__, names, separators)))
    assert parse_goproxy(format_goproxy(steps)) == steps


@given(st.text("htps:/@.,|%[]1a \x00é?#", max_size=30))
def test_no_text_breaks_the_reader(text: str) -> None:
    if accepts(text):
        assert parse_goproxy(format_goproxy(parse_goproxy(text))) == parse_goproxy(text)
