"""What a node says that it can do for others is what is so at that moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2pmods.directory.ability import CAPTIVE, DATABASE, FAILING, PROXY, UPLOADS
from p2pmods.directory.messages import Alone, Claim
from p2pmods.testing import upstream_faults as faults
from tests.mesh.hostile import replying

if TYPE_CHECKING:
    from p2pmods.directory.ability import Ability
    from tests.mesh.scene import Scene


async def claimed(scene: Scene, answer: int) -> Ability:
    """What Ann says in her claim for the next version, whose zip the upstream answers for with this status."""
    module = scene.next_version()
    assert (await scene.ann.file(module, "zip")).status_code == answer
    claims = [message for message in scene.eve.heard if isinstance(message, Claim)]
    return claims[-1].ability


async def test_a_node_behind_a_portal_says_so_until_its_upstream_delivers_again(scene: Scene) -> None:
    scene.eve.answers[Claim] = replying(Alone(0))
    able = await claimed(scene, 200)
    assert (able.upstream, able.flags, able.is_capable) == (PROXY, DATABASE | UPLOADS, True)
    scene.world.upstream.fault("/", faults.login_page())
    await claimed(scene, 404)
    behind = await claimed(scene, 404)
    assert behind.flags & CAPTIVE
    assert not behind.is_capable  # no home grants it a lease
    scene.world.upstream.behave()
    scene.ann.node.upstream.network_changed()
    assert not (await claimed(scene, 200)).flags & (CAPTIVE | FAILING)
