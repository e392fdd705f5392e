"""What a member gets who asks a node for everything: proven files of public paths, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgpack
import pytest
import trio

from p2pmods.errors import PeerError, PeerRefused
from p2pmods.fetch import shelf
from p2pmods.gomod.module import FileKey, FileKind, ModuleVersion
from p2pmods.mesh import giving
from p2pmods.swarm.messages import (
    BUSY,
    INFO,
    MOD,
    NOT_HELD,
    READY,
    STOPPED,
    YOURSELF,
    ZIP,
    FileHead,
    GetFile,
    GetSmall,
    SmallFiles,
    SmallHead,
    unpack_small,
)
from p2pmods.swarm.pieces import Follow, Followed, ObjectName
from p2pmods.testing import upstream_faults as faults
from p2pmods.wire.proofs import AskRecord, NotHeld
from tests.mesh.hostile import TOKEN, Eve, digest, open_eve, versions_at
from tests.world import SWARM, WIDGET, Client, Room, World, noise

if TYPE_CHECKING:
    from pathlib import Path

    from tests.mesh.scene import Scene

SECRET = ModuleVersion("corp.example/secret/widget", "v1.0.0")


async def body(eve: Eve, node: Client, message: object) -> tuple[Any, bytes]:
    """The head and the body that Eve gets."""
    answer = await eve.ask(node, message)
    return answer.message, b"".join([piece async for piece in answer])


async def refused(eve: Eve, node: Client, message: object) -> int:
    """The code of the refusal."""
    with pytest.raises(PeerRefused) as caught:
        await body(eve, node, message)
    return caught.value.code


def get(module: ModuleVersion, kind: int = ZIP, offset: int = 0, **named: Any) -> GetFile:
    return GetFile(module.path, module.version, kind, offset, **named)


def get_small(module: ModuleVersion, *, held_only: bool = True) -> GetSmall:
    return GetSmall(module.path, module.version, MOD, held_only, 0, 8)


async def hold(scene: Scene, module: ModuleVersion, *, proven: bool = True) -> None:
    """Ann has all of it, from upstream."""
    for kind in FileKind:
        assert (await scene.ann.get(FileKey(module, kind))).status_code == 200
    if proven:
        await scene.ann.wait_proven()


async def test_a_proven_file_from_any_offset(scene: Scene) -> None:
    module = scene.next_version()
    await hold(scene, module)
    data = scene.world.zips[module]
    head = FileHead(len(data), digest(data))
    for wanted in (get(module), get(module, sha256=digest(data))):
        assert await body(scene.eve, scene.ann, wanted) == (head, data)
    assert await body(scene.eve, scene.ann, get(module, offset=100)) == (head, data[100:])
    assert await body(scene.eve, scene.ann, get(module, offset=len(data))) == (head, b"")
    assert scene.mesh.giving.statistics().files == 4
    assert scene.mesh.giving.statistics().now == 0


async def test_small_files_come_with_the_record_that_proves_them(scene: Scene) -> None:
    module = scene.next_version()
    await hold(scene, module)
    head, data = await body(scene.eve, scene.ann, get_small(module))
    small = unpack_small(data)
    assert head == SmallHead(READY)
    mod = scene.world.upstream.files[f"/{FileKey(module, FileKind.MOD).url_path}"]
    info = f'{{"Version":"{module.version}","Time":"2024-01-02T03:04:05Z"}}'.encode()
    assert small.files == SmallFiles(info, mod)
    assert small.record is not None
    assert f"{module.path} {module.version}/go.mod h1:".encode() in small.record.text


async def test_what_is_not_so_is_refused(scene: Scene) -> None:
    module = scene.next_version()
    await hold(scene, module)
    size = len(scene.world.zips[module])
    for wanted in (
        get(module, offset=size + 1),
        get(module, sha256=bytes(32)),
        get(module, INFO),  # nothing proves it: it goes along with a `.mod`
        get(ModuleVersion(module.path, "v1.9.9")),
    ):
        assert await refused(scene.eve, scene.ann, wanted) == NOT_HELD
    assert await refused(scene.eve, scene.ann, get(module, token=TOKEN)) == STOPPED


async def test_what_the_database_does_not_list_is_refused(scene: Scene) -> None:
    module = scene.world.publish(scene.versions(), recorded=False)
    await hold(scene, module, proven=False)
    for kind in (MOD, ZIP):
        assert await refused(scene.eve, scene.ann, get(module, kind)) == NOT_HELD
    assert (await scene.eve.ask(scene.ann, get_small(module))).message == SmallHead(YOURSELF)
    assert scene.mesh.offers.offered() == {}


async def test_what_waits_for_its_proof_is_refused_until_it_has_it(scene: Scene) -> None:
    module = scene.next_version()
    scene.world.upstream.fault("/sumdb/", faults.status(503))
    await hold(scene, module, proven=False)
    assert await refused(scene.eve, scene.ann, get(module)) == NOT_HELD
    assert (await scene.eve.ask(scene.ann, get_small(module))).message == SmallHead(YOURSELF)
    scene.world.upstream.behave()
    assert (await scene.ann.get(f"/sumdb/{scene.world.log.name}/lookup/{module}")).status_code == 200
    await trio.to_thread.run_sync(lambda: scene.ann.node.store.postpone_proof(module, seconds=-1))
    scene.ann.node.proofs.wake()
    await scene.ann.wait_proven()
    assert (await body(scene.eve, scene.ann, get(module)))[1] == scene.world.zips[module]


async def test_a_paused_node_gives_nothing_and_offers_nothing(scene: Scene) -> None:
    module = scene.next_version()
    await hold(scene, module)
    await scene.ann.control("POST", "pause", {"paused": True})
    assert await refused(scene.eve, scene.ann, get(module)) == BUSY
    assert (await scene.eve.ask(scene.ann, get_small(module, held_only=False))).message == SmallHead(YOURSELF)


# Private paths.


async def test_what_is_private_reaches_nobody(world: World, room: Room, tmp_path: Path) -> None:
    """Not its bytes, not its name, not the key that its name makes; though the database proves it."""
    world.publish(SECRET)
    world.publish()
    ann = await room.start("ann")
    for kind in FileKind:
        assert (await ann.get(FileKey(SECRET, kind))).status_code == 200
    await ann.wait_proven()
    await room.stop(ann)
    ann = await room.start("ann", private="corp.example/*", no_sumdb="", no_proxy="")
    async with open_eve(tmp_path / "eve", ann) as eve:
        for number in (MOD, ZIP):
            assert await refused(eve, ann, get(SECRET, number)) == NOT_HELD
        for held_only in (False, True):
            small = (await eve.ask(ann, get_small(SECRET, held_only=held_only))).message
            assert small == SmallHead(YOURSELF)
        question = AskRecord(world.log.name, SECRET.path, SECRET.version, 0, 8)
        assert (await eve.ask(ann, question)).message == NotHeld()
        for version in ("v1.0.0", "v1.0.1", "v1.0.2"):
            other = world.publish(ModuleVersion(SECRET.path, version))
            for kind in FileKind:
                await ann.get(FileKey(other, kind))
            await ann.get(f"/{other.path}/@v/list")
            check_unheard(eve, other)
        await ann.get(FileKey(WIDGET, FileKind.ZIP))  # so that something is said at all
        assert eve.heard
        check_unheard(eve, SECRET)


def check_unheard(eve: Eve, module: ModuleVersion) -> None:
    heard = eve.bytes_heard()
    assert b"secret" not in heard
    for name in (str(module), f"{module}/go.mod"):
        assert SWARM.key_of(name) not in heard


# Names that are none.


BAD_NAMES = [
    ("../../etc/passwd", "v1.0.0"),
    ("example.org/../secret", "v1.0.0"),
    ("/etc/passwd", "v1.0.0"),
    ("example.org/a\0b", "v1.0.0"),
    ("example.org/a\nb", "v1.0.0"),
    ("", ""),
    ("example.org/acme/widget", "../v1.0.0"),
    ("example.org/acme/widget", "v1.0.0/../../x"),
    ("example.org/acme/widget", "latest"),
    ("example.org/acme/widget", ""),
    ("C:\\windows", "v1.0.0"),
    ("example.org/acme/widget.zip", "v1.0.0\0"),
]


async def test_a_name_that_is_none_is_refused(scene: Scene) -> None:
    asked = list(scene.world.upstream.requests)
    for path, version in BAD_NAMES:
        for message in (
            GetFile(path, version, ZIP, 0),
            GetFile(path, version, ZIP, 0, token=TOKEN),
            GetSmall(path, version, MOD, held_only=True, tree=0, levels=8),
            GetSmall(path, version, MOD, held_only=False, tree=0, levels=8),
        ):
            assert await refused(scene.eve, scene.ann, message) == NOT_HELD, message
    assert scene.world.upstream.requests == asked


async def test_a_case_that_is_another_path_finds_nothing(scene: Scene) -> None:
    module = scene.next_version()
    await hold(scene, module)
    upper = ModuleVersion("example.org/ACME/widget", module.version)
    assert await refused(scene.eve, scene.ann, get(upper)) == NOT_HELD


OUT_OF_BOUNDS: list[list[object]] = [
    [70, "a" * 60_000, "v1.0.0", 2, 0, None, None, False],
    [70, "example.org/a", "v1.0.0", 3, 0, None, None, False],
    [70, "example.org/a", "v1.0.0", 2, -1, None, None, False],
    [70, "example.org/a", "v1.0.0", 2, 1 << 40, None, None, False],
    [70, "example.org/a", "v1.0.0", 2, 0, b"short", None, False],
    [70, "example.org/a", "v1.0.0", 2, 0, None, None, False, None],
    [70, "example.org/a", "v1.0.0", 2, 0, None, None, 1],
    [72, "example.org/a", "v1.0.0", 2, False, 0, 0],
    [72, "example.org/a", "v1.0.0", 1, 0, 0, 0],
    [74, None, None],
    [999],
]


async def test_a_message_out_of_bounds_reaches_no_handler(scene: Scene) -> None:
    for fields in OUT_OF_BOUNDS:
        await scene.eve.ask(scene.ann, AskRecord(scene.world.log.name, "example.org/a", "v1.0.0", 0, 8))
        link = scene.eve.links._table.find(scene.ann.node.node_id)
        assert link is not None
        with pytest.raises(PeerError):
            await link.request(msgpack.packb(fields), deadline=trio.current_time() + 10, floor=0)
    assert scene.mesh.giving.statistics().files == 0
    await scene.check_served_from_upstream(scene.next_version())


# Many at once.


async def test_who_comes_when_enough_are_served_is_sent_elsewhere(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(giving, "MAX_UPLOADS", 3)
    big = scene.world.publish(ModuleVersion("example.org/acme/big", "v1.0.0"), text=noise(8 << 20))
    await hold(scene, big)
    answers = [await scene.eve.ask(scene.ann, get(big)) for _ in range(3)]
    assert scene.mesh.giving.statistics().now == 3
    assert await refused(scene.eve, scene.ann, get(big)) == BUSY
    for answer in answers:
        await answer.discard()
    with trio.fail_after(10):
        while scene.mesh.giving.statistics().now:  # noqa: ASYNC110 - a cancelled request brings no event here
            await trio.sleep(0.01)
    assert (await body(scene.eve, scene.ann, get(big)))[1] == scene.world.zips[big]


async def test_nobody_takes_everybody_elses_turns(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(giving, "MAX_OF_PEER", 2)
    big = scene.world.publish(ModuleVersion("example.org/acme/big", "v1.0.0"), text=noise(8 << 20))
    await hold(scene, big)
    answers = [await scene.eve.ask(scene.ann, get(big)) for _ in range(2)]  # and she takes nothing of them
    assert await refused(scene.eve, scene.ann, get(big)) == BUSY
    async with open_eve(tmp_path / "dan", scene.ann, 2) as dan:
        assert (await body(dan, scene.ann, get(big)))[1] == scene.world.zips[big]
    for answer in answers:
        await answer.discard()


# As a home.


async def test_a_home_fetches_small_files_once_for_many_who_ask(scene: Scene) -> None:
    module = scene.world.publish(versions_at(scene.ann.node.node_id, scene.eve.node_id)())
    small: list[SmallFiles] = []

    async def ask() -> None:
        _, data = await body(scene.eve, scene.ann, get_small(module, held_only=False))
        small.append(unpack_small(data).files)

    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(ask)
    mod = scene.world.upstream.files[f"/{FileKey(module, FileKind.MOD).url_path}"]
    assert {files.mod for files in small} == {mod}
    assert scene.world.asked(f"{module.version}.mod") == 1


async def test_a_home_that_finds_nothing_says_so(scene: Scene) -> None:
    module = ModuleVersion("example.org/none", "v1.0.0")
    assert await refused(scene.eve, scene.ann, get_small(module, held_only=False)) == NOT_HELD


async def test_a_home_whose_upstream_takes_too_long_says_so(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(giving, "SMALL_DEADLINE", 0.2)
    module = scene.next_version()
    scene.world.upstream.fault(".mod", faults.hang())
    with trio.fail_after(10):
        assert await refused(scene.eve, scene.ann, get_small(module, held_only=False)) == NOT_HELD


async def test_a_home_waits_for_the_proof_no_longer_than_a_peer_would(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelf, "PROOF_TIME", 0.2)
    module = scene.next_version()
    scene.world.upstream.fault("/lookup/", faults.hang())
    with trio.fail_after(10):
        assert await refused(scene.eve, scene.ann, get_small(module, held_only=False)) == NOT_HELD


async def test_a_home_gives_nothing_of_what_it_fetched_unproven(scene: Scene) -> None:
    module = scene.world.publish(scene.versions(), recorded=False)
    assert await refused(scene.eve, scene.ann, get_small(module, held_only=False)) == NOT_HELD


async def test_a_home_fetches_nothing_when_it_was_asked_for_what_it_holds(scene: Scene) -> None:
    module = scene.next_version()
    assert (await scene.eve.ask(scene.ann, get_small(module))).message == SmallHead(YOURSELF)
    assert scene.world.asked(module.version) == 0


def put_in_place(scene: Scene, kind: str, data: bytes | None = None) -> None:
    """A backup puts each file of a kind back: another inode and time, and the same bytes unless `data` is given."""
    for path in (scene.ann.node.config.data / "modules").rglob(f"*.{kind}"):
        copy = path.with_suffix(".copy")
        copy.write_bytes(path.read_bytes() if data is None else data)
        copy.replace(path)


@pytest.mark.parametrize("large", [False, True], ids=["small", "large"])
async def test_a_store_that_was_copied_gives_as_before(scene: Scene, *, large: bool) -> None:
    module = scene.world.publish(scene.versions(), text=noise(4 << 20) if large else b"package widget\n")
    await hold(scene, module)
    good = scene.world.zips[module]
    for kind in ("zip", "mod", "info"):
        put_in_place(scene, kind)
    _, data = await body(scene.eve, scene.ann, get_small(module))
    assert unpack_small(data).files.mod == f"module {module.path}\n".encode()
    if large:
        name = ObjectName(module.path, module.version, digest(good), None)
        answer = await scene.eve.ask(scene.ann, Follow(name, 0, scene.eve.record))
        assert isinstance(answer.message, Followed)
        await answer.discard()
        put_in_place(scene, "zip")
    head, data = await body(scene.eve, scene.ann, get(module))
    assert (head, data) == (FileHead(len(good), digest(good)), good)


async def test_of_a_changed_store_nobody_gets_what_is_not_what_it_was(scene: Scene) -> None:
    module = scene.next_version()
    await hold(scene, module)
    put_in_place(scene, "zip", b"PK\3\4 something else")
    put_in_place(scene, "mod", b"module evil.example/other\n")
    assert await refused(scene.eve, scene.ann, get(module)) == NOT_HELD
    assert await body(scene.eve, scene.ann, get_small(module)) == (SmallHead(YOURSELF), b"")
