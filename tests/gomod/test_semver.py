from __future__ import annotations

import functools
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from p2pmods.gomod import semver
from p2pmods.gomod.listing import in_order
from tests.gomod.vectors import rows

near_versions = st.from_regex(
    r"v[0-9]{1,2}(\.[0-9]{1,2}){0,3}(-[0-9a-c.-]{0,6})?(\+[0-9a-c.-]{0,4})?", fullmatch=True
)
any_versions = near_versions | st.text(max_size=20)


def test_every_part_of_a_version_is_read_as_go_reads_it() -> None:
    for version, valid, canonical, major, major_minor, prerelease, build, *_ in rows("versions"):
        assert semver.is_valid(version) == valid, version
        assert semver.canonical(version) == canonical, version
        assert semver.major(version) == major, version
        assert semver.major_minor(version) == major_minor, version
        assert semver.prerelease(version) == prerelease, version
        assert semver.build(version) == build, version


def test_any_two_versions_compare_as_in_go() -> None:
    [in_order_of_go], *comparisons = rows("order")
    assert in_order(reversed(in_order_of_go)) == in_order_of_go
    for version, signs in comparisons:
        ours = "".join("-0+"[semver.compare(version, other) + 1] for other in in_order_of_go)
        assert ours == signs, version


def test_numbers_of_any_length_are_compared() -> None:
    long = "9" * 100_000
    assert semver.compare(f"v1.{long}.0", f"v1.{long}0.0") == -1
    assert semver.compare(f"v1.0.0-{long}", f"v1.0.0-{long}a") == -1  # a number is below a word


@given(any_versions, any_versions)
def test_comparing_the_other_way_round_gives_the_opposite(a: str, b: str) -> None:
    assert semver.compare(a, b) == -semver.compare(b, a)


@given(st.lists(any_versions, min_size=2, max_size=12))
def test_sorting_by_key_and_by_comparison_agree(versions: list[str]) -> None:
    by_key = sorted(versions, key=semver.sort_key)
    assert by_key == sorted(versions, key=functools.cmp_to_key(semver.compare))
    assert all(semver.compare(a, b) <= 0 for a, b in pairwise(by_key))


@given(any_versions)
def test_canonical_is_itself_canonical_and_equal_in_precedence(version: str) -> None:
    canonical = semver.canonical(version)
    assert semver.canonical(canonical) == canonical
    assert bool(canonical) == semver.is_valid(version)
    assert semver.compare(version, canonical) == 0
