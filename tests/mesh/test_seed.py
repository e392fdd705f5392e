"""A seed: it copies what others fetched, so that they may go home; and nothing else, from nobody else."""

from __future__ import annotations

import shutil
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import trio

from p2pmods.directory import entrusted
from p2pmods.directory.messages import Entrust, Entrusted, Holding
from p2pmods.errors import PeerRefused
from p2pmods.fetch import copying
from p2pmods.fetch.copying import NOT_OURS
from p2pmods.gomod.module import FileKey, FileKind, ModuleVersion
from p2pmods.identity.records import SEED
from p2pmods.mesh import offers
from p2pmods.mesh.names import key_of_file
from p2pmods.swarm.messages import FileHead, GetFile
from p2pmods.testing.modzips import make_module_zip
from p2pmods.wire.events import Code
from tests.mesh.hostile import digest, open_eve, sending, versions_at
from tests.world import SWARM, WIDGET, noise, wait_met, wait_offered

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.mesh.hostile import Eve
    from tests.mesh.scene import Scene
    from tests.world import Client, Room, World

SMALL = ModuleVersion("example.org/acme/small", "v1.2.3")
PLAIN = ModuleVersion("example.org/acme/plain", "v1.0.0")
UNPROVEN = ModuleVersion("example.org/acme/unproven", "v1.0.0")


async def seed_report(client: Client) -> dict[str, Any]:
    report: dict[str, Any] = (await client.status())["mesh"]["seed"]
    return report


async def wait_report(seed: Client, is_so: Callable[[dict[str, Any]], bool]) -> None:
    with trio.fail_after(20):
        while not is_so(await seed_report(seed)):  # noqa: ASYNC110 - HTTP brings no event
            await trio.sleep(0.05)


async def wait_copied(seed: Client, *modules: ModuleVersion) -> None:
    """Until it has these zips from others, and nothing waits."""
    await wait_report(seed, lambda report: (report["copied"], report["waiting"]) == (len(modules), 0))
    with trio.fail_after(20):
        for module in modules:
            while not seed.node.store.held(FileKey(module, FileKind.ZIP)):  # noqa: ASYNC110 - it is on its way
                await trio.sleep(0.02)


def is_held(client: Client, module: ModuleVersion) -> bool:
    """Its zip; small files it may have as their home."""
    return bool(client.node.store.held(FileKey(module, FileKind.ZIP)))


def named(client: Client) -> set[ModuleVersion]:
    """Whose zip this node names to seeds."""
    assert client.node.mesh is not None
    return {key.module for key in client.node.mesh.entrusting._files if key.kind is FileKind.ZIP}


async def fetch(client: Client, module: ModuleVersion, *kinds: str) -> None:
    for kind in kinds or ("info", "mod", "zip"):
        answer = await client.file(module, kind)
        assert answer.status_code == 200, answer.text


async def test_a_seed_has_what_a_laptop_fetched_when_the_laptop_and_the_upstream_are_gone(
    world: World, room: Room
) -> None:
    world.publish(WIDGET, noise(3 << 20))  # in pieces
    world.publish(SMALL)
    seed = await room.start("seed", seed=True, upstream="off")
    ann = await room.start("ann", seed)
    await wait_met(seed, ann)
    await fetch(ann, WIDGET)
    await fetch(ann, SMALL, "mod")
    asked = len(world.upstream.requests)
    await wait_copied(seed, WIDGET)
    assert world.asked(".zip") == 1
    assert len(world.upstream.requests) == asked, world.upstream.requests[asked:]
    await room.stop(ann)
    bob = await room.start("bob", seed, offline=True)
    await wait_met(seed, bob)
    for module, kinds in ((WIDGET, ("info", "mod", "zip")), (SMALL, ("mod",))):
        for kind in kinds:
            answer = await bob.file(module, kind)
            assert (answer.status_code, answer.headers["P2pmods-Source"]) == (200, "peer"), answer.text
    why = await seed.why(WIDGET)
    assert {file["source"]["id"] for file in why["files"]} == {ann.node_id}
    assert FileKey(WIDGET, FileKind.ZIP) in seed.node.mesh.offers.offered()  # type: ignore[union-attr]


async def entrust(eve: Eve, seed: Client, *names: str) -> object:
    """What the seed answers to Eve: a message, or the code of a refusal."""
    try:
        answer = await eve.links.request(seed.node_id, Entrust(names), deadline=trio.current_time() + 10)
    except PeerRefused as error:
        return error.code
    await answer.discard()
    return answer.message


