"""Homes: agreed without a word, stable, spread evenly."""

from __future__ import annotations

import hashlib
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from p2pmods.directory.rendezvous import HOMES, Rendezvous, homes

KEYS = [hashlib.sha256(b"%d" % n).digest()[:16] for n in range(600)]
NODES = [f"node-{n}" for n in range(64)]


def test_homes_do_not_depend_on_the_order_in_which_directors_are_known() -> None:
    assert homes(KEYS[0], NODES) == homes(KEYS[0], reversed(NODES))
    assert len(set(homes(KEYS[0], NODES))) == HOMES


def test_the_homes_of_a_known_key_are_those_of_the_protocol() -> None:
    assert homes(bytes(16), ["a", "b", "c", "d", "e"], 5) == ("a", "e", "c", "d", "b")


def test_keys_are_spread_evenly() -> None:
    load = Counter(home for key in KEYS for home in homes(key, NODES))
    assert max(load.values()) < 3 * (HOMES * len(KEYS) / len(NODES))
    assert min(load.values()) > 0


def test_a_director_that_leaves_changes_its_own_keys_only() -> None:
    gone = NODES[5]
    for key in KEYS:
        before, after = homes(key, NODES), homes(key, [n for n in NODES if n != gone])
        assert before == after or gone in before


def test_leaving_out_nodes_is_as_if_they_were_not_there() -> None:
    view = Rendezvous(NODES)
    best, second, *_ = view.homes(KEYS[0])
    assert view.homes(KEYS[0], frozenset([best])) == homes(KEYS[0], set(NODES) - {best})
    assert view.homes(KEYS[0], frozenset(["stranger"]))[:2] == (best, second)


def test_the_same_directors_again_are_no_change() -> None:
    view = Rendezvous(NODES)
    view.update(NODES)
    assert view.generation == 0
    view.update(NODES[1:])
    assert view.generation == 1


@given(st.lists(st.sets(st.sampled_from(NODES[:14])), max_size=6))
def test_remembered_rankings_are_what_a_fresh_view_says(views: list[set[str]]) -> None:
    view = Rendezvous()
    for directors in views:
        view.update(directors)
        for key in KEYS[:20]:
            assert view.homes(key) == homes(key, directors)
