"""Swarms: keys that follow from a secret, and from nothing less."""

from __future__ import annotations

import base64
import re

import pytest

from p2pmods.gomod.module import ModuleVersion
from p2pmods.identity.swarm import PUBLIC, Swarm

SECRET = bytes(range(32))
TEXT = ModuleVersion("golang.org/x/text", "v0.3.0")


def keys(swarm: Swarm) -> set[bytes]:
    return {swarm.ca_seed, swarm.datagram_key, swarm.naming_key, swarm.secret}


def test_members_come_to_the_same_keys() -> None:
    assert keys(Swarm("office", SECRET)) == keys(Swarm("office", SECRET))
    assert Swarm("office", SECRET) == Swarm("office", SECRET)


def test_every_key_is_another_one() -> None:
    assert len(keys(Swarm("office", SECRET))) == 4
    assert {len(key) for key in keys(Swarm("office", SECRET))} == {32}


@pytest.mark.parametrize(
    "other", [Swarm("office", bytes(32)), Swarm("lab", SECRET), PUBLIC], ids=["secret", "name", "public"]
)
def test_another_secret_or_another_name_shares_nothing(other: Swarm) -> None:
    derived = keys(Swarm("office", SECRET)) - {SECRET}
    assert not derived & keys(other)
    assert Swarm("office", SECRET).object_key(TEXT) != other.object_key(TEXT)


def test_names_of_objects_do_not_change_between_versions_of_p2pmods() -> None:
    assert PUBLIC.object_key(TEXT).hex() == "a9c0815a0ea0c0821339fde3badf8af7"
    assert PUBLIC.object_key(TEXT) != PUBLIC.object_key(ModuleVersion("golang.org/x/text", "v0.3.1"))


def test_members_know_their_swarm_on_a_network_and_others_learn_nothing() -> None:
    swarm = Swarm("office", SECRET)
    assert swarm.discovery_tag == Swarm("office", SECRET).discovery_tag
    assert len({swarm.discovery_tag, Swarm("lab", SECRET).discovery_tag, PUBLIC.discovery_tag}) == 3
    assert re.fullmatch("[a-z2-7]{16}", swarm.discovery_tag)
    assert base64.b32decode(swarm.discovery_tag.upper()) not in b"".join(keys(swarm))


def test_the_tag_of_the_public_swarm_does_not_change_between_versions_of_p2pmods() -> None:
    assert PUBLIC.discovery_tag == "uwghnni4i2yf2soj"


def test_a_secret_has_32_bytes() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Swarm("office", bytes(31))


def test_a_secret_is_not_shown() -> None:
    assert SECRET.hex() not in repr(Swarm("office", SECRET))
    assert repr(SECRET) not in repr(Swarm("office", SECRET))