async def test_a_seed_copies_nothing_private_or_unproven_or_fetched_long_ago_or_from_peers(
    world: World, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, private, plain = world.publish(), world.publish(SMALL), world.publish(PLAIN)
    unproven = world.publish(UNPROVEN, recorded=False)
    ann = await room.start("ann")
    await fetch(ann, before)
    await ann.wait_proven()
    await room.stop(ann)
    monkeypatch.setattr(offers, "RECENT", 0.0)
    seed = await room.start("seed", seed=True, upstream="off", private=private.path)
    ann = await room.start("ann", seed)
    bob = await room.start("bob", seed, ann)
    await wait_met(seed, ann, bob)
    await wait_offered(bob, before)
    for module in (private, unproven, plain):
        await fetch(ann, module)
    for module in (before, plain):
        await fetch(bob, module)
    await wait_copied(seed, plain)
    assert {module for module in (before, private, unproven, plain) if is_held(seed, module)} == {plain}
    # Neither was named by anybody: what Ann had, and what Bob got from her.
    assert named(bob) == set()
    assert named(ann) == {private, plain}


async def test_what_waits_is_copied_after_a_restart_of_the_seed(
    world: World, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.publish()
    monkeypatch.setattr(entrusted, "SETTLE", 1000.0)
    seed = await room.start("seed", seed=True)
    ann = await room.start("ann", seed)
    await wait_met(seed, ann)
    await fetch(ann, WIDGET)
    await wait_report(seed, lambda report: report["waiting"] == 1)
    await room.stop(seed)
    monkeypatch.setattr(entrusted, "SETTLE", 0.0)
    seed = await room.start("seed", ann, seed=True)
    await wait_copied(seed, WIDGET)
    await room.stop(seed)
    seed = await room.start("seed", ann, seed=True)
    assert (await seed_report(seed))["copied"] == 1
    assert world.asked(".zip") == 1


async def test_what_was_fetched_while_nothing_was_given_is_named_when_it_is_given_again(
    world: World, room: Room
) -> None:
    world.publish()
    seed = await room.start("seed", seed=True)
    ann = await room.start("ann", seed)
    await wait_met(seed, ann)
    await ann.control("POST", "pause", {"paused": True})
    await fetch(ann, WIDGET)
    await ann.wait_proven()
    await ann.control("POST", "pause", {"paused": False})
    await wait_copied(seed, WIDGET)


async def test_a_node_that_stopped_before_there_was_a_seed_names_what_it_fetched_that_day(
    world: World, room: Room
) -> None:
    world.publish()
    ann = await room.start("ann")
    await fetch(ann, WIDGET)
    await ann.wait_proven()
    await room.stop(ann)
    seed = await room.start("seed", seed=True)
    await room.start("ann", seed)
    await wait_copied(seed, WIDGET)


async def test_a_seed_gets_what_nobody_gave_at_first(
    world: World, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.publish()
    monkeypatch.setattr(entrusted, "FIRST_RETRY", 0.3)
    seed = await room.start("seed", seed=True)
    ann = await room.start("ann", seed)
    await wait_met(seed, ann)
    assert ann.node.mesh is not None
    monkeypatch.setattr(ann.node.mesh.giving, "policy", SimpleNamespace(gives=False, may_ask=lambda _path: True))
    await fetch(ann, WIDGET)
    await wait_report(seed, lambda report: report["waiting"] == 1)
    monkeypatch.setattr(ann.node.mesh.giving, "policy", ann.node.mesh.policy)
    await wait_copied(seed, WIDGET)
    assert world.asked(".zip") == 1


@pytest.mark.parametrize("reason", ["store", "in use", "disk", "paused"])
async def test_a_seed_that_has_no_room_or_gives_nothing_says_so_and_goes_on_later(
    world: World, room: Room, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    world.publish()
    monkeypatch.setattr(copying, "FULL_PAUSE", 0.1)
    seed = await room.start("seed", seed=True)
    assert seed.node.mesh is not None
    work = seed.node.duties.neighbours.copying
    assert work is not None
    usage = SimpleNamespace(free=10**9, total=10**11)
    if reason == "store":
        monkeypatch.setattr(work._thinning, "_limit", lambda: 0)
    elif reason == "in use":  # above high water, and nothing of it may go
        monkeypatch.setattr(work._thinning, "is_stuck", True)
        monkeypatch.setattr(work._thinning, "_limit", lambda: 1000)
        monkeypatch.setattr("p2pmods.fetch.thinning.is_above", lambda held, limit: limit == 1000)
    elif reason == "disk":
        monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage)
    else:
        await seed.control("POST", "pause", {"paused": True})
    ann = await room.start("ann", seed)
    await wait_met(seed, ann)
    await fetch(ann, WIDGET)
    await wait_report(seed, lambda report: report["problem"] is not None)
    report = await seed_report(seed)
    said = {
        "store": "the store holds",
        "in use": "the store holds",
        "disk": "the disk is",
        "paused": "nothing is given: paused",
    }[reason]
    assert report["problem"].startswith(said)
    assert (report["copied"], report["waiting"]) == (0, 1)
    monkeypatch.setattr(work._thinning, "_limit", lambda: 10**9)
    usage.free = 10**11
    await seed.control("POST", "pause", {"paused": False})
    await wait_copied(seed, WIDGET)
    assert (await seed_report(seed))["problem"] is None


async def test_a_zip_for_which_there_is_no_room_waits(
    world: World, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.publish(WIDGET, noise(400_000))
    world.publish(SMALL)
    seed = await room.start("seed", seed=True)
    work = seed.node.duties.neighbours.copying
    assert work is not None
    monkeypatch.setattr(work._thinning, "_limit", lambda: 100_000)
    ann = await room.start("ann", seed)
    await wait_met(seed, ann)
    await fetch(ann, WIDGET)
    await fetch(ann, SMALL)
    await wait_report(seed, lambda report: (report["copied"], report["waiting"]) == (1, 1))
    assert not seed.node.store.held(FileKey(WIDGET, FileKind.ZIP))
    assert seed.node.store.held(FileKey(SMALL, FileKind.ZIP))


async def test_who_is_no_seed_is_told_nothing_and_takes_nothing(scene: Scene) -> None:
    module = scene.next_version()
    await fetch(scene.ann, module)
    assert await entrust(scene.eve, scene.ann, str(module)) == Code.UNKNOWN
    assert (await scene.ann.status())["mesh"]["seed"] is None
    assert scene.mesh.standing.seeds == frozenset()
    assert not scene.mesh.standing.record.record.flags & SEED


async def test_nonsense_that_a_seed_is_asked_for_comes_to_nothing(world: World, room: Room, tmp_path: Path) -> None:
    plain = world.publish(PLAIN)
    seed = await room.start("seed", seed=True)
    async with open_eve(tmp_path / "eve", seed) as eve:
        names = ("", "x", "../../etc@v1", "example.org/m@v1.0", "@", f"{plain}/go.mod/go.mod", "a" * 512)
        assert await entrust(eve, seed, *names) == Entrusted(len(names))
        assert await entrust(eve, seed, "example.org/nobody/has@v1.0.0") == Entrusted(1)
        report = await seed_report(seed)
        assert (report["copied"], report["waiting"]) == (0, 1)
    assert seed.node.store.statistics().files == 0
    assert world.upstream.requests == []


async def test_a_stranger_cannot_fill_a_seed_of_the_public_swarm(
    world: World, room: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.publish()
    seed = await room.start("seed", seed=True)
    mesh = seed.node.mesh
    assert mesh is not None
    async with open_eve(tmp_path / "eve", seed) as eve:
        monkeypatch.setattr(mesh.policy, "is_public", True)
        assert await entrust(eve, seed, str(WIDGET)) == Entrusted(1)
        monkeypatch.setattr(mesh, "presence", SimpleNamespace(is_within=lambda host: host != "127.0.0.1"))
        assert await entrust(eve, seed, str(WIDGET)) == NOT_OURS


async def test_what_a_liar_gives_is_not_kept(world: World, room: Room, tmp_path: Path) -> None:
    seed = await room.start("seed", seed=True)
    mesh = seed.node.mesh
    assert mesh is not None
    async with open_eve(tmp_path / "eve", seed) as eve:
        module = world.publish(versions_at(seed.node_id, eve.node_id)())
        other = make_module_zip(module, {"go.mod": b"module example.org/acme/widget\n"})
        key = key_of_file(SWARM, FileKey(module, FileKind.ZIP))
        eve.answers[GetFile] = sending(FileHead(len(other), digest(other)), other, length=len(other))
        mesh.desk._holdings.table.add(eve.node_id, Holding(key, digest(other), len(other)), now=0.0)
        assert await entrust(eve, seed, str(module)) == Entrusted(1)
        with trio.fail_after(20):
            while not mesh.blame.is_struck(eve.node_id):  # noqa: ASYNC110 - no event tells
                await trio.sleep(0.05)
    report = await seed_report(seed)
    assert (report["copied"], report["waiting"]) == (0, 1)
    assert not seed.node.store.held(FileKey(module, FileKind.ZIP))
    assert (await seed.status())["alarms"] == []
