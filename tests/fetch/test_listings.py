"""Lists, `@latest` and queries: authoritative online, never a silent downgrade offline."""

from __future__ import annotations

import threading

import pytest
import trio

from p2pmods.fetch import listings
from p2pmods.gomod.listing import Listed, parse_list
from p2pmods.gomod.module import FileKind, ModuleVersion
from p2pmods.testing import upstream_faults as faults
from tests.world import WIDGET, Client, World

LIST = "/example.org/acme/widget/@v/list"
LATEST = "/example.org/acme/widget/@latest"
NEWER = ModuleVersion(WIDGET.path, "v1.1.0")


async def hold(node: Client, *modules: ModuleVersion) -> None:
    for module in modules:
        for kind in FileKind:
            assert (await node.file(module, kind)).status_code == 200


async def test_a_list_is_asked_again_only_after_a_minute(world: World) -> None:
    world.publish()
    async with world.node() as node:
        first = await node.get(LIST)
        again = await node.get(LIST)
    assert (first.text, first.headers["P2pmods-Source"]) == ("v1.0.0\n", "upstream")
    assert (again.text, again.headers["P2pmods-Source"]) == ("v1.0.0\n", "store")
    assert world.asked("/@v/list") == 1


async def test_a_list_drops_what_go_would_refuse(world: World) -> None:
    world.publish()
    world.upstream.files[LIST] = b"v1.0.0\nv2.0.0\nnonsense\nv1.1.0-rc.1 2024-01-01T00:00:00Z\n"
    async with world.node() as node:
        assert (await node.get(LIST)).text == "v1.0.0\nv1.1.0-rc.1 2024-01-01T00:00:00Z\n"


async def test_while_a_long_list_is_read_others_are_answered(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.publish()
    world.upstream.files[LIST] = "".join(f"v1.0.{i}\n" for i in range(listings.SHORT)).encode()
    begun, others_were_answered = threading.Event(), threading.Event()

    def parse_patiently(data: bytes, path: str) -> list[Listed]:
        begun.set()
        assert others_were_answered.wait(5)
        return parse_list(data, path)

    async def ask_for_the_list() -> None:
        assert (await node.get(LIST)).status_code == 200

    async with world.node() as node, trio.open_nursery() as nursery:
        await hold(node, WIDGET)
        monkeypatch.setattr(listings, "parse_list", parse_patiently)
        nursery.start_soon(ask_for_the_list)
        await trio.to_thread.run_sync(begun.wait)
        assert (await node.file(WIDGET, "zip")).status_code == 200
        others_were_answered.set()


async def test_an_empty_list_is_an_answer(world: World) -> None:
    world.upstream.files[LIST] = b""
    async with world.node() as node:
        answer = await node.get(LIST)
    assert (answer.status_code, answer.text) == (200, "")


async def test_offline_a_list_names_what_can_be_delivered(world: World) -> None:
    world.publish()
    world.publish(NEWER)
    async with world.node() as node:
        await hold(node, WIDGET, NEWER)
        await node.file(ModuleVersion(WIDGET.path, "v1.1.0"), "mod")
    async with world.node(offline=True) as node:
        assert (await node.get(LIST)).text == "v1.0.0\nv1.1.0\n"
        assert (await node.get(LATEST)).json()["Version"] == "v1.1.0"


@pytest.mark.parametrize("path", [LIST, LATEST])
async def test_offline_a_newest_version_that_is_not_held_is_an_error_that_names_what_is(
    world: World, path: str
) -> None:
    world.publish()
    world.publish(NEWER)
    async with world.node() as node:
        await hold(node, WIDGET)
        for heard_just_now in (LIST, LATEST):
            assert "v1.1.0" in (await node.get(heard_just_now)).text
        await node.file(NEWER, "mod")
    async with world.node(offline=True) as node:
        answer = await node.get(path)
        assert answer.status_code == 404
        assert "v1.1.0" in answer.text
        assert "v1.0.0" in answer.text
        session = await node.control("POST", "sessions", {})
        assert (await node.get(f"/{session['token']}{path}")).status_code == 503
        assert (await node.file(WIDGET, "zip")).status_code == 200


async def test_while_the_upstream_is_only_in_trouble_its_last_answer_stands_in(world: World) -> None:
    world.publish()
    async with world.node() as node:
        await node.get(LIST)
        known = node.node.store.recall(WIDGET.path, "list")
        assert known is not None
        world.upstream.fault("/@v/list", faults.status(500))
        age(node, "list")
        assert (await node.get(LIST)).text == "v1.0.0\n"


def age(node: Client, query: str) -> None:
    """Make the remembered answer two minutes older."""
    known = node.node.store.recall(WIDGET.path, query)
    assert known is not None
    old = type(known.source)(known.source.kind, known.source.id, known.source.at - 120)
    node.node.store.remember(WIDGET.path, query, type(known)(known.body, old))


async def test_a_deleted_repository_still_lists_what_is_held(world: World) -> None:
    world.publish()
    async with world.node() as node:
        await hold(node, WIDGET)
        world.upstream.remove(WIDGET)
        for path in (LIST, LATEST):
            world.upstream.files.pop(path, None)
        answer = await node.get(LIST)
        assert (answer.status_code, answer.text) == (200, "v1.0.0\n")


async def test_a_branch_offline_is_what_it_last_was_if_that_is_held(world: World) -> None:
    world.publish()
    branch = "/example.org/acme/widget/@v/main.info"
    world.upstream.files[branch] = b'{"Version":"v1.0.0"}'
    async with world.node() as node:
        await node.get(branch)
        world.upstream.fault("", faults.status(404))
        age(node, "main")
        refused = await node.get(branch)
        assert refused.status_code == 404
        world.upstream.behave()
        await hold(node, WIDGET)
        world.upstream.fault("", faults.status(404))
        assert (await node.get(branch)).json() == {"Version": "v1.0.0"}


@pytest.mark.parametrize("branch", ["list", "@latest"])
async def test_a_branch_may_be_called_as_what_go_asks_for(world: World, branch: str) -> None:
    world.publish()
    world.publish(NEWER)
    query = f"/{WIDGET.path}/@v/{branch}.info"
    world.upstream.files[query] = world.upstream.files[f"/{WIDGET.path}/@v/v1.0.0.info"]
    async with world.node() as node:
        await hold(node, WIDGET, NEWER)
        for _ in range(2):
            assert (await node.get(query)).json()["Version"] == "v1.0.0"
            assert (await node.get(LIST)).text == "v1.0.0\nv1.1.0\n"
            assert (await node.get(LATEST)).json()["Version"] == "v1.1.0"
    async with world.node(offline=True) as node:
        assert (await node.get(LIST)).text == "v1.0.0\nv1.1.0\n"
        assert (await node.get(LATEST)).json()["Version"] == "v1.1.0"
        assert (await node.get(query)).json()["Version"] == "v1.0.0"
        never = await node.get(query.replace("widget", "other"))
        assert never.text.startswith(f"p2pmods: example.org/acme/other@{branch.removeprefix('@')}: ")


async def test_an_unknown_module_is_404_quickly_and_once(world: World) -> None:
    async with world.node() as node:
        for _ in range(3):
            assert (await node.get("/example.org/no/such/@v/list")).status_code == 404
    assert world.asked("no/such") == 1


async def test_a_list_that_is_a_web_page_is_no_list(world: World) -> None:
    world.publish()
    world.upstream.fault("/@v/list", faults.body(b"<html><body>Please log in</body></html>", "text/plain"))
    async with world.node() as node:
        assert (await node.get(LIST)).status_code == 404
