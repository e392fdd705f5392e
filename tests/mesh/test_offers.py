"""The homes are told of every proven file, and that it is gone when it is: whatever took it away."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from p2pmods.directory.messages import Advert, Holding
from p2pmods.gomod.module import FileKey, FileKind
from p2pmods.mesh.names import key_of_file
from tests.mesh.hostile import digest
from tests.world import SWARM

if TYPE_CHECKING:
    from collections.abc import Callable

    from p2pmods.gomod.module import ModuleVersion
    from tests.mesh.scene import Scene
    from tests.world import Client

KINDS = (FileKind.MOD, FileKind.ZIP)


def told(scene: Scene) -> dict[bytes, Holding]:
    """What Eve, a home of everything, believes that Ann holds."""
    believed: dict[bytes, Holding] = {}
    for message in scene.eve.heard:
        if isinstance(message, Advert):
            if message.begins:
                believed.clear()
            for key in message.removed:
                believed.pop(key, None)
            believed.update({holding.key: holding for holding in message.added})
    return believed


async def wait_told(scene: Scene, expected: set[bytes]) -> None:
    with trio.fail_after(10):
        while set(told(scene)) != expected:  # noqa: ASYNC110 - adverts come when they come
            await trio.sleep(0.02)


def keys(module: ModuleVersion, *kinds: FileKind) -> set[bytes]:
    return {key_of_file(SWARM, FileKey(module, kind)) for kind in kinds or KINDS}


async def hold(scene: Scene, module: ModuleVersion) -> None:
    for kind in FileKind:
        assert (await scene.ann.get(FileKey(module, kind))).status_code == 200


async def test_what_is_proven_is_offered(scene: Scene) -> None:
    module, unlisted = scene.next_version(), scene.world.publish(scene.versions(), recorded=False)
    await hold(scene, module)
    await hold(scene, unlisted)
    await wait_told(scene, keys(module))
    data = scene.world.zips[module]
    key = key_of_file(SWARM, FileKey(module, FileKind.ZIP))
    assert told(scene)[key] == Holding(key, digest(data), len(data))
    assert set(scene.mesh.offers.offered()) == {FileKey(module, kind) for kind in KINDS}


async def remove(ann: Client, module: ModuleVersion) -> None:
    await ann.control("POST", "rm", {"modules": [str(module)]})


async def quarantine(ann: Client, module: ModuleVersion) -> None:
    for kind in KINDS:
        ann.node.store.quarantine(FileKey(module, kind), "a test")


async def poison(ann: Client, module: ModuleVersion) -> None:
    await trio.to_thread.run_sync(ann.node.store.poison, FileKey(module, FileKind.ZIP), "a test")


@pytest.mark.parametrize("take_away", [remove, quarantine, poison], ids=lambda verb: verb.__name__)
async def test_what_is_taken_away_is_withdrawn(scene: Scene, take_away: Callable[..., object]) -> None:
    module, other = scene.next_version(), scene.next_version()
    await hold(scene, module)
    await hold(scene, other)
    await wait_told(scene, keys(module) | keys(other))
    await take_away(scene.ann, module)  # type: ignore[misc]
    await wait_told(scene, keys(other))
    assert set(scene.mesh.offers.offered()) == {FileKey(other, kind) for kind in KINDS}


async def test_a_zip_that_left_for_its_room_is_withdrawn_and_offered_again_when_it_is_back(scene: Scene) -> None:
    module, other = scene.next_version(), scene.next_version()
    await hold(scene, module)
    await hold(scene, other)
    await wait_told(scene, keys(module) | keys(other))
    store = scene.ann.node.store
    store.flush()
    [found] = [one for one in store.zips_page(None)[0] if one.key.module == module]
    assert await trio.to_thread.run_sync(store.evict, found, "a test") > 0
    await wait_told(scene, keys(module, FileKind.MOD) | keys(other))
    assert FileKey(module, FileKind.ZIP) not in scene.mesh.offers.offered()
    await hold(scene, module)
    await wait_told(scene, keys(module) | keys(other))


async def test_a_pause_withdraws_everything_and_its_end_offers_it_again(scene: Scene) -> None:
    module = scene.next_version()
    await hold(scene, module)
    await wait_told(scene, keys(module))
    await scene.ann.control("POST", "pause", {"paused": True})
    await wait_told(scene, set())
    await scene.ann.control("POST", "pause", {"paused": False})
    await wait_told(scene, keys(module))
