from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pmods.errors import InvalidPath, MalformedData
from p2pmods.gomod.info import MAX_VERSION
from p2pmods.gomod.listing import MAX_LINES, MAX_LIST, Listed, format_list, latest, parse_list

OLDER = "v0.0.0-20180101000000-daa7c04131f5"
NEWER = "v0.0.0-20190101000000-0aa7c04131f5"


def versions(data: bytes, path: str = "a.b/c") -> list[str]:
    return [listed.version for listed in parse_list(data, path)]


def test_versions_come_in_their_order_each_once() -> None:
    assert versions(b"v1.10.0\nv1.9.0\nv1.10.0\nv1.10.0-rc.1\n") == ["v1.9.0", "v1.10.0-rc.1", "v1.10.0"]


def test_a_time_is_kept_when_it_is_one() -> None:
    data = b"v1.0.0 2019-01-01T00:00:00Z\nv1.1.0 yesterday\nv1.2.0 2019-01-01T00:00:00Z more\r\n"
    assert parse_list(data, "a.b/c") == [
        Listed("v1.0.0", "2019-01-01T00:00:00Z"),
        Listed("v1.1.0", None),
        Listed("v1.2.0", "2019-01-01T00:00:00Z"),
    ]


def test_versions_that_do_not_fit_the_path_are_dropped() -> None:
    data = b"v1.0.0\nv2.0.0\nv2.0.0+incompatible\nv2\nv1.0\nv1.0.0+meta\nmaster\n\nnot found\nv1.0.0\x00\n\xff\n"
    assert versions(data) == ["v1.0.0", "v2.0.0+incompatible"]
    assert versions(b"v1.0.0\nv2.0.0\n", "a.b/c/v2") == ["v2.0.0"]


def test_a_version_too_long_for_any_file_name_is_dropped_whole() -> None:
    endless = b"v1.1.0-" + b"a-." * MAX_VERSION
    assert versions(b"v1.0.0 " + b"and so on " * MAX_VERSION + b"\n" + endless + b"a\n") == ["v1.0.0"]
    assert versions(b"v1.1.0-" + b"a" * (MAX_VERSION - 7)) == ["v1.1.0-" + "a" * (MAX_VERSION - 7)]
    assert versions(b"v1.1.0-" + b"a" * (MAX_VERSION - 6)) == []


def test_an_empty_list_says_that_there_are_no_tags() -> None:
    assert versions(b"") == versions(b"\n") == []


@pytest.mark.parametrize(
    "page",
    [b"<html>please log in</html>", b"\n  <!DOCTYPE html>\n", b"v1.0.0\n" * (MAX_LINES + 1), b" " * (MAX_LIST + 1)],
)
def test_a_login_page_or_a_flood_is_no_list(page: bytes) -> None:
    with pytest.raises(MalformedData):
        parse_list(page, "a.b/c")


def test_the_list_of_no_module_is_refused() -> None:
    with pytest.raises(InvalidPath):
        parse_list(b"v1.0.0\n", "no-dot")


def test_our_own_list_has_pseudo_versions_only_when_there_is_no_tag() -> None:
    assert format_list(["v1.10.0", NEWER, "v1.9.0"]) == b"v1.9.0\nv1.10.0\n"
    assert format_list([NEWER, OLDER]) == f"{OLDER}\n{NEWER}\n".encode()
    assert format_list([]) == b""


def test_latest_is_the_highest_release_then_pre_release_then_the_newest_commit() -> None:
    assert latest(["v1.0.0", "v1.2.0-rc.1", NEWER, "v0.9.0"]) == "v1.0.0"
    assert latest(["v1.2.0-rc.1", "v1.2.0-rc.2", NEWER]) == "v1.2.0-rc.2"
    assert latest([NEWER, OLDER]) == NEWER
    assert latest(["v2.0.0+incompatible", "v1.0.0"]) == "v2.0.0+incompatible"
    assert latest([]) is None


def test_among_commits_time_counts_and_not_precedence() -> None:
    after_a_tag = "v1.0.1-0.20180101000000-daa7c04131f5"
    assert latest([after_a_tag, NEWER]) == NEWER
    assert latest(["v0.0.0-20191309000000-daa7c04131f5", OLDER]) == OLDER  # a time that does not exist is none


@given(st.binary(max_size=200) | st.text("v012.-+\n \x0b", max_size=60).map(str.encode))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    try:
        found = versions(data)
    except MalformedData:
        return
    assert versions("\n".join(found).encode()) == found
    assert (latest(found) is None) == (not found)
