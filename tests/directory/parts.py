"""What the tests of single machines are made of."""

from __future__ import annotations

import hashlib
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar

import attrs

from p2pmods.directory.actions import Ask, Reply
from p2pmods.directory.holdings import Holdings
from p2pmods.directory.home import LeaseHome
from p2pmods.directory.messages import Claim, Holding
from p2pmods.directory.rendezvous import Rendezvous, homes
from p2pmods.errors import MalformedData
from p2pmods.testing.room import ABLE, MODULE, Member, member

if TYPE_CHECKING:
    from collections.abc import Iterable

    from p2pmods.directory.ability import Ability

T = TypeVar("T")


def key_of(module: str) -> bytes:
    if "@" not in module:
        raise MalformedData("module", "no version")
    return hashlib.sha256(module.encode()).digest()[:16]


KEY = key_of(MODULE)
MEMBERS = [member(number) for number in range(8)]
BY_ID = {one.id: one for one in MEMBERS}
RANKED = [BY_ID[node] for node in homes(KEY, BY_ID, len(BY_ID))]  # as they rank for KEY
FIRST, SECOND, THIRD, *OTHERS = RANKED
ANN, BOB, EVE, DAN, FAY = OTHERS


def holding(number: int = 0) -> Holding:
    digest = hashlib.sha256(b"%d" % number).digest()
    return Holding(digest[:16], digest, 1000 + number)


def holding_of(key: bytes) -> Holding:
    return Holding(key, key * 2, 1000)


def home_of(
    one: Member,
    directors: Iterable[Member] = (FIRST, SECOND, THIRD),
    seed: int = 1,
    is_line_slow: Any = lambda *, now: False,
) -> LeaseHome:
    """The machine of one home; `directors` are those that it knows."""
    chance = Random(f"{one.id} {seed}")
    return LeaseHome(
        one.id, one.key, Rendezvous(d.id for d in directors), Holdings(chance), chance, key_of, is_line_slow
    )


def a_claim(one: Member, ability: Ability = ABLE, **fields: Any) -> Claim:
    return Claim(MODULE, ability, one.record, **fields)


def replies(actions: Iterable[object]) -> dict[int, Any]:
    """The messages of the replies, by call."""
    return {action.call: action.message for action in actions if isinstance(action, Reply)}


def asks(actions: Iterable[object]) -> list[Ask]:
    return [action for action in actions if isinstance(action, Ask)]


def of(kind: type[T], actions: Iterable[object]) -> list[T]:
    return [action for action in actions if isinstance(action, kind)]


def changed(value: T, **fields: object) -> T:
    """A message or part like `value`, with other fields."""
    return attrs.evolve(value, **fields)  # type: ignore[misc] # mypy sees no attrs class behind @message
