"""Who may ask the node, for what, and what it answers to everybody else."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from p2pmods.api.app import MAX_STRANGERS_BODY
from p2pmods.config.setup_record import SetupRecord, write_setup_record
from p2pmods.errors import StoreError
from p2pmods.fetch import duties
from p2pmods.gomod.module import FileKey, FileKind, ModuleVersion
from p2pmods.store.store import Store
from p2pmods.testing import upstream_faults as faults
from tests.world import WIDGET, World

if TYPE_CHECKING:
    from p2pmods.store.committing import Content
    from p2pmods.store.stored import StoredFile
    from p2pmods.trust.files import VerifiedFile

OTHER = ModuleVersion("example.org/other", "v1.0.0")
MOD = f"/{FileKey(WIDGET, FileKind.MOD).url_path}"


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "127.0.0.1:1", ""])
async def test_a_page_whose_name_was_made_to_mean_this_machine_gets_nothing(world: World, host: str) -> None:
    world.publish()
    async with world.node() as node:
        assert (await node.get(MOD)).status_code == 200
        for path in (MOD, MOD, "/-/healthz", "/-/api/v1/status"):
            answer = await node.get(path, Host=host)
            assert answer.status_code in (400, 421)
            assert "module " not in answer.text


async def test_the_control_api_needs_its_token(world: World) -> None:
    async with world.node() as node:
        for method, name in (("GET", "status"), ("POST", "sessions"), ("POST", "rm"), ("GET", "nothing")):
            for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {node.secret}"}):
                answer = await node.http.request(method, f"/-/api/v1/{name}", headers=headers)
                assert answer.status_code == 401


async def test_of_who_has_not_its_token_the_control_api_takes_no_large_body(world: World) -> None:
    async with world.node() as node:
        for token, status in ((node.secret, 400), ("wrong", 413)):
            headers = {"Authorization": f"Bearer {token}"}
            large = b"x" * (MAX_STRANGERS_BODY + 1)
            answer = await node.http.post("/-/api/v1/verify", content=large, headers=headers)
            assert answer.status_code == status


@pytest.mark.parametrize(
    "headers", [{"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}]
)
async def test_a_page_of_another_origin_changes_nothing_even_with_the_token(
    world: World, headers: dict[str, str]
) -> None:
    async with world.node() as node:
        answer = await node.http.post(
            "/-/api/v1/sessions", json={}, headers={"Authorization": f"Bearer {node.secret}", **headers}
        )
    assert answer.status_code == 403


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_the_module_api_only_reads(world: World, method: str) -> None:
    async with world.node() as node:
        answer = await node.http.request(method, MOD)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD")


async def test_head_and_range_on_what_is_not_here_yet_fetch_it_first(world: World) -> None:
    world.publish()
    path = f"/{FileKey(WIDGET, FileKind.ZIP).url_path}"
    async with world.node() as node:
        head = await node.http.head(path)
        assert (head.status_code, head.headers["P2pmods-Source"]) == (200, "upstream")
        assert int(head.headers["Content-Length"]) == len(world.zips[WIDGET])
        part = await node.get(path, Range="bytes=2-5")
        assert (part.status_code, part.content) == (206, world.zips[WIDGET][2:6])


async def test_a_proof_that_a_command_could_not_have_is_missing(world: World) -> None:
    world.publish(recorded=False)
    async with world.node() as node:
        mine = await node.control("POST", "sessions", {})
        answer = await node.get(f"/{mine['token']}/sumdb/{world.log.name}/lookup/{WIDGET}")
        assert answer.status_code == 404
        await node.get(f"/{mine['token']}/sumdb/{world.log.name}/tile/8/0/999")
        missing = (await node.control("GET", f"sessions/{mine['token']}"))["missing"]
    assert [one["name"] for one in missing] == [f"sumdb lookup/{WIDGET}"]


async def test_a_checksum_database_that_a_command_could_not_ask_is_missing_under_its_name(world: World) -> None:
    async with world.node(offline=True) as node:
        mine = await node.control("POST", "sessions", {})
        answer = await node.get(f"/{mine['token']}/sumdb/{world.log.name}/supported")
        missing = (await node.control("GET", f"sessions/{mine['token']}"))["missing"]
    assert (answer.status_code, answer.text.splitlines()[0]) == (
        503,
        f"p2pmods: sumdb {world.log.name}: temporarily unavailable",
    )
    assert [one["name"] for one in missing] == [f"sumdb {world.log.name}"]


async def test_what_a_command_got_is_counted_for_that_command_alone(world: World) -> None:
    world.publish()
    async with world.node() as node:
        mine = await node.control("POST", "sessions", {})
        other = await node.control("POST", "sessions", {})
        for kind in FileKind:
            for _ in range(2):
                path = FileKey(WIDGET, kind).url_path
                assert (await node.get(f"/{mine['token']}/{path}")).status_code == 200
        report = await node.control("GET", f"sessions/{mine['token']}")
        assert report["modules"] == 1
        assert report["requests"] == 6
        assert report["sources"] == {"upstream": {"modules": 1, "files": 3, "bytes": report["bytes"]}}
        assert (await node.control("DELETE", f"sessions/{other['token']}"))["requests"] == 0
        assert (await node.get(f"/{other['token']}{MOD}")).status_code == 404


async def test_a_file_whose_proof_came_after_it_was_served_is_proven_when_the_command_ends(world: World) -> None:
    world.publish()
    world.publish(OTHER, recorded=False)
    world.upstream.fault("/lookup/", faults.status(404))
    async with world.node() as node:
        mine = await node.control("POST", "sessions", {})
        for module in (WIDGET, OTHER):
            for kind in FileKind:
                assert (await node.get(f"/{mine['token']}/{FileKey(module, kind).url_path}")).status_code == 200
        assert (await node.control("GET", f"sessions/{mine['token']}"))["unproven"] == 4
        world.upstream.behave()
        assert (await node.control("DELETE", f"sessions/{mine['token']}"))["unproven"] == 2


async def test_a_command_ends_though_the_checksum_database_does_not_answer(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duties, "LATE_TIME", 0.01)
    world.publish()
    world.upstream.fault("/lookup/", faults.hang())
    async with world.node() as node:
        mine = await node.control("POST", "sessions", {})
        assert (await node.get(f"/{mine['token']}{MOD}")).status_code == 200
        assert (await node.control("DELETE", f"sessions/{mine['token']}"))["unproven"] == 1


async def test_a_command_that_ends_before_its_file_is_written_is_told_of_the_proof_too(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.publish()
    world.upstream.fault("/lookup/", faults.status(404))
    may_write = threading.Event()
    async with world.node() as node:
        store, duty = node.node.store, node.node.duties
        commit, wait_written = store.commit, duty.wait_written

        def slow(*arguments: Any) -> object:
            assert may_write.wait(20)
            return commit(*arguments)

        async def waited() -> None:
            may_write.set()
            await wait_written()

        monkeypatch.setattr(store, "commit", slow)
        mine = await node.control("POST", "sessions", {})
        assert (await node.get(f"/{mine['token']}{MOD}")).status_code == 200
        world.upstream.behave()
        monkeypatch.setattr(duty, "wait_written", waited)
        report = await node.control("DELETE", f"sessions/{mine['token']}")
        may_write.set()
    assert report["unproven"] == 0


async def test_a_command_ends_with_what_was_known_when_the_store_cannot_be_asked_for_proofs(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_key: FileKey) -> list[StoredFile]:
        raise StoreError("the index is damaged")

    world.publish()
    world.upstream.fault("/lookup/", faults.status(404))
    async with world.node() as node:
        mine = await node.control("POST", "sessions", {})
        assert (await node.get(f"/{mine['token']}{MOD}")).status_code == 200
        world.upstream.behave()
        await node.node.duties.wait_written()
        monkeypatch.setattr(node.node.store, "held", fail)
        assert (await node.control("DELETE", f"sessions/{mine['token']}"))["unproven"] == 1


@pytest.mark.parametrize("kind", ["@v/list", "@latest", "@v/main.info"])
async def test_the_prefixes_that_go_tried_before_it_found_the_module_are_not_missing(world: World, kind: str) -> None:
    world.publish()
    world.upstream.files[f"/{WIDGET.path}/@v/main.info"] = b'{"Version":"v1.0.0"}'
    async with world.node() as node:
        mine = await node.control("POST", "sessions", {})
        statuses = [
            (await node.get(f"/{mine['token']}/{path}/{kind}")).status_code
            for path in ("example.org", "example.org/acme", WIDGET.path, "example.org/other")
        ]
        assert statuses == [404, 404, 200, 404]
        report = await node.control("GET", f"sessions/{mine['token']}")
    assert [one["name"].partition("@")[0].rstrip("/") for one in report["missing"]] == ["example.org/other"]


@pytest.mark.parametrize(
    "body",
    ["", "[]", "nonsense", '{"modules": "all"}', '{"modules": ["no-version"]}', '{"modules": [1]}', "[" * 9999],
)
async def test_nonsense_to_the_control_api_is_a_400_that_says_what_fits(world: World, body: str) -> None:
    async with world.node() as node:
        answer = await node.http.post(
            "/-/api/v1/rm", content=body, headers={"Authorization": f"Bearer {node.secret}"}
        )
    assert answer.status_code == 400
    assert len(answer.text.splitlines()) == 1


@pytest.mark.parametrize("body", [r'{"go_sum": "\ud800"}', r'{"go_sum": "a b c d", "origin": "\ud800"}'])
async def test_text_that_is_no_unicode_is_nonsense_too(world: World, body: str) -> None:
    async with world.node() as node:
        answer = await node.http.post(
            "/-/api/v1/sessions", content=body, headers={"Authorization": f"Bearer {node.secret}"}
        )
    assert answer.status_code == 400
    assert len(answer.text.splitlines()) == 1


async def test_rm_leaves_a_tombstone_that_only_a_wish_lifts(world: World) -> None:
    world.publish()
    async with world.node() as node:
        await node.get(MOD)
        assert (await node.control("POST", "rm", {"modules": [str(WIDGET)]}))["removed"] == [str(WIDGET)]
        assert (await node.control("POST", "rm", {"modules": [str(WIDGET)]}))["missing"] == [str(WIDGET)]
        refused = await node.get(MOD)
        assert refused.status_code == 403
        assert (await node.control("POST", "allow", {"modules": [str(WIDGET)]}))["allowed"] == [str(WIDGET)]
        assert (await node.get(MOD)).status_code == 200


async def test_metrics_and_health(world: World) -> None:
    world.publish()
    async with world.node() as node:
        assert (await node.get("/-/healthz")).status_code == 200
        await node.get(MOD)
        text = (await node.get("/-/metrics")).text
    assert 'p2pmods_answered_files_total{source="upstream"} 1.0' in text


async def test_a_remote_address_needs_its_token_in_the_path(world: World) -> None:
    world.publish()
    token = "classroom-1234"
    async with world.node(listen="0.0.0.0:0", allow_remote=True, api_token=token, allowed_hosts="127.0.0.1") as node:
        base = node.node.url.replace("0.0.0.0", "127.0.0.1")
        assert (await node.http.get(f"{base}{MOD}")).status_code == 404
        assert (await node.http.get(f"{base}/{token}{MOD}")).status_code == 200
        assert (await node.http.get(f"{base}{MOD}")).status_code == 404
        assert (await node.http.get(f"{base}/wrong-token{MOD}")).status_code == 404
        assert node.node.url.startswith("http://127.0.0.1:")
        assert (await node.status())["api"] == node.node.url


async def test_a_token_that_is_set_is_needed_on_loopback_too(world: World) -> None:
    world.publish()
    async with world.node(api_token="for-this-user-only") as node:
        assert (await node.get(MOD)).status_code == 404
        assert (await node.get(f"/for-this-user-only{MOD}")).status_code == 200
        assert (await node.get(MOD)).status_code == 404


async def test_a_strict_set_up_counts_from_the_moment_it_is_made(world: World) -> None:
    world.upstream.fault("acme", faults.status(500))
    async with world.node() as node:
        assert (await node.get(f"/strict-token{MOD}")).status_code == 404
        record = SetupRecord(node.node.url, "", None, world.upstream.url, "strict-token")
        write_setup_record(node.node.config.data, record)
        assert (await node.get(f"/strict-token{MOD}")).status_code == 503


async def test_rm_of_what_is_not_held_leaves_no_tombstone(world: World) -> None:
    world.publish()
    async with world.node() as node:
        assert (await node.control("POST", "rm", {"modules": [str(WIDGET)]}))["missing"] == [str(WIDGET)]
        assert (await node.get(MOD)).status_code == 200


async def test_a_disk_that_hangs_keeps_no_command_waiting_for_ever(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.publish()
    disk_is_back = threading.Event()
    waits: list[bool] = []
    commit = Store.commit

    def hang(store: Store, verified: VerifiedFile, content: Content) -> StoredFile:
        waits.append(disk_is_back.wait(5))
        return commit(store, verified, content)

    monkeypatch.setattr(Store, "commit", hang)
    monkeypatch.setattr(duties, "WRITTEN_TIME", 0.01)
    async with world.node() as node:
        assert (await node.file(WIDGET, "mod")).status_code == 200
        assert (await node.status())["held"]["files"] == 0
        disk_is_back.set()
    assert waits == [True]
