"""How much is given on which network, and when nothing is."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from p2pmods.config.values import UploadLimit
from p2pmods.directory.ability import UPLOADS
from p2pmods.gomod.module import FileKey, FileKind
from p2pmods.mesh import manners
from p2pmods.mesh.interfaces import presence
from p2pmods.mesh.kinds import Kind
from p2pmods.mesh.manners import WIFI_RATE, battery, upload_rate, why_not_give
from p2pmods.swarm.messages import BUSY, MOD, NOT_HELD, READY, YOURSELF, ZIP, GetFile, GetSmall, SmallHead
from p2pmods.swarm.pieces import LARGE, Follow, GetPieces, ObjectName
from tests.mesh.hostile import digest
from tests.mesh.people import interface
from tests.mesh.test_what_is_given import body, hold, refused
from tests.world import noise

if TYPE_CHECKING:
    from pathlib import Path

    from p2pmods.mesh.interfaces import Interface
    from tests.mesh.scene import Scene

AUTO, OFF, SOME = UploadLimit(None, True), UploadLimit(None, False), UploadLimit(1e6, False)
WIRE, AIR = interface("eth0", Kind.WIRED, "10.0.0.1/24"), interface("wlan0", Kind.WIFI, "10.0.1.1/24")
OTHER_AIR = interface("wlan1", Kind.WIFI, "10.0.2.1/24", is_used=False)


@pytest.mark.parametrize(
    ("limit", "interfaces", "rate"),
    [
        (AUTO, [WIRE], None),
        (AUTO, [AIR], WIFI_RATE),
        (AUTO, [WIRE, AIR], None),
        (AUTO, [OTHER_AIR], None),
        (AUTO, [], None),
        (OFF, [AIR], None),
        (SOME, [WIRE], 1e6),
        (SOME, [AIR], 1e6),
    ],
)
def test_a_wire_has_no_cap_and_the_air_has_one_unless_the_user_says_otherwise(
    limit: UploadLimit, interfaces: list[Interface], rate: float | None
) -> None:
    assert upload_rate(limit, presence(interfaces, "", 1).kinds) == rate


def test_nothing_is_given_from_a_weak_battery_unless_the_user_says_otherwise() -> None:
    assert why_not_give(AUTO, 49, metered=False) == "the battery is at 49 %"
    for limit, charge in ((AUTO, 50), (AUTO, None), (OFF, 1), (SOME, 1)):
        assert why_not_give(limit, charge, metered=False) is None


def supply(place: Path, **words: str) -> None:
    place.mkdir(parents=True)
    for name, text in words.items():
        (place / name).write_text(f"{text}\n")


@pytest.mark.skipif(sys.platform != "linux", reason="/sys is Linux's")
def test_what_is_left_in_the_battery(tmp_path: Path) -> None:
    assert battery(tmp_path / "none") is None
    supply(tmp_path / "mouse", type="Battery", status="Discharging", capacity="3", scope="Device")
    supply(tmp_path / "AC", type="Mains", online="0")
    assert battery(tmp_path) is None
    supply(tmp_path / "BAT0", type="Battery", status="Discharging", capacity="31")
    assert battery(tmp_path) == 31
    supply(tmp_path / "BAT1", type="Battery", status="Discharging", capacity="nonsense")
    assert battery(tmp_path) == 31
    (tmp_path / "BAT0" / "status").write_text("Charging\n")
    assert battery(tmp_path) is None


def can_upload(scene: Scene) -> bool:
    """Whether it says so when it claims a zip."""
    return bool(scene.mesh.outlook.ability().flags & UPLOADS)


async def test_nothing_is_given_over_a_vpn_and_who_asks_there_goes_elsewhere_at_once(scene: Scene) -> None:
    module = scene.next_version()
    await hold(scene, module)
    data = scene.world.zips[module]
    asked = [
        GetFile(module.path, module.version, ZIP, 0),
        Follow(ObjectName(module.path, module.version, digest(data), None), 0, scene.eve.record),
    ]
    small = GetSmall(module.path, module.version, MOD, False, 0, 8)
    scene.mesh.policy.tunnels = frozenset({"127.0.0.1"})
    for question in asked:
        assert await refused(scene.eve, scene.ann, question) == NOT_HELD
    assert (await body(scene.eve, scene.ann, small))[0] == SmallHead(YOURSELF)
    scene.mesh.policy.tunnels = frozenset({"10.8.0.5"})
    assert (await body(scene.eve, scene.ann, asked[0]))[1] == data
    assert (await body(scene.eve, scene.ann, small))[0] == SmallHead(READY)


async def test_a_vpn_is_one_unless_the_user_said_how_much_may_be_given(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = presence([WIRE, interface("tun0", Kind.VPN, "10.8.0.5/24")], "", 1)
    monkeypatch.setattr("p2pmods.mesh.mesh.look_around", lambda _listen, _port: (here, 0))
    mesh = scene.mesh
    mesh._stand(mesh._look())
    assert mesh.policy.tunnels == {"10.8.0.5"}
    mesh._settings = replace(mesh._settings, upload_limit=OFF)
    mesh._stand(mesh._look())
    assert mesh.policy.tunnels == frozenset()


async def test_a_reluctant_node_gives_and_offers_nothing_and_says_why(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = scene.next_version()
    await hold(scene, module)
    mesh = scene.mesh
    reconsidered = []
    monkeypatch.setattr(manners, "battery", lambda: 20)
    kept = manners.Manners(AUTO, False, mesh.policy, lambda: reconsidered.append(mesh.policy.gives))
    await kept.look()
    assert await refused(scene.eve, scene.ann, GetFile(module.path, module.version, ZIP, 0)) == BUSY
    report = (await scene.ann.status())["mesh"]
    assert report["reluctance"] == "the battery is at 20 %"
    assert not can_upload(scene)
    await kept.look()
    monkeypatch.setattr(manners, "battery", lambda: None)
    await kept.look()
    assert reconsidered == [False, True]
    assert (await scene.ann.status())["mesh"]["reluctance"] is None
    assert can_upload(scene)
    assert (await scene.ann.get(FileKey(module, FileKind.ZIP))).status_code == 200


async def test_a_reluctant_node_gives_no_pieces_either(scene: Scene) -> None:
    """Neither to who begins to follow nor to who followed before."""
    module = scene.world.publish(scene.versions(), text=noise(8 * LARGE))
    await hold(scene, module)
    name = ObjectName(module.path, module.version, hashlib.sha256(scene.world.zips[module]).digest(), None)
    answer = await scene.eve.ask(scene.ann, Follow(name, 0, scene.eve.record))
    await anext(answer)
    scene.mesh.policy.reluctance = "the battery is at 20 %"
    assert await refused(scene.eve, scene.ann, GetPieces(name, 0, 1)) == BUSY
    await answer.discard()
    assert await refused(scene.eve, scene.ann, Follow(name, 0, scene.eve.record)) == BUSY
