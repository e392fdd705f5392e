from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pmods.errors import InvalidVersion
from p2pmods.gomod.pseudo import is_pseudo_version, pseudo_version_base, pseudo_version_rev, pseudo_version_time
from tests.gomod.vectors import rows


def test_time_revision_and_base_of_every_pseudo_version_are_those_that_go_finds() -> None:
    for version, *_, time, revision, base in rows("versions"):
        assert is_pseudo_version(version) == (revision is not None), version
        if revision is None:
            continue
        assert pseudo_version_rev(version) == revision
        if time is None or time.startswith("0000"):  # Go has a year 0, Python does not
            with pytest.raises(InvalidVersion):
                pseudo_version_time(version)
        else:
            assert pseudo_version_time(version) == datetime.fromisoformat(time), version
        if base is None:
            with pytest.raises(InvalidVersion):
                pseudo_version_base(version)
        else:
            assert pseudo_version_base(version) == base, version


def test_the_time_is_in_utc() -> None:
    assert pseudo_version_time("v0.0.0-20191109021931-daa7c04131f5") == datetime(2019, 11, 9, 2, 19, 31, tzinfo=UTC)


@pytest.mark.parametrize("version", ["", "v1.0.0", "v1.0.0-rc.1", "v1.0.0-2019-abc", "master"])
def test_an_ordinary_version_has_no_time_revision_or_base(version: str) -> None:
    for read in (pseudo_version_time, pseudo_version_rev, pseudo_version_base):
        with pytest.raises(InvalidVersion):
            read(version)


@given(st.integers(1, 10**30), st.booleans())
def test_the_base_is_the_patch_before(patch: int, incompatible: bool) -> None:
    build = "+incompatible" if incompatible else ""
    base = pseudo_version_base(f"v2.3.{patch}-0.20191109021931-daa7c04131f5{build}")
    assert base == f"v2.3.{patch - 1}{build}"


@given(st.text(max_size=60))
def test_any_text_is_answered_with_a_bool(text: str) -> None:
    assert is_pseudo_version(text) in (True, False)
