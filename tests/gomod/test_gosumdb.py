from __future__ import annotations

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pmods.errors import MalformedData
from p2pmods.gomod.gosumdb import PUBLIC_KEY, SumdbSetting, format_gosumdb, parse_gosumdb
from tests.gomod.vectors import rows

OTHER_KEY = "db.example/a/b+f1f6765b+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"
# What go takes and we do not: a URL without scheme (go then fails at the first request), an escape in a name that is
# also a place on disk.
STRICTER = {"sum.golang.org  x", "db.example/a%20b+3365d0b7+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"}


def accepts(text: str) -> bool:
    try:
        parse_gosumdb(text)
    except MalformedData:
        return False
    return True


def test_a_setting_is_taken_or_refused_as_the_go_command_does() -> None:
    for text, accepted in rows("gosumdb"):
        assert accepts(text) == (accepted and text not in STRICTER), text


def test_the_public_database_is_known_by_its_name() -> None:
    setting = SumdbSetting("sum.golang.org", PUBLIC_KEY, None)
    assert parse_gosumdb("sum.golang.org") == setting
    assert setting.is_public
    assert setting.direct_url == "https://sum.golang.org"


def test_the_name_for_china_is_the_same_database_at_another_address() -> None:
    setting = parse_gosumdb("sum.golang.google.cn")
    assert setting == SumdbSetting("sum.golang.org", PUBLIC_KEY, "https://sum.golang.google.cn")
    assert setting.is_public
    assert setting.direct_url == "https://sum.golang.google.cn"


def test_another_database_is_known_by_its_key_and_is_never_the_public_one() -> None:
    setting = parse_gosumdb(f"{OTHER_KEY} https://sum.example/db")
    assert setting == SumdbSetting("db.example/a/b", OTHER_KEY, "https://sum.example/db")
    assert not setting.is_public


def test_another_key_under_the_public_name_is_not_the_public_database() -> None:
    key = base64.b64decode(OTHER_KEY.rpartition("+")[2])
    hash4 = hashlib.sha256(b"sum.golang.org\n" + key).hexdigest()[:8]
    setting = parse_gosumdb(f"sum.golang.org+{hash4}+{base64.b64encode(key).decode()}")
    assert setting is not None
    assert setting.name == "sum.golang.org"
    assert not setting.is_public
    assert parse_gosumdb(format_gosumdb(setting)) == setting


def test_off_is_no_database() -> None:
    assert parse_gosumdb("off") is None


@pytest.mark.parametrize(
    "name", ["../x", "a/../b", "a/./b", "a//b", ".", "..", "a..b", "-", "a b", "a\\b", "a/" + "b" * 300]
)
def test_a_name_that_is_no_host_and_path_is_refused(name: str) -> None:
    with pytest.raises(MalformedData):
        SumdbSetting(name, f"{name}+00000000+{'A' * 44}")


def test_a_key_for_another_name_is_refused() -> None:
    with pytest.raises(MalformedData, match="another name"):
        SumdbSetting("db.example", PUBLIC_KEY)


@pytest.mark.parametrize(
    "text", ["off", "sum.golang.org", "sum.golang.google.cn", OTHER_KEY, f"{OTHER_KEY}  file:///srv/db"]
)
def test_a_formatted_setting_reads_as_the_same(text: str) -> None:
    setting = parse_gosumdb(text)
    assert parse_gosumdb(format_gosumdb(setting)) == setting


@given(st.text(max_size=60) | st.text("a.+/ 0fA=", max_size=70))
def test_no_text_breaks_the_reader(text: str) -> None:
    assert accepts(text) in (True, False)
