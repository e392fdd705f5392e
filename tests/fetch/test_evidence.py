"""What may be served and why: proofs, contradictions early and late, pins, toolchains."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import trio

from p2pmods.gomod.h1 import hash_go_mod
from p2pmods.gomod.module import FileKey, FileKind, ModuleVersion
from p2pmods.testing import upstream_faults as faults
from p2pmods.testing.modzips import make_module_zip
from p2pmods.testing.upstream import FakeUpstream
from tests.world import WIDGET, Client, World, zip_h1

if TYPE_CHECKING:
    from pathlib import Path

EVIL = make_module_zip(WIDGET, {"go.mod": b"module example.org/acme/widget\n", "widget.go": b"package evil\n"})
TOOLCHAIN = ModuleVersion("golang.org/toolchain", "v0.0.1-go1.99.1.linux-amd64")


async def sources(node: Client) -> dict[str, list[str]]:
    """For each file of WIDGET, the kinds of evidence that `why` names."""
    why = await node.why(WIDGET)
    return {file["name"]: [item["kind"] for item in file["evidence"]] for file in why["files"]}


async def test_everything_public_that_is_held_gets_its_proof_though_nobody_asks(world: World) -> None:
    world.publish()
    async with world.node() as node:
        await node.file(WIDGET, "mod")
        await node.file(WIDGET, "zip")
        await node.wait_proven()
        assert await sources(node) == {"mod": ["sumdb", "upstream"], "zip": ["sumdb", "upstream"]}


async def test_a_missing_proof_does_not_stop_the_build_and_is_fetched_after_a_restart(world: World) -> None:
    world.publish()
    world.upstream.fault("/sumdb/", faults.status(500))
    async with world.node() as node:
        assert (await node.file(WIDGET, "mod")).status_code == 200
        assert (await node.status())["held"]["unproven"] == 1
        assert await sources(node) == {"mod": ["upstream"]}
    world.upstream.behave()
    async with world.node() as node:
        await forget_postponement(node)
        await node.wait_proven()


async def forget_postponement(node: Client) -> None:
    """As if the pause after a failed proof were over."""
    await trio.to_thread.run_sync(lambda: node.node.store.postpone_proof(WIDGET, seconds=-1))
    node.node.proofs.wake()


async def test_proofs_can_be_waited_for_when_the_queue_would_try_again_much_later(world: World) -> None:
    world.publish()
    newer = world.publish(ModuleVersion(WIDGET.path, "v1.1.0"))
    world.upstream.fault("/lookup/", faults.status(404))
    async with world.node(private="private.example") as node:
        for module in (WIDGET, newer):
            for kind in FileKind:
                assert (await node.file(module, kind)).status_code == 200
        names = [str(WIDGET), str(newer), "private.example/x@v1.0.0", "example.org/not/held@v1.0.0"]
        assert await node.control("POST", "prove", {"modules": names}) == {"unproven": 4}
        world.upstream.behave()
        assert await node.control("POST", "prove", {"modules": names[1:]}) == {"unproven": 0}
        assert (await node.status())["held"]["unproven"] == 2
        assert await node.control("POST", "prove", {"modules": names}) == {"unproven": 0}
        assert (await node.status())["held"]["unproven"] == 0
        assert all(file["proven"] for file in (await node.why(WIDGET))["files"] if file["name"] != "info")


async def test_bytes_that_the_database_contradicts_never_reach_go(world: World, tmp_path: Path) -> None:
    world.publish()
    world.upstream.files[f"/{FileKey(WIDGET, FileKind.ZIP).url_path}"] = EVIL
    async with world.node() as node:
        answer = await node.file(WIDGET, "zip")
        assert answer.status_code == 403
        assert "checksum database" in answer.text
        alarms = (await node.status())["alarms"]
        assert len(alarms) == 1
        why = await node.why(WIDGET)
        assert why["refused"]
        assert why["alarms"] == (await node.status())["alarms"]
        longer = ModuleVersion(f"my.{WIDGET.path}", WIDGET.version)  # whose name ends in that of another module
        node.node.store.raise_alarm(f"hash:{longer}.zip:h1:x", "bytes of another module")
        assert (await node.why(WIDGET))["alarms"] == why["alarms"]
    kept = tmp_path / "node" / "evidence" / alarms[0]["evidence"]
    assert (kept / "refused.zip").read_bytes() == EVIL
    assert json.loads((kept / "evidence.json").read_text())["by"]["kind"] == "sumdb"
    assert not list((tmp_path / "node" / "modules").rglob("*.zip"))


async def test_the_module_heals_when_the_upstream_gives_the_right_bytes_again(world: World) -> None:
    world.publish()
    path = f"/{FileKey(WIDGET, FileKind.ZIP).url_path}"
    good, world.upstream.files[path] = world.upstream.files[path], EVIL
    async with world.node() as node:
        assert (await node.file(WIDGET, "zip")).status_code == 403
        world.upstream.files[path] = good
        assert (await node.file(WIDGET, "zip")).content == good


async def test_a_contradiction_that_comes_late_takes_the_bytes_away_and_names_who_got_them(world: World) -> None:
    world.publish()
    world.upstream.files[f"/{FileKey(WIDGET, FileKind.ZIP).url_path}"] = EVIL
    world.upstream.fault("/sumdb/", faults.status(500))
    async with world.node() as node:
        assert (await node.file(WIDGET, "zip")).content == EVIL  # go checks for itself
        world.upstream.behave()
        await forget_postponement(node)
        with trio.fail_after(20):
            while not (alarms := (await node.status())["alarms"]):  # noqa: ASYNC110 - HTTP brings no event
                await trio.sleep(0.02)
        assert "127.0.0.1" in alarms[0]["text"]
        assert (await node.file(WIDGET, "zip")).status_code == 403


async def test_a_forged_mod_is_refused_too(world: World) -> None:
    world.publish()
    world.upstream.files[f"/{FileKey(WIDGET, FileKind.MOD).url_path}"] = b"module example.org/acme/widget\n\ngo 1.1\n"
    async with world.node() as node:
        assert (await node.file(WIDGET, "mod")).status_code == 403


@pytest.mark.parametrize("setting", ["private", "no_sumdb"])
async def test_private_paths_are_never_named_to_the_database(world: World, setting: str) -> None:
    world.publish(recorded=False)
    async with world.node(**{setting: "example.org/acme", "no_proxy": "none"}) as node:
        assert (await node.file(WIDGET, "zip")).status_code == 200
        assert (await node.status())["held"]["unproven"] == 0
    assert world.asked("lookup/example.org") == 0


async def test_a_path_for_version_control_alone_is_never_named_to_a_proxy(world: World) -> None:
    world.publish()
    async with world.node(no_proxy="example.org") as node:
        assert (await node.file(WIDGET, "zip")).status_code == 404
        await node.get("/example.org/acme/widget/@v/list")
        await node.get("/example.org/acme/widget/@latest")
    assert world.asked("/@v/") + world.asked("/@latest") == 0


async def test_a_toolchain_is_served_with_its_proof_only(world: World) -> None:
    data = make_module_zip(TOOLCHAIN, {"bin/go": b"#!/bin/sh\n"})
    world.upstream.add(TOOLCHAIN, data)
    async with world.node() as node:
        answer = await node.file(TOOLCHAIN, "zip")
        assert answer.status_code == 404
        assert "proof" in answer.text
        world.log.add(TOOLCHAIN, zip_h1(TOOLCHAIN, data), hash_go_mod(b"module golang.org/toolchain\n"))
        assert (await node.file(TOOLCHAIN, "zip")).content == data


async def test_a_toolchain_is_not_served_when_the_database_is_off(world: World) -> None:
    world.upstream.add(TOOLCHAIN, make_module_zip(TOOLCHAIN, {"bin/go": b"#!/bin/sh\n"}))
    async with world.node(sumdb="off") as node:
        assert (await node.file(TOOLCHAIN, "zip")).status_code == 404


async def test_a_zip_that_python_and_go_could_read_differently_goes_nowhere(world: World) -> None:
    world.publish()
    world.upstream.files[f"/{FileKey(WIDGET, FileKind.ZIP).url_path}"] = world.zips[WIDGET] + b"\0"
    async with world.node(sumdb="off") as node:
        answer = await node.file(WIDGET, "zip")
        assert answer.status_code == 404
        assert "zip refused" in answer.text


async def test_a_go_sum_beside_the_command_is_a_veto_for_that_command_alone(world: World) -> None:
    world.publish()
    other = zip_h1(WIDGET, EVIL)
    async with world.node() as node:
        session = await node.control(
            "POST", "sessions", {"go_sum": f"{WIDGET.path} {WIDGET.version} {other}\n", "origin": "/src/go.sum"}
        )
        path = f"/{FileKey(WIDGET, FileKind.ZIP).url_path}"
        refused = await node.get(f"/{session['token']}{path}")
        assert refused.status_code == 403
        assert "/src/go.sum" in refused.text
        assert (await node.get(path)).status_code == 200


async def test_a_matching_go_sum_is_evidence_for_what_the_database_does_not_know(world: World) -> None:
    world.publish(recorded=False)
    pinned = f"{WIDGET.path} {WIDGET.version} {zip_h1(WIDGET, world.zips[WIDGET])}\n"
    async with world.node() as node:
        session = await node.control("POST", "sessions", {"go_sum": pinned, "origin": "/src/go.sum"})
        path = f"/{session['token']}/{FileKey(WIDGET, FileKind.ZIP).url_path}"
        assert (await node.get(path)).status_code == 200
        report = await node.control("DELETE", f"sessions/{session['token']}")
        assert report["unproven"] == 0
        assert "pin" in (await sources(node))["zip"]


async def test_a_forked_database_is_frozen_and_raises_the_alarm(world: World, tmp_path: Path) -> None:
    world.publish()
    world.log.grow(300)
    async with world.node() as node:
        await node.file(WIDGET, "mod")
        await node.wait_proven()
        fork = world.log.fork(0)
        fork.grow(600)
        newer = ModuleVersion(WIDGET.path, "v1.1.0")
        world.publish(newer, recorded=False)
        fork.add(newer, zip_h1(newer, world.zips[newer]), hash_go_mod(b"module example.org/acme/widget\n"))
        world.upstream._sumdb = fork.answer
        await node.file(newer, "mod")
        with trio.fail_after(20):
            while not (await node.status())["alarms"]:  # noqa: ASYNC110 - HTTP brings no event
                await trio.sleep(0.02)
        assert (await node.status())["sumdb"]["state"] == "frozen"
    assert list((tmp_path / "node" / "evidence").iterdir())


async def test_wrong_bytes_from_one_upstream_are_asked_of_the_next_after_a_bar(world: World, tmp_path: Path) -> None:
    world.publish()
    bad = FakeUpstream()
    bad.add(WIDGET, EVIL)
    async with bad.running(), world.node(upstream=f"{bad.url}|{world.upstream.url}") as node:
        answer = await node.file(WIDGET, "zip")
        assert answer.content == world.zips[WIDGET]
        assert len((await node.status())["alarms"]) == 1
    (kept,) = (tmp_path / "node" / "evidence").glob("*/refused.zip")
    assert kept.read_bytes() == EVIL
