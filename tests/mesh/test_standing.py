"""What a node knows of the others: their latest words, and no more of them than it has room for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from p2pmods.directory.addresses import AddressBook
from p2pmods.identity.key import node_id, public_bytes
from p2pmods.identity.records import DIRECTOR, SEED, Endpoint, NodeRecord, SignedRecord, sign_record
from p2pmods.membership.actions import Changed, Died, Joined
from p2pmods.mesh.standing import MAX_NAMED, MAX_SEEDS, NAMED_FOR, Standing

if TYPE_CHECKING:
    import trio.testing


class Machine:
    def members(self) -> dict[str, SignedRecord]:
        return {}


def key(number: int) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(number.to_bytes(32, "big"))


def record(number: int, incarnation: int = 1, port: int = 4000, flags: int = DIRECTOR) -> SignedRecord:
    said = NodeRecord(public_bytes(key(number)), b"12345678", incarnation, (Endpoint("192.0.2.1", port),), flags)
    return sign_record(said, key(number))


@pytest.fixture
def directors() -> list[set[str]]:
    return []


@pytest.fixture
def alive() -> list[str]:
    return []


@pytest.fixture
async def standing(directors: list[set[str]], alive: list[str]) -> Standing:
    made = Standing(
        node_id(key(1)),
        Machine(),  # type: ignore[arg-type]
        AddressBook(),
        publish=lambda endpoints, flags: record(1, flags=flags),
        on_directors=lambda nodes: directors.append(set(nodes)),
        on_joined=lambda *_: None,
        on_alive=alive.append,
        on_gone=lambda _: None,
        on_cloned=lambda: None,
    )
    made.stand((), 0)
    return made


def ports(standing: Standing, number: int) -> list[int]:
    return [endpoint.port for endpoint in standing.addresses(node_id(key(number)))]


async def test_an_older_record_that_somebody_passes_on_does_not_replace_a_newer_one(standing: Standing) -> None:
    standing.know(record(2, incarnation=5, port=5005))
    standing.know(record(2, incarnation=4, port=4004))
    assert ports(standing, 2) == [5005]
    standing.know(record(2, incarnation=6, port=6006))
    assert ports(standing, 2) == [6006]


async def test_however_many_call_themselves_seeds_one_that_speaks_later_is_known(standing: Standing) -> None:
    for number in range(2, 2 + 2 * MAX_SEEDS):
        standing.know(record(number, flags=SEED))
    assert node_id(key(1 + 2 * MAX_SEEDS)) in standing.seeds
    assert len(standing.seeds) == MAX_SEEDS
    standing.know(record(1 + 2 * MAX_SEEDS, incarnation=2))
    assert node_id(key(1 + 2 * MAX_SEEDS)) not in standing.seeds


async def test_who_comes_and_who_is_suspected_no_longer_is_alive_again(standing: Standing, alive: list[str]) -> None:
    bob, eve = node_id(key(2)), node_id(key(3))
    standing.heard(Joined(bob, record(2)))
    standing.heard(Changed(eve, record(3)))
    standing.heard(Died(bob))
    assert alive == [bob, eve]


async def test_a_leaf_knows_the_directors_that_were_named_to_it_for_a_while(
    standing: Standing, directors: list[set[str]], mock_clock: trio.testing.MockClock
) -> None:
    standing.name(record(2))
    standing.changed()
    assert directors[-1] == {node_id(key(2))}
    mock_clock.jump(NAMED_FOR + 1)
    standing.changed()
    assert directors[-1] == set()


async def test_neither_a_leaf_nor_the_node_itself_is_named_as_a_director(
    standing: Standing, directors: list[set[str]]
) -> None:
    standing.name(record(2, flags=0))
    standing.name(record(1))
    standing.changed()
    assert directors[-1] == set()


async def test_names_beyond_the_cap_push_the_oldest_out(standing: Standing, directors: list[set[str]]) -> None:
    for number in range(2, MAX_NAMED + 12):
        standing.name(record(number))
    standing.changed()
    assert len(directors[-1]) == MAX_NAMED
    assert node_id(key(2)) not in directors[-1]


async def test_a_node_that_moved_is_no_director_until_it_is_dialled_back(standing: Standing) -> None:
    standing.promote(Endpoint("192.0.2.1", 4000))
    assert standing.is_director
    standing.stand((), 0)
    assert not standing.is_director


async def test_after_a_move_everybody_who_is_met_is_news_again(standing: Standing) -> None:
    ann = node_id(key(2))
    assert standing.is_news(ann)
    assert not standing.is_news(ann)
    standing.stand((Endpoint("192.0.2.7", 4000),), 0)
    assert standing.is_news(ann)
