"""Which zips leave a store that holds too much: what is in use never, and no more than has to."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pmods.gomod.module import FileKey, FileKind, ModuleVersion
from p2pmods.store.thinning import (
    HIGH_WATER,
    IN_USE,
    LOW_WATER,
    HeldZip,
    enough,
    in_order,
    is_above,
    last_copies_last,
    surplus,
)

NOW = 1_700_000_000.0


def held(number: int, *, size: int = 100, hours: float = 2.0, is_cached: bool = False) -> HeldZip:
    """The zip of that number, not used for so many hours."""
    key = FileKey(ModuleVersion("example.com/a", f"v1.{number}.0"), FileKind.ZIP)
    return HeldZip(key, size, f"{number:064x}", NOW - hours * 3600, is_cached)


def test_nothing_goes_up_to_high_water_and_then_all_above_low_water() -> None:
    assert (surplus(0, 1000), surplus(799, 1000), surplus(800, 1000)) == (0, 0, 0)
    assert (surplus(801, 1000), surplus(5000, 1000)) == (201, 4400)
    assert not is_above(800, 1000)
    assert is_above(801, 1000)


def test_what_the_module_cache_has_too_goes_first_and_then_what_was_not_used_for_longest() -> None:
    zips = [held(1, hours=3), held(2, hours=9), held(3, hours=2, is_cached=True), held(4, hours=5, is_cached=True)]
    assert in_order(zips, now=NOW) == [zips[3], zips[2], zips[1], zips[0]]


def test_what_came_from_version_control_goes_after_all_others_for_no_mirror_need_have_it() -> None:
    zips = [replace(held(1, hours=90), is_from_vcs=True), held(2, hours=2), held(3, hours=3)]
    assert in_order(zips, now=NOW) == [zips[2], zips[1], zips[0]]


@pytest.mark.parametrize("hours", [0.0, 0.5, 0.999, -0.1, -100.0])
def test_what_was_used_within_the_hour_never_goes_nor_what_seems_to_be_of_the_future(hours: float) -> None:
    assert in_order([held(1, hours=hours), held(2, hours=hours, is_cached=True)], now=NOW) == []
    assert in_order([held(1, hours=1.0)], now=NOW) != []


def test_what_nobody_else_has_goes_last_of_all_unless_the_module_cache_has_it() -> None:
    zips = [held(1, hours=9), held(2, hours=8), held(3, hours=7, is_cached=True), held(4, hours=6)]
    ordered = last_copies_last(in_order(zips, now=NOW), {zips[1].key, zips[3].key})
    assert ordered == [zips[2], zips[1], zips[3], zips[0]]


def test_as_many_go_as_are_enough_and_not_one_more() -> None:
    zips = [held(1, size=10), held(2, size=30), held(3, size=5)]
    assert enough(zips, 0) == []
    assert enough(zips, 10) == zips[:1]
    assert enough(zips, 11) == zips[:2]
    assert enough(zips, 10**9) == zips


ZIPS = st.lists(
    st.builds(
        lambda number, size, hours, is_cached: held(number, size=size, hours=hours, is_cached=is_cached),
        st.integers(0, 10**6),
        st.integers(0, 500 << 20),
        st.floats(-100, 10**5),
        st.booleans(),
    ),
    max_size=40,
    unique_by=lambda one: one.key,
)


@given(zips=ZIPS, limit=st.integers(1, 10**10), others=st.integers(0, 10**9), data=st.data())
def test_whatever_is_held_the_choice_is_safe_sufficient_and_in_order(
    zips: list[HeldZip], limit: int, others: int, data: st.DataObject
) -> None:
    """`others` are bytes of files that never go."""
    before = others + sum(one.size for one in zips)
    ordered = in_order(zips, now=NOW)
    elsewhere = {one.key for one in zips if data.draw(st.booleans())}
    is_cut_off = data.draw(st.booleans())
    if is_cut_off:
        ordered = last_copies_last(ordered, elsewhere)
    chosen = enough(ordered, surplus(before, limit))
    after = before - sum(one.size for one in chosen)
    stay = [one for one in zips if one not in chosen]
    free = [one for one in stay if NOW - one.used >= IN_USE]

    assert len(set(chosen)) == len(chosen)
    assert set(chosen) <= set(zips)
    assert all(NOW - one.used >= IN_USE for one in chosen)
    if before <= limit * HIGH_WATER:
        assert chosen == []
    else:
        assert after <= limit * LOW_WATER + 1 or not free, "it goes on until low water, or until nothing may go"
    if chosen:
        assert after + chosen[-1].size > int(limit * LOW_WATER), "the last one was still needed"

    def rank(one: HeldZip) -> tuple[bool, bool, float]:
        is_last_copy = is_cut_off and not one.is_cached and one.key not in elsewhere
        return is_last_copy, not one.is_cached, one.used

    assert all(rank(gone) <= rank(one) for gone in chosen for one in free)


def test_two_of_the_same_age_always_go_in_the_same_order() -> None:
    zips = [held(number) for number in range(5)]
    assert in_order(reversed(zips), now=NOW) == in_order(zips, now=NOW)
    assert in_order([replace(one, size=1) for one in zips], now=NOW)[0].key == zips[0].key
