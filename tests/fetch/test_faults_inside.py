"""Faults inside the node while requests are under way cost these requests at most, never the node or the truth."""

from __future__ import annotations

import threading
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import trio

from p2pmods.errors import StoreError, Tombstoned
from p2pmods.fetch.checksum_sources import Sources
from p2pmods.fetch.storm import Storm
from p2pmods.fetch.writing import Writing
from p2pmods.gomod.module import FileKey, FileKind, ModuleVersion
from p2pmods.store.database import Database
from p2pmods.store.store import Store
from p2pmods.trust.evidence import Source, SourceKind
from p2pmods.trust.files import VerifiedFile, admit, check_mod
from p2pmods.upstream.failure import UpstreamUnavailable
from p2pmods.upstream.origin import parse_origin, redirected
from tests.world import WIDGET, World

if TYPE_CHECKING:
    from pathlib import Path

MOD = FileKey(WIDGET, FileKind.MOD)


def verified_mod(text: bytes) -> VerifiedFile:
    return admit(check_mod(MOD, text), Source(SourceKind.UPSTREAM, "tests", 1.0), [])


async def test_a_request_that_looked_just_before_a_file_arrived_does_not_fetch_it_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.publish()
    async with world.node() as node:
        looked, arrived, written = trio.Event(), trio.Event(), threading.Event()
        store = node.node.store
        look, commit = store.get, store.commit

        async def get(key: FileKey) -> object:
            found = await look(key)
            if not looked.is_set():
                looked.set()
                await arrived.wait()
            return found

        def slow(*arguments: Any) -> object:
            assert written.wait(20)
            return commit(*arguments)

        monkeypatch.setattr(store, "get", get)
        monkeypatch.setattr(store, "commit", slow)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(node.get, MOD)
            await looked.wait()
            assert (await node.get(MOD)).status_code == 200
            arrived.set()
        written.set()
        assert (await node.status())["held"]["files"] == 1
    assert world.asked("v1.0.0.mod") == 1


async def test_the_same_file_may_arrive_twice_and_a_commit_may_fail_in_any_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store.open(tmp_path)
    done: list[str] = []
    text = b"module example.org/acme/widget\n"
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            writing = Writing(store, nursery, Storm(), lambda _: done.append("committed"))
            await writing.put(verified_mod(text), text)
            await writing.put(verified_mod(text), text)
            writing.then(MOD, lambda: done.append("then"))
            await writing.wait_empty()
        assert sorted(done) == ["committed", "committed", "then"]

        def broken(*_: object) -> object:
            raise RuntimeError("a fault of ours")

        monkeypatch.setattr(store, "commit", broken)
        monkeypatch.setattr("p2pmods.fetch.writing.MOST", 2)
        async with trio.open_nursery() as nursery:
            writing = Writing(store, nursery, Storm(), lambda _: done.append("committed"))
            for _ in range(4):  # more than there are places
                await writing.put(verified_mod(text), text)
            await writing.wait_empty()
    assert len(writing) == 0
    store.close()


async def test_a_disk_that_takes_nothing_keeps_no_answer_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.publish()

    def full(*_: object) -> object:
        raise StoreError("the disk is full: free some space")

    async with world.node() as node:
        for place in ("write", "query"):
            monkeypatch.setattr(Database, place, full)
            for what in ("@v/list", "@latest", "@v/v1.0.0.info", "@v/v1.0.0.mod", "@v/v1.0.0.zip"):
                answer = await node.get(f"/{WIDGET.path}/{what}")
                assert answer.status_code == 200, (place, what, answer.text)
        monkeypatch.undo()
        assert (await node.get(MOD)).status_code == 200


