"""Interfaces are told apart by what lies behind them, not by what they are called."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from p2pmods.mesh.kinds import Kind, kind_by_name, kind_by_sysfs

if TYPE_CHECKING:
    from pathlib import Path

UP = 0x1003  # up, broadcast, multicast


class Sysfs:
    """A /sys/class/net that is put together by hand."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def add(
        self, name: str, index: int, *has: str, flags: int = UP, peer: int = 0, devtype: str = "", arp: int = 1
    ) -> Path:
        """`peer` is the iflink where it is another's index; `has` are entries that exist."""
        place = self.root / name
        place.mkdir()
        values = {"ifindex": index, "iflink": peer or index, "flags": hex(flags), "type": arp}
        for file, value in values.items():
            (place / file).write_text(f"{value}\n")
        (place / "uevent").write_text((f"DEVTYPE={devtype}\n" if devtype else "") + f"INTERFACE={name}\n")
        for entry in has:
            (place / entry).mkdir(parents=True)
        return place

    def kind(self, name: str) -> Kind | None:
        return kind_by_sysfs(self.root, name, int((self.root / name / "ifindex").read_text()))


@pytest.fixture
def sysfs(tmp_path: Path) -> Sysfs:
    return Sysfs(tmp_path)


def test_a_laptop(sysfs: Sysfs) -> None:
    sysfs.add("lo", 1, flags=0x9, arp=772)
    sysfs.add("enp3s0", 2, "device")
    sysfs.add("wlp2s0", 3, "device", "phy80211", devtype="wlan")
    sysfs.add("wwan0", 4, "device", devtype="wwan")
    assert [sysfs.kind(name) for name in ("lo", "enp3s0", "wlp2s0", "wwan0")] == [
        Kind.LOOPBACK,
        Kind.WIRED,
        Kind.WIFI,
        Kind.MOBILE,
    ]


@pytest.mark.parametrize("name", ["eth7", "work"])
def test_tunnels_whatever_they_are_called(sysfs: Sysfs, name: str) -> None:
    sysfs.add(f"{name}-tun", 2, "tun_flags", flags=0x10D1, arp=65534)
    sysfs.add(f"{name}-tap", 3, "tun_flags")
    sysfs.add(f"{name}-wg", 4, flags=0xD1, arp=65534, devtype="wireguard")
    sysfs.add(f"{name}-ppp", 5, flags=0x10D1, arp=512)
    assert {sysfs.kind(place.name) for place in sysfs.root.iterdir()} == {Kind.VPN}


def test_the_cables_of_containers_on_their_host(sysfs: Sysfs) -> None:
    sysfs.add("eth0", 2, "device")
    sysfs.add("docker0", 3, "bridge", "brif/veth1", devtype="bridge")
    sysfs.add("veth1", 4, "master", peer=2)
    sysfs.add("routed0", 6, peer=2)
    sysfs.add("flannel.1", 7, devtype="vxlan")
    assert sysfs.kind("docker0") is Kind.BRIDGE
    assert {sysfs.kind(name) for name in ("veth1", "routed0", "flannel.1")} == {Kind.CONTAINER}


def test_inside_a_network_namespace_the_cable_is_the_lan(sysfs: Sysfs) -> None:
    sysfs.add("lo", 1, flags=0x9, arp=772)
    sysfs.add("eth0", 2, peer=9)
    sysfs.add("eth1", 3)  # its other end happens to have the same number there
    assert sysfs.kind("eth0") is Kind.WIRED
    assert sysfs.kind("eth1") is Kind.WIRED


def test_containers_inside_a_container(sysfs: Sysfs) -> None:
    sysfs.add("eth0", 2, peer=9)
    sysfs.add("docker0", 3, "bridge", "brif/veth1", devtype="bridge")
    sysfs.add("veth1", 4, "master", peer=2)
    assert [sysfs.kind(name) for name in ("eth0", "docker0", "veth1")] == [Kind.WIRED, Kind.BRIDGE, Kind.CONTAINER]


def test_a_bridge_that_extends_the_lan_is_the_lan(sysfs: Sysfs) -> None:
    sysfs.add("eth0", 2, "device", "master")
    sysfs.add("br0", 3, "bridge", "brif/eth0", "brif/vnet0", devtype="bridge")
    assert sysfs.kind("br0") is Kind.WIRED


def test_what_carries_nothing(sysfs: Sysfs) -> None:
    sysfs.add("dummy0", 2, flags=0xC3)
    sysfs.add("sit0", 3, arp=776)
    assert {sysfs.kind("dummy0"), sysfs.kind("sit0")} == {Kind.VIRTUAL}


def test_vlans_bonds_and_macvlans_are_wired(sysfs: Sysfs) -> None:
    for index, devtype in enumerate(("vlan", "bond", "macvlan"), 2):
        sysfs.add(f"x{index}", index, devtype=devtype, peer=30)
        assert sysfs.kind(f"x{index}") is Kind.WIRED


def test_sysfs_of_another_network_namespace_is_not_believed(sysfs: Sysfs) -> None:
    sysfs.add("eth0", 2, "device")
    assert kind_by_sysfs(sysfs.root, "eth0", 5) is None
    assert kind_by_sysfs(sysfs.root, "eth1", 2) is None
    assert kind_by_sysfs(sysfs.root, f"../{sysfs.root.name}/eth0", 2) is None


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("en0", Kind.LAN),
        ("lo0", Kind.LOOPBACK),
        ("utun3", Kind.VPN),
        ("awdl0", Kind.VIRTUAL),
        ("bridge100", Kind.BRIDGE),
        ("vmnet8", Kind.CONTAINER),
        ("wlan0", Kind.WIFI),
        ("eth0", Kind.LAN),
        ("docker0", Kind.BRIDGE),
        ("veth12ab", Kind.CONTAINER),
        ("Intel(R) Wi-Fi 6 AX201 160MHz", Kind.WIFI),
        ("Realtek PCIe GbE Family Controller", Kind.LAN),
        ("Microsoft Hyper-V Network Adapter", Kind.LAN),
        ("Hyper-V Virtual Ethernet Adapter", Kind.BRIDGE),
        ("TAP-Windows Adapter V9", Kind.VPN),
        ("WireGuard Tunnel", Kind.VPN),
        ("VirtualBox Host-Only Ethernet Adapter", Kind.BRIDGE),
        ("Software Loopback Interface 1", Kind.LOOPBACK),
        ("Microsoft Wi-Fi Direct Virtual Adapter", Kind.VIRTUAL),
    ],
)
def test_names_where_there_is_nothing_else(name: str, kind: Kind) -> None:
    assert kind_by_name(name) is kind


def test_only_lans_are_ordinary() -> None:
    assert {kind for kind in Kind if kind.is_ordinary} == {Kind.WIRED, Kind.WIFI, Kind.LAN}
