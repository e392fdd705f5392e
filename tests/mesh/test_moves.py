"""Nodes that go elsewhere: this one, whose interfaces change while it runs, and others that come back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from p2pmods.identity.records import open_record
from p2pmods.membership.actions import Changed
from p2pmods.mesh.interfaces import presence
from p2pmods.mesh.kinds import Kind
from tests.mesh.people import interface

if TYPE_CHECKING:
    import pytest

    from p2pmods.mesh.interfaces import Interface
    from tests.mesh.scene import Scene

LO = interface("lo", Kind.LOOPBACK, "127.0.0.1/8")
WIFI = interface("wlan0", Kind.WIFI, "192.168.2.5/24")
DOCKER = interface("docker0", Kind.BRIDGE, "172.17.0.1/16")
VETH = interface("veth1a2b", Kind.CONTAINER, "fe80::7/64")


async def have(scene: Scene, monkeypatch: pytest.MonkeyPatch, *interfaces: Interface) -> None:
    """Ann's machine has these from now on, and Ann is told of a change."""
    port = scene.mesh.links.port
    monkeypatch.setattr("p2pmods.mesh.mesh.look_around", lambda _listen, _port: (presence(interfaces, "", port), 0))
    scene.mesh._changed()
    await trio.testing.wait_all_tasks_blocked(0.01)


def is_linked(scene: Scene) -> bool:
    return scene.eve.node_id in scene.mesh.links.linked()


async def test_a_container_that_starts_disturbs_nobody(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    await have(scene, monkeypatch, LO)
    await scene.eve.links.dial(scene.mesh.presence.best, deadline=trio.current_time() + 5)
    record, settled = scene.mesh.standing.record, scene.mesh._cold_start.settled_at()
    await have(scene, monkeypatch, LO, DOCKER, VETH)
    assert is_linked(scene)
    assert scene.mesh.standing.record is record
    assert scene.mesh._cold_start.settled_at() == settled


async def test_another_network_ends_only_the_links_from_where_something_changed(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    await have(scene, monkeypatch, LO)
    home = scene.mesh.presence.best
    await scene.eve.links.dial(home, deadline=trio.current_time() + 5)
    record = scene.mesh.standing.record
    await have(scene, monkeypatch, LO, WIFI)
    assert is_linked(scene)
    assert scene.mesh.standing.record.record.endpoints != record.record.endpoints
    await have(scene, monkeypatch, interface("lo", Kind.LOOPBACK, "127.0.0.1/8", "127.0.0.9/8"))
    assert not is_linked(scene)


async def test_a_sleep_ends_all_links(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    await have(scene, monkeypatch, LO)
    await scene.eve.links.dial(scene.mesh.presence.best, deadline=trio.current_time() + 5)
    scene.mesh._woke()
    await trio.testing.wait_all_tasks_blocked(0.01)
    assert not is_linked(scene)


async def test_a_node_that_says_it_is_alive_is_pardoned(scene: Scene) -> None:
    mesh, eve = scene.mesh, scene.eve
    mesh.blame._givers.strike(eve.node_id, now=trio.current_time(), is_silence=True)
    assert mesh.blame.is_struck(eve.node_id)
    mesh.standing.heard(Changed(eve.node_id, open_record(eve.record)))
    assert not mesh.blame.is_struck(eve.node_id)
