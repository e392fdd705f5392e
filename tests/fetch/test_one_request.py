"""The one way that a request takes, told with a real node over real sockets."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest
import trio

from p2pmods.errors import Unavailable
from p2pmods.fetch.outcome import FetchFailed, Verdict
from p2pmods.gomod.module import FileKey, FileKind, ModuleVersion
from p2pmods.testing import upstream_faults as faults
from tests.world import WIDGET, World

if TYPE_CHECKING:
    from pathlib import Path


async def test_the_first_request_comes_from_upstream_and_the_second_from_the_store(world: World) -> None:
    world.publish()
    async with world.node() as node:
        for kind in FileKind:
            first = await node.file(WIDGET, kind)
            again = await node.file(WIDGET, kind)
            assert (first.status_code, first.headers["P2pmods-Source"]) == (200, "upstream")
            assert (again.status_code, again.headers["P2pmods-Source"]) == (200, "store")
            assert first.content == again.content
            assert again.headers["ETag"] == f'"{hashlib.sha256(again.content).hexdigest()}"'
        assert (await node.file(WIDGET, "zip")).content == world.zips[WIDGET]
    assert world.asked("v1.0.0.zip") == 1


async def test_a_mod_request_downloads_no_zip(world: World) -> None:
    world.publish()
    async with world.node() as node:
        await node.file(WIDGET, "mod")
        await node.file(WIDGET, "info")
        await node.wait_proven()
    assert world.asked(".zip") == 0


async def test_64_clients_that_want_the_same_zip_cause_one_upstream_request(world: World) -> None:
    world.publish()
    async with world.node() as node:
        answers: list[bytes] = []

        async def one() -> None:
            answers.append((await node.file(WIDGET, "zip")).content)

        async with trio.open_nursery() as nursery:
            for _ in range(64):
                nursery.start_soon(one)
        assert answers == [world.zips[WIDGET]] * 64
    assert world.asked("v1.0.0.zip") == 1


async def test_a_client_that_hangs_up_does_not_stop_the_fetch(world: World) -> None:
    world.publish()
    released = trio.Event()
    asked = trio.Event()

    async def slow(exchange: faults.Exchange) -> None:
        asked.set()
        await released.wait()
        await faults.send(exchange)

    world.upstream.fault(".zip", slow)
    async with world.node() as node, trio.open_nursery() as nursery:
        nursery.start_soon(node.file, WIDGET, "zip")
        await asked.wait()
        nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            released.set()
            assert (await node.file(WIDGET, "zip")).content == world.zips[WIDGET]
    assert world.asked("v1.0.0.zip") == 1


async def test_what_was_fetched_is_served_when_the_upstream_is_gone(world: World) -> None:
    world.publish()
    async with world.node() as node:
        for kind in FileKind:
            await node.file(WIDGET, kind)
    world.upstream.fault("", faults.reset())
    async with world.node(offline=True) as node:
        for kind in FileKind:
            assert (await node.file(WIDGET, kind)).status_code == 200
        assert (await node.get("/example.org/acme/widget/@v/list")).text == "v1.0.0\n"
        assert (await node.get("/example.org/acme/widget/@latest")).json()["Version"] == "v1.0.0"


async def test_not_found_is_404_and_remembered(world: World) -> None:
    absent = FileKey(ModuleVersion("example.org/no/such", "v1.0.0"), FileKind.MOD)
    async with world.node() as node:
        for _ in range(3):
            answer = await node.get(absent)
            assert answer.status_code == 404
            assert "example.org/no/such" in answer.text
    assert world.asked("no/such/@v/v1.0.0.mod") == 1


async def test_upstreams_403_stops_the_client_too(world: World) -> None:
    world.upstream.fault("acme", faults.status(403, "not for you"))
    async with world.node() as node:
        answer = await node.file(WIDGET, "mod")
    assert answer.status_code == 403
    assert "not for you" in answer.text


async def test_cannot_answer_now_is_404_so_that_the_next_proxy_can_help_and_503_when_none_follows(
    world: World,
) -> None:
    world.upstream.fault("acme", faults.status(500))
    async with world.node() as node:
        assert (await node.file(WIDGET, "mod")).status_code == 404
        session = await node.control("POST", "sessions", {})
        answer = await node.get(f"/{session['token']}/{FileKey(WIDGET, FileKind.MOD).url_path}")
        assert answer.status_code == 503
        report = await node.control("DELETE", f"sessions/{session['token']}")
    assert report["missing"][0]["name"] == "example.org/acme/widget@v1.0.0.mod"
    assert any("500" in reason for _, reason in report["missing"][0]["tried"])


async def test_an_error_text_fits_what_go_prints(world: World) -> None:
    world.upstream.fault("acme", faults.status(404, "first line\n\nsecond " + "x" * 4000))
    async with world.node() as node:
        text = (await node.file(WIDGET, "mod")).text
    assert len(text.encode()) <= 648
    assert len(text.splitlines()) <= 8
    assert "\n\n" not in text


@pytest.mark.parametrize(
    "path",
    [
        f"/example.org/{'x' * 5000}/@v/list",
        f"/example.org/{'x' * 200}/@v/v1.0.0-{'y' * 200}.mod",
        "/sumdb/sum.example.org/" + "%e2%82%ac" * 800,
        "/sumdb/sum.example.org/two%c2%85lines",
    ],
)
async def test_so_does_one_that_names_an_endless_path(world: World, path: str) -> None:
    async with world.node() as node:
        text = (await node.get(path)).text
    assert text.startswith("p2pmods: ")
    assert ": not found\n" in text
    assert len(text.encode()) <= 648
    assert len(text.splitlines()) <= 4


def test_however_many_were_asked_and_whatever_they_said_go_can_print_it() -> None:
    tried = [Unavailable(f"https://proxy{n}.example", "y" * 500) for n in range(9)]
    text = FetchFailed("x" * 900, Verdict.UNAVAILABLE, tried, "z" * 900).text()
    assert len(text) <= 648
    assert len(text.splitlines()) <= 8
    assert "proxy0.example" in text


@pytest.mark.parametrize("ask", ["header", "prefix"])
async def test_a_request_for_what_is_held_goes_nowhere_else(world: World, ask: str) -> None:
    world.publish()
    path = f"/{FileKey(WIDGET, FileKind.MOD).url_path}"

    async with world.node() as node:

        async def get() -> int:
            if ask == "header":
                return (await node.get(path, **{"Disable-Module-Fetch": "true"})).status_code
            return (await node.get(f"/cached-only{path}")).status_code

        assert await get() == 404
        assert world.asked("widget") == 0
        await node.get(path)
        assert await get() == 200


async def test_so_does_one_for_the_checksum_database(world: World) -> None:
    world.publish()
    world.log.grow(300)
    endpoints = ["supported", "latest", f"lookup/{WIDGET}", "tile/8/0/001.p/45", "tile/8/0/000"]
    data_tile = "tile/8/data/000"

    async with world.node() as node:

        async def statuses(prefix: str, *endpoints: str) -> list[int]:
            return [(await node.get(f"{prefix}/sumdb/{world.log.name}/{one}")).status_code for one in endpoints]

        assert await statuses("/cached-only", *endpoints, data_tile) == [404] * 6
        assert world.upstream.requests == []
        assert await statuses("", *endpoints, data_tile) == [200] * 6
        asked = len(world.upstream.requests)
        absent = (data_tile, "tile/8/0/nonsense", "tile/8/0/" + "x999/" * 6 + "999")
        assert await statuses("/cached-only", *endpoints, *absent) == [200] * 5 + [404] * 3
        answer = await node.get(f"/cached-only/sumdb/{world.log.name}/{data_tile}")
        assert "temporarily unavailable" in answer.text
        assert len(world.upstream.requests) == asked


async def test_an_info_is_synthesised_when_only_it_is_missing_and_never_kept(world: World) -> None:
    world.publish()
    world.upstream.fault("v1.0.0.info", faults.status(404))
    async with world.node() as node:
        assert (await node.file(WIDGET, "info")).status_code == 404
    async with world.node("other") as node:
        await node.file(WIDGET, "mod")
        answer = await node.file(WIDGET, "info")
        assert answer.json() == {"Version": "v1.0.0"}
        why = await node.why(WIDGET)
        assert [file["name"] for file in why["files"]] == ["mod"]


async def test_a_query_that_is_no_version_is_resolved_by_the_upstream_and_not_kept(world: World) -> None:
    world.publish()
    world.upstream.files["/example.org/acme/widget/@v/main.info"] = b'{"Version":"v1.0.0"}'
    async with world.node() as node:
        answer = await node.get("/example.org/acme/widget/@v/main.info")
        assert answer.json() == {"Version": "v1.0.0"}
        held = await node.status()
        assert held["held"]["files"] == 0


@pytest.mark.parametrize(
    "path",
    [
        "/example.org/../etc/passwd",
        "/example.org/acme/widget/@v/..%2f..%2fsecret.zip",
        "/example.org/acme/widget/@v/v1.0.0.exe",
        "/example.org/Acme/widget/@v/v1.0.0.mod",
        "/example.org/acme/widget/@v/v1.0.0%00.mod",
        "/example.org/acme/widget/@v/%252e%252e.mod",
        "/example.org/acme/widget/@v/!!a.mod",
        "/nodots/@v/list",
        "/sumdb/127.0.0.1:22/latest",
        "/sumdb/sum.example.com/lookup/a.b@v1.0.0",
        "/",
        "//",
    ],
)
async def test_hostile_paths_reach_nobody(world: World, path: str) -> None:
    async with world.node() as node:
        answer = await node.get(path)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (404, "public, max-age=60")
    assert world.upstream.requests == []


async def test_the_node_does_not_ask_upstream_what_a_login_page_says(world: World, tmp_path: Path) -> None:
    world.publish()
    world.upstream.fault("widget", faults.login_page())
    async with world.node() as node:
        for kind in FileKind:
            assert (await node.file(WIDGET, kind)).status_code == 404
        assert (await node.get("/example.org/acme/widget/@v/list")).status_code == 404
        world.upstream.behave()
    assert not list((tmp_path / "node" / "modules").rglob("*.zip"))
