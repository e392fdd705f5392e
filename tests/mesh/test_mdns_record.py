"""What multicast DNS says is a hint at most."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zeroconf import ServiceInfo

from p2pmods.identity.swarm import PUBLIC, Swarm
from p2pmods.mesh.interfaces import presence
from p2pmods.mesh.kinds import Kind
from p2pmods.mesh.mdns_record import (
    MAX_ADDRESSES,
    MAX_TEXT,
    SERVICE,
    hint_of,
    instance_name,
    node_id_of,
    says_swarm,
    text_of,
)
from tests.mesh.people import ANN, BOB, interface

LAN = presence([interface("eth0", Kind.WIRED, "198.51.100.5/24", "2001:db8:1::5/64")], "", 4000)
LOOPBACK = presence([interface("lo", Kind.LOOPBACK, "127.0.0.1/8")], "", 4000)


def believed(*hosts: str, port: int = 4000) -> list[str]:
    hint = hint_of(BOB, hosts, port, LAN)
    return [address.host for address in hint.addresses] if hint else []


def test_a_name_tells_the_node_id_alone() -> None:
    assert instance_name(ANN) == f"{ANN}.{SERVICE}"
    assert len(ANN) <= 63
    assert node_id_of(instance_name(ANN)) == ANN
    assert node_id_of(instance_name(ANN).upper()) == ANN


@pytest.mark.parametrize(
    "name",
    [
        "",
        SERVICE,
        f".{SERVICE}",
        f"printer.{SERVICE}",
        f"{ANN}._http._tcp.local.",
        f"{ANN}\x1b[2J.{SERVICE}",
        f"{ANN[:-1]}\n.{SERVICE}",
        f"{ANN[:-1]}\u0131.{SERVICE}",
        f"{ANN}{ANN}.{SERVICE}",
        f"x.{ANN}.{SERVICE}",
    ],
)
def test_other_names_are_nobody(name: str) -> None:
    assert node_id_of(name) is None


@given(st.text())
def test_any_name_is_a_node_or_nobody(name: str) -> None:
    found = node_id_of(f"{name}.{SERVICE}")
    assert found is None or found == name.lower()


def test_the_text_names_no_swarm_and_members_know_it() -> None:
    office = Swarm("office", bytes(32))
    text = {key.encode(): value for key, value in text_of(office.discovery_tag).items()}
    assert says_swarm(text, office.discovery_tag)
    assert not says_swarm(text, PUBLIC.discovery_tag)
    assert "office" not in str(text)
    assert sum(len(key) + len(value) + 2 for key, value in text.items()) <= MAX_TEXT


def test_the_protocol_page_shows_what_is_on_the_wire() -> None:
    info = ServiceInfo(SERVICE, instance_name(ANN), properties=text_of(PUBLIC.discovery_tag))
    page = (Path(__file__).parents[2] / "docs" / "protocol" / "discovery.md").read_text("utf-8")
    assert info.text.hex(" ") in page
    assert f"`{PUBLIC.discovery_tag}`" in page


@pytest.mark.parametrize(
    "text",
    [{}, {b"v": b"2", b"s": b"tag"}, {b"v": b"1"}, {b"v": b"1", b"s": None}, {b"v": None, b"s": b"tag"}],
)
def test_another_version_or_no_tag_is_not_ours(text: dict[bytes, bytes | None]) -> None:
    assert not says_swarm(text, "tag")


def test_addresses_of_this_network_and_of_private_ones() -> None:
    assert believed("198.51.100.7", "10.1.2.3", "2001:db8:1::7", "fd00::1") == [
        "198.51.100.7",
        "10.1.2.3",
        "2001:db8:1::7",
        "fd00::1",
    ]


def test_nobody_is_sent_to_strangers() -> None:
    assert believed("8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808") == []


def test_nobody_is_sent_to_this_machine_itself() -> None:
    assert believed("127.0.0.1", "::1", "127.9.9.9") == []
    hint = hint_of(BOB, ["127.0.0.1"], 4000, LOOPBACK)
    assert hint is not None  # but several nodes on one machine find one another


def test_no_address_of_everybody_or_nobody() -> None:
    assert believed("0.0.0.0", "::", "224.0.0.251", "ff02::fb", "255.255.255.255", "no address", "") == []


def test_link_local_addresses_only_with_the_link_that_they_came_from() -> None:
    assert believed("fe80::1") == []
    assert believed("fe80::1%3") == ["fe80::1%3"]


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_port_that_is_none(port: int) -> None:
    assert believed("10.0.0.1", port=port) == []


def test_each_address_once_and_only_a_few() -> None:
    assert believed("10.0.0.1", "10.0.0.1") == ["10.0.0.1"]
    assert len(believed(*(f"10.0.0.{n}" for n in range(100)))) == MAX_ADDRESSES
