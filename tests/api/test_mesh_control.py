"""What the control API and the metrics tell of the mesh, on real nodes that share on loopback."""

from __future__ import annotations

import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import trio

from p2pmods.testing import upstream_faults as faults
from tests.world import WIDGET, Client, World

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

KEYS = [[WIDGET.path, WIDGET.version, kind] for kind in ("info", "mod", "zip")]


@asynccontextmanager
async def room(world: World, **settings: Any) -> AsyncIterator[tuple[Client, Client]]:
    """Ann, who has fetched the widget, and bob, who knows her and has the `settings`."""
    world.publish()
    async with world.node("ann", **world.meshed()) as ann:
        for kind in ("info", "mod", "zip"):
            assert (await ann.file(WIDGET, kind)).status_code == 200
        await ann.wait_proven()
        async with world.node("bob", **world.meshed(ann), **settings) as bob:
            for one in (ann, bob):
                await wait(lambda one=one: one.control("GET", "peers"), lambda r: state_of(r) == "alive")
            yield ann, bob


def state_of(report: Any) -> str:
    return report["peers"][0]["state"] if report["peers"] else "nobody"


async def wait(ask: Any, condition: Any) -> Any:
    """Until the answer is as wanted: HTTP brings no event."""
    with trio.fail_after(20):
        while not condition(answer := await ask()):  # noqa: ASYNC110 - see above
            await trio.sleep(0.02)
    return answer


def metric(text: str, name: str) -> float:
    found = re.search(rf"^p2pmods_{name} (\S+)$", text, re.MULTILINE)
    assert found is not None, name
    return float(found[1])


async def check(node: Client, keys: Any = KEYS) -> Any:
    return await node.control("POST", "check", {"keys": keys, "toolchain": None})


async def test_check_finds_at_a_peer_what_is_not_here(world: World) -> None:
    async with room(world) as (ann, bob):
        report = await wait(lambda: check(bob), lambda report: report["peer"])
        assert [*KEYS[2], [ann.node.node_id]] in report["peer"]
        assert KEYS[0] not in [item[:3] for item in report["peer"]], "the directory knows no .info"
        assert (await check(ann))["here"] == KEYS


async def test_a_node_is_not_its_own_peer_when_it_has_just_removed_something(world: World) -> None:
    async with room(world) as (ann, bob):
        await wait(lambda: check(bob), lambda report: report["peer"])
        await ann.control("POST", "rm", {"modules": [str(WIDGET)]})
        assert ann.node.node_id not in str((await check(ann, KEYS[2:]))["peer"])


async def test_check_asks_nobody_about_a_private_path(world: World) -> None:
    async with room(world, private="example.org/acme") as (_, bob):
        other = world.publish(type(WIDGET)("example.org/other", "v1.0.0"))
        key = [other.path, other.version, "zip"]
        assert (await check(bob, [KEYS[2], key]))["nowhere"] == [KEYS[2], key]


@pytest.mark.parametrize("key", [["example.org/a", "v1.0.0"], ["..", "v1.0.0", "zip"], [1, 2, 3], "x", None, {}])
async def test_what_is_no_file_is_nowhere(world: World, key: object) -> None:
    async with world.node(**world.meshed()) as node:
        assert (await check(node, [key]))["nowhere"] == [key]


async def test_the_metrics_count_links_peers_and_what_went_to_and_fro(world: World) -> None:
    async with room(world) as (ann, bob):
        await wait(lambda: check(bob), lambda report: report["peer"])
        assert (await bob.file(WIDGET, "zip")).headers["P2pmods-Source"] == "peer"
        size = len(world.zips[WIDGET])
        received = (await bob.get("/-/metrics")).text
        assert metric(received, "received_bytes_total") >= size
        assert metric(received, r'claims_total{outcome="holder"}') == 1
        assert metric(received, "mesh_links") == 1
        assert metric(received, "mesh_peers") == 1
        assert metric(received, "mesh_on") == 1
        assert metric(received, "mesh_director") == 1
        given = (await ann.get("/-/metrics")).text
        assert metric(given, "given_bytes_total") >= size
        assert metric(given, "mesh_offered_files") == 2


async def test_without_a_mesh_the_metrics_say_so(world: World) -> None:
    async with world.node() as node:
        text = (await node.get("/-/metrics")).text
        assert metric(text, "mesh_on") == 0
        assert metric(text, "mesh_links") == 0
        assert "claims_total{" not in text
        status = await node.status()
        assert (status["peer"], status["peers"], status["mesh"]["problem"]) == (None, [], "switched off")


@pytest.mark.parametrize("paused", [None, 1, "yes", [True]])
async def test_pause_is_true_or_false_and_nothing_else(world: World, paused: object) -> None:
    async with world.node(**world.meshed()) as node:
        answer = await node.http.post(
            "/-/api/v1/pause", json={"paused": paused}, headers={"Authorization": f"Bearer {node.secret}"}
        )
        assert answer.status_code == 400
        assert (await node.status())["mesh"]["state"] == "on"


async def test_a_paused_node_gives_nothing_to_who_knows_that_it_holds_it(world: World) -> None:
    async with room(world) as (ann, bob):
        await wait(lambda: check(bob), lambda report: report["peer"])
        await ann.control("POST", "pause", {"paused": True})
        assert (await bob.file(WIDGET, "zip")).headers["P2pmods-Source"] == "upstream"
        assert (await ann.status())["given"]["bytes"] == 0
        assert (await ann.control("GET", "offered"))["files"] == []


async def test_a_failure_says_that_peers_were_not_asked_about_a_private_path(world: World) -> None:
    async with room(world, private="example.org/acme", no_proxy="", no_sumdb="") as (_, bob):
        world.upstream.fault("/example.org/", faults.status(500))
        answer = await bob.file(WIDGET, "zip")
        assert answer.status_code >= 400
        assert "peers: not asked: a private pattern matches" in answer.text


async def test_a_failure_says_who_was_there_to_ask(world: World) -> None:
    async with room(world) as (ann, bob):
        other = type(WIDGET)("example.org/nowhere", "v1.0.0")
        answer = await bob.file(other, "zip")
        assert answer.status_code == 404
        assert f"peers: 1 known ({ann.node.node_id[:8]}), and none is said to hold it" in answer.text
