"""What a node publishes of this machine: addresses that neighbours can use, and no others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ifaddr
import pytest

from p2pmods.identity.records import MAINS, MAX_ENDPOINTS, WIRED
from p2pmods.mesh.interfaces import on_mains, presence, read_interfaces, record_flags
from p2pmods.mesh.kinds import Kind
from tests.mesh.people import interface

if TYPE_CHECKING:
    from pathlib import Path

LO = interface("lo", Kind.LOOPBACK, "127.0.0.1/8", "::1/128")
ETH = interface("eth0", Kind.WIRED, "192.168.1.5/24", "fd00::5/64", "fe80::5/64")
WIFI = interface("wlan0", Kind.WIFI, "192.168.2.5/24")
VPN = interface("tun0", Kind.VPN, "10.8.0.2/24")
DOCKER = interface("docker0", Kind.BRIDGE, "172.17.0.1/16")


def published(*interfaces: object, listen: str = "") -> list[str]:
    return [endpoint.host for endpoint in presence(interfaces, listen, 4000).endpoints]  # type: ignore[arg-type]


def test_lans_only_the_wire_first_and_no_link_local_address() -> None:
    assert published(LO, VPN, WIFI, DOCKER, ETH) == ["192.168.1.5", "fd00::5", "192.168.2.5"]


def test_one_family_when_it_listens_on_one() -> None:
    assert published(LO, ETH, listen="0.0.0.0") == ["192.168.1.5"]
    assert published(LO, ETH, listen="::") == ["fd00::5"]


def test_one_address_when_it_listens_on_one_even_of_a_vpn() -> None:
    assert published(LO, ETH, VPN, listen="10.8.0.2") == ["10.8.0.2"]
    assert published(LO, ETH, listen="127.0.0.1") == ["127.0.0.1"]


def test_loopback_when_there_is_nothing_else() -> None:
    assert published(LO, VPN, DOCKER) == ["127.0.0.1", "::1"]
    assert presence([LO, VPN], "", 4000).is_loopback_only
    assert not presence([LO, ETH], "", 4000).is_loopback_only


def test_an_interface_that_the_user_chose() -> None:
    chosen = interface("tun0", Kind.VPN, "10.8.0.2/24", is_used=True)
    assert published(LO, chosen) == ["10.8.0.2"]


def test_no_more_endpoints_than_a_record_holds() -> None:
    many = interface("eth0", Kind.WIRED, *(f"10.0.0.{n}/24" for n in range(1, 20)))
    assert len(published(many)) == MAX_ENDPOINTS


def test_multicast_once_on_each_interface_that_is_used() -> None:
    assert presence([LO, ETH, WIFI, VPN, DOCKER], "", 4000).multicast == ("192.168.1.5", "192.168.2.5")
    assert presence([LO, VPN], "", 4000).multicast == ("127.0.0.1",)


def test_what_is_announced_is_what_is_published() -> None:
    here = presence([LO, ETH, WIFI], "", 4000)
    assert here.announced == tuple(endpoint.host for endpoint in here.endpoints)


def test_a_network_with_link_local_addresses_alone() -> None:
    here = presence([LO, interface("eth0", Kind.WIRED, "fe80::5/64")], "", 4000)
    assert here.endpoints == ()
    assert here.announced == here.multicast == ("fe80::5",)


def test_near_is_what_shares_a_subnet() -> None:
    here = presence([LO, ETH, VPN], "", 4000)
    assert here.is_near("192.168.1.77")
    assert here.is_near("fe80::1%3")
    assert not here.is_near("192.168.2.77")
    assert not here.is_near("10.8.0.9")
    assert not here.is_near("example.com")


def test_addresses_in_vpns_are_tunnels_but_the_one_that_the_user_named() -> None:
    other = interface("wg0", Kind.VPN, "10.99.0.2/24", "fd00::2/64")
    assert presence([LO, ETH, VPN, other], "", 4000).tunnels == {"10.8.0.2", "10.99.0.2", "fd00::2"}
    assert presence([LO, ETH, VPN, other], "10.99.0.2", 4000).tunnels == {"10.8.0.2", "fd00::2"}
    assert presence([LO, ETH], "", 4000).tunnels == frozenset()


def test_containers_come_and_go_without_a_change_of_where_the_node_is() -> None:
    veth = interface("veth1a2b", Kind.CONTAINER, "fe80::7/64")
    assert presence([LO, ETH, DOCKER, veth], "", 4000) == presence([LO, ETH], "", 4000)
    assert presence([LO, ETH, WIFI], "", 4000) != presence([LO, ETH], "", 4000)
    assert presence([LO, ETH, VPN], "", 4000) != presence([LO, ETH], "", 4000)


def test_an_address_is_the_same_while_nothing_happens_to_its_interface() -> None:
    before = presence([LO, ETH, WIFI], "", 4000)
    without_scopes = interface("eth0", Kind.WIRED, "192.168.1.5/24", "fd00::5/64")
    now = presence([LO, without_scopes, WIFI, VPN], "", 4000)
    assert now.is_same_at("192.168.2.5", before)
    assert now.is_same_at("::1", before)
    assert not now.is_same_at("192.168.1.5", before)  # it was down, say, and is up again
    assert not now.is_same_at("10.8.0.2", before)
    assert not now.is_same_at("fe80::5%eth0", before)
    assert not now.is_same_at("", before)
    assert before.is_same_at("fe80::5%eth0", before)


def test_this_machine_has_a_loopback_interface() -> None:
    assert any(one.kind is Kind.LOOPBACK and not one.is_used for one in read_interfaces())


def test_the_user_decides_which_interfaces_are_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    adapters = [
        ifaddr.Adapter("eth0", "eth0", [ifaddr.IP("10.0.0.1", 24, "eth0")], index=2),
        ifaddr.Adapter("tun0", "tun0", [ifaddr.IP(("fd00::1%4", 0, 4), 64, "tun0")], index=3),
    ]
    monkeypatch.setattr(ifaddr, "get_adapters", lambda: adapters)
    assert [one.name for one in read_interfaces(sysfs=tmp_path) if one.is_used] == ["eth0"]
    assert [one.name for one in read_interfaces(frozenset({"tun0"}), sysfs=tmp_path) if one.is_used] == ["tun0"]


def test_thousands_of_containers_do_not_hide_the_lan(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    names = [*(f"veth{n}" for n in range(3000)), "eth0"]
    adapters = [
        ifaddr.Adapter(name, name, [ifaddr.IP("10.0.0.1", 24, name)], index=index) for index, name in enumerate(names)
    ]
    monkeypatch.setattr(ifaddr, "get_adapters", lambda: adapters)
    found = read_interfaces(sysfs=tmp_path)
    assert len(found) == 256
    assert [one.name for one in found if one.is_used] == ["eth0"]


@pytest.mark.parametrize(
    ("status", "scope", "mains"),
    [("Discharging", "", False), ("Charging", "", True), ("Discharging", "Device", True)],
    ids=["battery", "plugged in", "a mouse"],
)
def test_power(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: str, scope: str, mains: bool) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    battery = tmp_path / "BAT0"
    battery.mkdir()
    for name, text in (("type", "Battery"), ("status", status), ("scope", scope)):
        (battery / name).write_text(f"{text}\n")
    assert on_mains(tmp_path) is mains


def test_power_of_machines_without_batteries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    assert on_mains(tmp_path / "none") is True
    monkeypatch.setattr("sys.platform", "darwin")
    assert on_mains(tmp_path) is None


def test_flags_say_only_what_is_certain() -> None:
    assert record_flags([ETH, WIFI], mains=True) == WIRED | MAINS
    assert record_flags([WIFI, VPN], mains=None) == 0
    assert record_flags([interface("en0", Kind.LAN, "10.0.0.1/8")], mains=False) == 0
    assert record_flags([interface("eth0", Kind.WIRED, "10.0.0.1/8", is_used=False)], mains=False) == 0
