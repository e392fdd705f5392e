from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pmods.errors import MalformedData
from p2pmods.gomod.info import MAX_INFO, Info, for_peers, format_info, parse_info, parse_time, synthesise_info
from p2pmods.gomod.module import ModuleVersion
from tests.gomod.vectors import rows

PSEUDO = "v0.0.0-20191109021931-daa7c04131f5"
AT = "2019-11-09T02:19:31Z"
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)


def answer(data: bytes) -> Info | None:
    try:
        return parse_info(data)
    except MalformedData:
        return None


def test_what_we_read_go_reads_and_reads_the_same() -> None:
    for text, accepted, version, time in rows("infos"):
        info = answer(text.encode())
        if info is None:
            continue
        assert accepted, text
        assert info.version == version, text
        stated = info.time and parse_time(info.time)
        absent = stated in (None, datetime(1, 1, 1, tzinfo=UTC))
        assert (None if absent else stated) == (time and datetime.fromisoformat(time)), text


def test_what_go_reads_and_we_refuse_is_ambiguous_or_not_what_the_standard_says() -> None:
    refused = {
        text for text, accepted, version, _ in rows("infos") if accepted and version and answer(text.encode()) is None
    }
    assert {text[:60] for text in refused} == {
        '{"Version":"v1.0.0","Version":"v2.0.0"}',
        '{"Version":"v1.0.0","version":"v2.0.0"}',
        '{"Version":"v1.0.0","Other":1e999}',
        '{"Version":"v1.0.0","Other":' + "9" * 32,
        '{"Version":"v1.0.0","Other":' + "[" * 32,
        '{"Version":"\\ud800"}',
        '{"Version":"v1.0.0","Other":"\\ud800"}',
        *(
            f'{{"Version":"v1.0.0","Time":"{time}"}}'
            for time in (
                "2019-01-01T00:00:00,5Z",
                "2019-01-01T00:00:00+24:00",
                "2019-01-01T1:00:00Z",
                "0000-01-01T00:00:00Z",
                "9999-12-31T23:59:59-01:00",
            )
        ),
    }


def test_version_time_and_origin_are_written_as_go_writes_them() -> None:
    data = (
        b'{"Version":"v1.0.0","Time":"2019-01-01T00:00:00Z","Origin":{"VCS":"git","URL":"https://x.y/?a=1\\u0026b"}}'
    )
    info = parse_info(data)
    assert info == Info("v1.0.0", "2019-01-01T00:00:00Z", {"VCS": "git", "URL": "https://x.y/?a=1&b"})
    assert format_info(info) == data


def test_a_missing_time_stays_missing() -> None:
    assert format_info(parse_info(b'{"Version": "v1.0.0", "Time": null}')) == b'{"Version":"v1.0.0"}'


def test_names_are_read_without_regard_to_case_as_go_does() -> None:
    assert parse_info(f'{{"version":"v1.0.0","TIME":"{AT}"}}'.encode()) == Info("v1.0.0", AT)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>log in</html>",
        b"[]",
        b"null",
        b"{}",
        b'{"Version":""}',
        b'{"Version":1}',
        b'{"Version":"\xff"}',
        b'{"Version":"v1.0.0","Time":5}',
        b'{"Version":"v1.0.0","Time":"yesterday"}',
        b'{"Version":"v1.0.0","Origin":[]}',
        b'{"Version":"v1.0.0","Origin":{"Hash":["x"]}}',
        b'{"Version":"v1.0.0","X":NaN}',
        b'{"Version":"v1.0.0","X":-Infinity}',
        b'{"Version":"v1.0.0","X":' + b"9" * 10_000 + b"}",
        b'{"Version":"v1.0.0","X":' + b"[" * 200_000,
        b'{"Version":"v1.0.0","X":' + b'{"a":' * 100_000,
        b'{"Version":"' + b"v" * 5000 + b'"}',
        b" " * (MAX_INFO + 1),
    ],
)
def test_nonsense_is_refused_in_one_way(data: bytes) -> None:
    with pytest.raises(MalformedData):
        parse_info(data)


def test_when_nobody_holds_it_the_version_is_said_and_for_a_pseudo_version_its_time() -> None:
    assert synthesise_info(ModuleVersion("a.b/c", "v1.0.0")) == Info("v1.0.0")
    assert synthesise_info(ModuleVersion("a.b/c", PSEUDO)) == Info(PSEUDO, AT)
    undated = "v0.0.0-20191309021931-daa7c04131f5"
    assert synthesise_info(ModuleVersion("a.b/c", undated)) == Info(undated)
    early = "v0.0.0-00010101000000-000000000000"
    assert synthesise_info(ModuleVersion("a.b/c", early)) == Info(early, "0001-01-01T00:00:00Z")


def test_of_a_strangers_info_only_version_and_time_go_on() -> None:
    assert for_peers(Info("v1.0.0", AT, {"URL": "https://evil.example"})) == Info("v1.0.0", AT)
    assert for_peers(Info(PSEUDO)) == Info(PSEUDO)


def test_a_pseudo_versions_time_is_held_to_its_name() -> None:
    assert for_peers(Info(PSEUDO, "2019-11-09T03:19:31+01:00")) == Info(PSEUDO, "2019-11-09T03:19:31+01:00")
    with pytest.raises(MalformedData, match="is not that of"):
        for_peers(Info(PSEUDO, "2019-11-09T02:19:32Z"))
    with pytest.raises(MalformedData, match="malformed time"):
        for_peers(Info("v0.0.0-20191309021931-daa7c04131f5", AT))


def test_an_info_with_a_bad_time_cannot_be_made() -> None:
    with pytest.raises(MalformedData):
        Info("v1.0.0", "2019-02-29T00:00:00Z")


@given(
    texts,
    st.none() | st.datetimes().map(lambda t: t.isoformat() + "Z"),
    st.none() | st.dictionaries(texts, texts, max_size=3),
)
def test_what_is_written_reads_the_same(version: str, time: str | None, origin: dict[str, str] | None) -> None:
    if origin is not None and len({name.casefold() for name in origin}) != len(origin):
        return
    info = Info(version, time, origin)
    assert parse_info(format_info(info)) == info


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["Version", "time", "Origin", "URL"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(st.binary(max_size=100) | json_values.map(lambda value: json.dumps(value).encode()))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    info = answer(data)
    if info is not None:
        assert answer(format_info(info)) == info