async def test_a_module_that_is_removed_while_it_is_taken_from_the_module_cache_is_refused(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.publish()
    cached = tmp_path / "cache" / "cache" / "download" / MOD.url_path
    cached.parent.mkdir(parents=True)
    cached.write_bytes(f"module {WIDGET.path}\n".encode())
    async with world.node(module_cache=str(tmp_path / "cache"), upstream="off") as node:
        store = node.node.store
        look = store.get
        looks = 0

        async def get(key: FileKey) -> object:
            nonlocal looks
            looks += 1
            if looks == 2:
                raise Tombstoned(str(key.module), 0.0)
            return await look(key)

        monkeypatch.setattr(store, "get", get)
        answer = await node.get(MOD)
        assert answer.status_code in (403, 404)
        assert "removed by you" in answer.text
        assert (await node.get(MOD)).status_code == 200


async def test_a_contradiction_that_is_known_before_the_commit_takes_the_file_out_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.publish(recorded=False)
    world.log.add(WIDGET, "h1:" + "A" * 43 + "=", "h1:" + "A" * 43 + "=")
    async with world.node() as node:
        proofs = node.node.proofs
        monkeypatch.setattr(proofs._storm, "is_on", lambda **_: True)  # so the answer waits for no proof …
        monkeypatch.setattr(proofs._storm, "wait", lambda **_: 1.0)  # … and the queue does not look
        written = threading.Event()
        commit = node.node.store.commit

        def slow(*arguments: Any) -> object:
            assert written.wait(20)
            return commit(*arguments)

        monkeypatch.setattr(node.node.store, "commit", slow)
        assert (await node.get(MOD)).status_code == 200
        await proofs.start(WIDGET).wait()
        written.set()
        with trio.fail_after(10):
            while not (status := await node.status())["alarms"]:  # noqa: ASYNC110 - HTTP brings no event
                await trio.sleep(0.02)
        assert status["held"]["files"] == 0
        assert "already given to" in status["alarms"][0]["text"]


async def test_a_session_pins_only_the_bytes_it_was_given(world: World, tmp_path: Path) -> None:
    world.publish()
    cached = tmp_path / "cache" / "cache" / "download" / MOD.url_path
    async with world.node(module_cache=str(tmp_path / "cache"), sumdb="off") as node:
        assert (await node.get(MOD)).status_code == 200
        mod_h1 = verified_mod(f"module {WIDGET.path}\n".encode()).file.h1
        other = check_mod(MOD, b"module example.org/acme/widget // other\n")
        cached.parent.mkdir(parents=True)
        cached.write_bytes(b"module example.org/acme/widget // other\n")
        store = node.node.store
        await node.status()
        held = store.held(MOD)[0]
        store._core.rows.put(
            replace(held, path=cached, sha256=other.sha256, h1=other.h1, in_module_cache=True, evidence=())
        )
        body = {"go_sum": f"{WIDGET.path} {WIDGET.version}/go.mod {mod_h1}\n", "origin": "/home/u/go.sum"}
        session = await node.control("POST", "sessions", body)
        assert (await node.http.get(f"{session['url']}/{MOD.url_path}")).status_code == 200
        kinds = {held.in_module_cache: [item.kind for item in held.evidence] for held in store.held(MOD)}
    assert kinds == {False: ["upstream", "pin"], True: []}


async def test_a_private_path_is_never_named_to_the_database_whoever_asks(world: World) -> None:
    module = world.publish(ModuleVersion("corp.example.com/secret", "v1.0.0"))
    async with world.node(private="corp.example.com") as node:
        answer = await node.get(f"/sumdb/sum.example.org/lookup/{module}")
        assert answer.status_code == 403
        assert "private here" in answer.text
    assert not world.asked("corp.example.com")


def test_a_proof_put_off_before_the_clock_was_set_back_is_due(tmp_path: Path) -> None:
    now = 2_000_000_000.0
    store = Store.open(tmp_path, clock=lambda: now)
    text = b"module example.org/acme/widget\n"
    store.commit(verified_mod(text), text)
    store.postpone_proof(WIDGET, seconds=24 * 3600.0)
    assert store.unproven_due(9) == []
    now -= 10 * 365 * 86400.0
    assert store.unproven_due(9) == [WIDGET]
    store.close()


@pytest.mark.parametrize("location", ["http://[::1/x", f"http://{'a' * 70}.example.org/", "http://a..b/x"])
def test_a_redirect_to_no_host_is_a_failure_of_the_upstream(location: str) -> None:
    origin = parse_origin("http://127.0.0.1:1", "example.org/acme/widget/@v/list", {})
    with pytest.raises(UpstreamUnavailable):
        redirected(origin, location)


async def test_offline_a_version_of_which_only_the_go_mod_is_held_is_no_reason_to_downgrade(
    world: World, tmp_path: Path
) -> None:
    newer = ModuleVersion(WIDGET.path, "v1.5.0")
    world.publish()
    world.publish(newer)
    async with world.node() as node:
        for kind in FileKind:
            await node.file(WIDGET, kind)
        await node.file(newer, "mod")  # as `go list -m all` does: no list was ever asked for
    assert not (tmp_path / "node" / "modules" / WIDGET.path / "@v" / "list").exists()
    async with world.node(offline=True) as node:
        for what in ("@v/list", "@latest"):
            answer = await node.get(f"/{WIDGET.path}/{what}")
            assert answer.status_code == 404
            assert "v1.5.0" in answer.text
        assert (await node.file(WIDGET, "zip")).status_code == 200


async def test_a_fault_while_a_proof_is_fetched_fails_who_waits_for_it_and_not_the_node(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> object:
        raise RuntimeError("a fault of ours")

    world.publish()
    async with world.node() as node:
        with monkeypatch.context() as broken:
            broken.setattr(Sources, "with_upstream", fail)
            lookup = f"/sumdb/{world.log.name}/lookup/{WIDGET}"
            assert (await node.get(lookup)).status_code == 500
        assert (await node.get(lookup)).status_code == 200


async def test_what_follows_a_commit_may_fail(tmp_path: Path) -> None:
    done: list[str] = []

    def fail() -> None:
        raise RuntimeError("a fault of ours")

    with closing(Store.open(tmp_path)) as store:
        async with trio.open_nursery() as nursery:
            writing = Writing(store, nursery, Storm(), lambda _verified: None)
            await writing.put(verified_mod(b"module example.org/acme/widget\n"), b"module example.org/acme/widget\n")
            writing.then(MOD, fail)
            writing.then(MOD, lambda: done.append("after it"))
            await writing.wait_empty()
    assert done == ["after it"]
