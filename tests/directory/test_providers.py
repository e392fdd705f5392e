"""Who holds what: recent and random, bounded, gone with the dead."""

from __future__ import annotations

import hashlib
from random import Random

import pytest

from p2pmods.directory import providers
from p2pmods.directory.messages import MAX_HOLDERS, Holding
from p2pmods.directory.providers import ProviderTable
from p2pmods.identity.key import id_of_public
from tests.directory.parts import MEMBERS, holding

ANN, BOB, EVE = (one.id for one in MEMBERS[:3])


@pytest.fixture
def table() -> ProviderTable:
    return ProviderTable(Random(1))


def nodes_of(
    table: ProviderTable, held: Holding, now: float = 0.0, without: frozenset[str] = frozenset()
) -> set[str]:
    return {holder.node for holder in table.holders(held.key, 32, now=now, without=without)}


def ids(count: int) -> list[str]:
    return [id_of_public(hashlib.sha256(b"%d" % n).digest()) for n in range(count)]


def test_a_holder_is_named_with_its_object_and_the_age_of_its_word(table: ProviderTable) -> None:
    held = holding()
    table.add(ANN, held, now=10)
    (holder,) = table.holders(held.key, 5, now=72.9)
    assert (holder.node, holder.sha256, holder.size, holder.age) == (ANN, held.sha256, held.size, 62)


def test_a_clock_that_went_back_makes_no_negative_age(table: ProviderTable) -> None:
    table.add(ANN, holding(), now=100)
    assert table.holders(holding().key, 5, now=1)[0].age == 0


def test_who_asks_or_was_of_no_use_is_left_out(table: ProviderTable) -> None:
    for node in (ANN, BOB):
        table.add(node, holding(), now=0)
    assert nodes_of(table, holding(), without=frozenset([ANN])) == {BOB}


def test_a_provider_that_withdraws_is_named_no_more(table: ProviderTable) -> None:
    table.add(ANN, holding(), now=0)
    table.remove(ANN, holding().key)
    table.remove(ANN, holding().key)
    table.remove(BOB, holding().key)
    assert nodes_of(table, holding()) == set()
    assert table.statistics() == providers.ProviderStatistics(0, 0, 0)


def test_of_a_key_32_are_kept_the_newest_always(table: ProviderTable) -> None:
    names = ids(200)
    for number, node in enumerate(names):
        table.add(node, holding(), now=number)
    kept = nodes_of(table, holding())
    assert len(kept) == MAX_HOLDERS
    assert set(names[-8:]) <= kept
    assert kept & set(names[:150])  # and not the newest alone
    assert table.statistics().entries == MAX_HOLDERS


def test_who_is_named_first_is_a_matter_of_chance(table: ProviderTable) -> None:
    for node in ids(10):
        table.add(node, holding(), now=0)
    first = {table.holders(holding().key, 1, now=0)[0].node for _ in range(100)}
    assert len(first) > 5


def test_the_dead_are_not_named_and_forgotten_after_a_minute(table: ProviderTable) -> None:
    table.add(ANN, holding(), now=0)
    table.add(BOB, holding(), now=0)
    table.died(ANN, now=100)
    assert nodes_of(table, holding()) == {BOB}
    assert table.next_timer() == 160
    table.handle_timer(now=160)
    table.is_back(ANN)
    assert nodes_of(table, holding()) == {BOB}


def test_who_comes_back_in_time_holds_what_it_held(table: ProviderTable) -> None:
    table.add(ANN, holding(), now=0)
    table.died(ANN, now=100)
    table.is_back(ANN)
    table.handle_timer(now=1000)
    assert nodes_of(table, holding()) == {ANN}


def test_one_provider_cannot_fill_the_table(table: ProviderTable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(providers, "MAX_OF_NODE", 10)
    assert [table.add(ANN, holding(n), now=0) for n in range(12)] == [True] * 10 + [False] * 2
    assert table.add(ANN, holding(3), now=0)
    assert table.statistics().entries == 10


def test_the_key_that_nobody_asked_for_goes_first(table: ProviderTable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(providers, "MAX_KEYS", 3)
    for number in range(3):
        table.add(ANN, holding(number), now=0)
    table.holders(holding(0).key, 1, now=0)
    table.add(BOB, holding(3), now=0)
    assert [bool(nodes_of(table, holding(n))) for n in range(4)] == [True, False, True, True]
    assert table.statistics().keys == 3


def test_another_form_of_the_object_replaces_the_former(table: ProviderTable) -> None:
    table.add(ANN, holding(), now=0)
    table.add(ANN, Holding(holding().key, b"x" * 32, 5), now=1)
    (holder,) = table.holders(holding().key, 5, now=1)
    assert holder.sha256 == b"x" * 32
