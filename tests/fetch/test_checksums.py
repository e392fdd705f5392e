"""The checksum service proves what it says, whatever the upstream does, and keeps serving it offline."""

from __future__ import annotations

import json
import os
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from p2pmods.errors import NotFound, SumdbError, SumdbSecurityError, Unavailable
from p2pmods.fetch import checksum_log
from p2pmods.fetch.checksum_database import DatabaseChecksums
from p2pmods.fetch.checksums import NoChecksums
from p2pmods.gomod.module import ModuleVersion
from p2pmods.sumdb.note import make_signer
from p2pmods.sumdb.records import lookup_path, parse_lookup
from p2pmods.testing.sumdb import ForkableLog
from tests.fetch.checksum_world import LogSource, file_client, go_client, install_client, open_node
from tests.sumdb.reference import BuildFails, GoClient, SecurityError

if TYPE_CHECKING:
    from collections.abc import Callable

    from p2pmods.fetch.checksums import Alarm, Checksums

H1 = "h1:" + "A" * 43 + "="
TOML = ModuleVersion("github.com/BurntSushi/toml", "v1.2.0")


@pytest.fixture
def log() -> ForkableLog:
    log = ForkableLog(seed="service")
    log.grow(300)
    log.add(TOML, H1, H1)
    log.grow(300)
    return log


@pytest.fixture
def source(log: ForkableLog) -> LogSource:
    return LogSource(log)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


async def test_a_proof_says_what_the_record_says(data: Path, source: LogSource) -> None:
    async with open_node(data, source) as node:
        assert node.held_proof(TOML) is None
        proof = await node.prove(TOML)
        assert (proof.database, proof.record_id, proof.tree) == (source.log.name, 300, 601)
        assert (proof.mod_h1, proof.zip_h1) == (H1, H1)
        assert node.held_proof(TOML) == proof
        assert node.statistics().state == "ok"


async def test_a_held_record_is_answered_with_the_note_of_the_newest_head(data: Path, source: LogSource) -> None:
    async with open_node(data, source) as node:
        await node.prove(TOML)
        newer = source.log.grow(200)[-1]
        await node.prove(newer)
        record, note = parse_lookup(await node.lookup(TOML))
        assert record.id == 300
        assert note == await node.latest() == source.log.head()


async def test_many_new_records_cost_one_step_of_the_head(data: Path, source: LogSource) -> None:
    async with open_node(data, source) as node:
        await node.prove(TOML)
        source.requests.clear()
        async with trio.open_nursery() as nursery:
            for module in source.log.grow(50):
                nursery.start_soon(node.prove, module)
        assert source.requests.count("latest") == 1
        assert node.statistics().heads == 2


async def test_identical_requests_share_one_fetch(data: Path, source: LogSource) -> None:
    async with open_node(data, source) as node:
        async with trio.open_nursery() as nursery:
            for _ in range(64):
                nursery.start_soon(node.lookup, TOML)
        assert len(source.requests) == len(set(source.requests))


async def test_a_client_that_hangs_up_does_not_stop_the_fetch_for_another(data: Path, source: LogSource) -> None:
    async with open_node(data, source) as node:
        with trio.CancelScope() as first:
            first.cancel()
            await node.lookup(TOML)
        assert await node.lookup(TOML)


async def test_after_a_restart_without_network_all_is_as_before(data: Path, source: LogSource) -> None:
    async with open_node(data, source) as node:
        before = await node.lookup(TOML)
    source.online = False
    async with open_node(data, source) as node:
        assert node.held_proof(TOML)
        await node.supported()
        assert await node.lookup(TOML) == before
        assert await go_client(node, source.log.verifier_key).lookup(lookup_path(TOML))


async def test_supported_is_said_only_once_a_head_is_held(data: Path, source: LogSource) -> None:
    source.online = False
    async with open_node(data, source) as node:
        with pytest.raises(Unavailable, match="offline"):
            await node.supported()
        assert node.statistics().state == "unreached"
        source.online = True
        await node.supported()
        source.online = False
        await node.supported()
        with pytest.raises(Unavailable, match="offline"):
            await node.lookup(TOML)


async def test_a_database_that_is_off_says_so() -> None:
    node: Checksums = NoChecksums()
    assert node.held_proof(TOML) is None
    assert node.statistics().state == "off"
    for call in (node.supported, node.latest, lambda: node.prove(TOML), lambda: node.lookup(TOML)):
        with pytest.raises(Unavailable, match="GOSUMDB"):
            await call()
    with pytest.raises(Unavailable, match="GOSUMDB"):
        await node.tile("8/0/000")


async def test_what_the_database_does_not_have_is_not_found_with_its_reason(data: Path, source: LogSource) -> None:
    async with open_node(data, source) as node:
        with pytest.raises(NotFound, match="no such module version"):
            await node.lookup(ModuleVersion("example.com/unknown", "v1.0.0"))


async def test_the_url_of_gosumdb_reaches_the_source(data: Path, source: LogSource, nursery: trio.Nursery) -> None:
    node = DatabaseChecksums(
        source.log.verifier_key, data=data, source=source, nursery=nursery, url="https://db.example.org"
    )
    await node.supported()
    assert source.urls == {"https://db.example.org"}


# Tiles over the Go API.


@pytest.mark.parametrize("width", [1, 200, 255, 256])
async def test_a_tile_is_servable_at_every_narrower_width(data: Path, source: LogSource, width: int) -> None:
    path = "8/0/001" if width == 256 else f"8/0/001.p/{width}"
    async with open_node(data, source) as node:
        assert await node.tile(path) == source.log.answer(f"tile/{path}")[1]


@pytest.mark.parametrize("path", ["8/0/x001/000", "8/3/000.p/1", "8/0/002.p/90", "nonsense", "8/0/../000", "7/0/000"])
async def test_a_tile_that_the_log_does_not_have_is_not_found(data: Path, source: LogSource, path: str) -> None:
    async with open_node(data, source) as node:
        for _ in range(3):
            with pytest.raises(NotFound):
                await node.tile(path)
        assert source.requests.count("latest") <= 2


async def test_data_tiles_are_passed_on_once_each_record_is_proven(data: Path, source: LogSource) -> None:
    async with open_node(data, source) as node:
        assert await node.tile("8/data/001") == source.log.answer("tile/8/data/001")[1]
        source.log.flip("tile/8/data/", bit=99)
        with pytest.raises(SumdbError):
            await node.tile("8/data/002.p/7")


# Attacks: each is an error, and none of them gets anything into the store.


def the_wrong_key(log: ForkableLog) -> None:
    log.sign_with(make_signer(log.name, b"\7" * 32))


def an_empty_lookup(log: ForkableLog) -> None:
    log.replace("lookup/", b"")


def a_login_page(log: ForkableLog) -> None:
    log.replace("lookup/", b"<!doctype html>\n\n<form>\n")


def an_oversize_lookup(log: ForkableLog) -> None:
    log.change("lookup/", lambda answer: (200, answer[1] + b"x" * (64 << 10)))


def another_records_text(log: ForkableLog) -> None:
    other = log.answer("lookup/example.com/filler@v0.299.0")[1]
    log.replace("lookup/", other)


def an_invented_hash(log: ForkableLog) -> None:
    log.change("lookup/", lambda answer: (200, answer[1].replace(H1.encode(), b"h1:" + b"B" * 43 + b"=")))


def a_line_more(log: ForkableLog) -> None:
    line = f"\n{TOML.path} {TOML.version} h1:{'C' * 43}=\n\n".encode()
    log.change("lookup/", lambda answer: (200, answer[1].replace(b"\n\n", line, 1)))


def another_id(log: ForkableLog) -> None:
    log.change("lookup/", lambda answer: (200, answer[1].replace(b"300", b"299", 1)))


def an_id_beyond_the_tree(log: ForkableLog) -> None:
    log.change("lookup/", lambda answer: (200, answer[1].replace(b"300", b"99999", 1)))


def flipped_bits_in_lookups(log: ForkableLog) -> None:
    log.flip("lookup/", bit=200)


def flipped_bits_in_low_tiles(log: ForkableLog) -> None:
    log.flip("tile/8/0/", bit=77)


def flipped_bits_in_high_tiles(log: ForkableLog) -> None:
    log.flip("tile/8/1/", bit=77)


def a_forged_tile(log: ForkableLog) -> None:
    log.replace("tile/8/0/001", b"\0" * 8192)


def an_oversize_tile(log: ForkableLog) -> None:
    log.change("tile/8/0/", lambda answer: (200, answer[1] + b"\0" * 32))


def a_short_tile(log: ForkableLog) -> None:
    log.change("tile/8/0/", lambda answer: (200, answer[1][:-32]))


def a_missing_tile(log: ForkableLog) -> None:
    log.omit("tile/8/0/001")


def tiles_that_fail(log: ForkableLog) -> None:
    log.fail("tile/", 503)


ATTACKS = [
    the_wrong_key,
    an_empty_lookup,
    a_login_page,
    an_oversize_lookup,
    another_records_text,
    an_invented_hash,
    a_line_more,
    another_id,
    an_id_beyond_the_tree,
    flipped_bits_in_lookups,
    flipped_bits_in_low_tiles,
    a_forged_tile,
    an_oversize_tile,
    a_short_tile,
    a_missing_tile,
    tiles_that_fail,
]


@pytest.mark.parametrize(
    ("attack", "head_held"),
    [*product(ATTACKS, (False, True)), (flipped_bits_in_high_tiles, False)],  # with the head, those tiles are held
)
async def test_an_attack_proves_nothing_and_leaves_no_trace(
    data: Path, source: LogSource, attack: Callable[[ForkableLog], None], *, head_held: bool
) -> None:
    alarms: list[Alarm] = []
    async with open_node(data, source, alarms=alarms) as node:
        if head_held:
            await node.supported()
        attack(source.log)
        with pytest.raises((SumdbError, Unavailable)):
            await node.prove(TOML)
        assert node.held_proof(TOML) is None
        assert not alarms  # nothing here is signed, so nothing proves the database guilty
        source.log.behave()
        assert (await node.prove(TOML)).zip_h1 == H1


async def test_one_bad_answer_is_asked_again(data: Path, source: LogSource) -> None:
    spoiled: list[bytes] = []

    def spoil_once(answer: tuple[int, bytes]) -> tuple[int, bytes]:
        spoiled.append(answer[1])
        return (200, b"") if len(spoiled) == 1 else answer

    source.log.change("lookup/", spoil_once)
    async with open_node(data, source) as node:
        assert (await node.prove(TOML)).zip_h1 == H1


async def test_a_database_that_never_answers_is_given_up_at_the_deadline(
    data: Path, log: ForkableLog, autojump_clock: trio.testing.MockClock
) -> None:
    class Silent(LogSource):
        async def fetch_sumdb(self, name: str, endpoint: str, *, url: str | None = None) -> bytes:
            await trio.sleep_forever()
            raise AssertionError

    async with open_node(data, Silent(log)) as node:
        with pytest.raises(Unavailable):
            await node.prove(TOML)
        with pytest.raises(Unavailable):
            await node.supported()


async def test_where_a_partial_tile_is_gone_the_full_one_is_cut(data: Path, source: LogSource) -> None:
    async with open_node(data, source) as node:
        await node.supported()
        at = source.log.head()
        source.log.grow(300)
        source.log.omit("tile/8/0/002.p/")
        source.log.replace("latest", at)
        (data / "modules" / "sumdb" / source.log.name / "tile" / "8" / "0" / "002.p" / "89").unlink()
    async with open_node(data, source) as node:
        assert await node.tile("8/0/002.p/89") == source.log.answer("tile/8/0/002")[1][: 89 * 32]


# Contradictions: signed, so they freeze the database for good.


async def frozen(data: Path, source: LogSource, alarms: list[Alarm], module: ModuleVersion) -> str:
    """Prove `module` from a forked database, and return the alarm that it raises."""
    async with open_node(data, source, alarms=alarms) as node:
        with pytest.raises(SumdbSecurityError):
            await node.prove(module)
        alarm = node.statistics().alarm
        assert alarm is not None
        assert node.statistics().state == "frozen"
        return alarm.reason


async def test_a_fork_freezes_the_database_with_both_notes_kept(data: Path, source: LogSource) -> None:
    async with open_node(data, source) as node:
        held = await node.lookup(TOML)
    ours = source.log.head()
    source.log = source.log.fork(400)
    newer = source.log.grow(400)[-1]
    alarms: list[Alarm] = []
    assert "does not contain" in await frozen(data, source, alarms, newer)
    kept = {path.name: path.read_bytes() for path in (data / "evidence").iterdir()}
    assert ours in kept.values()
    assert source.log.head() in kept.values()
    assert set(alarms[0].evidence) == set(kept)
    assert len(alarms) == 1
    async with open_node(data, source) as node:  # a restart does not thaw it
        assert node.statistics().state == "frozen"
        await node.supported()
        assert await node.lookup(TOML) == held
        with pytest.raises(SumdbSecurityError, match="frozen"):
            await node.prove(newer)
    assert {path.name: path.read_bytes() for path in (data / "evidence").iterdir()} == kept


async def test_evidence_shows_a_third_party_that_the_database_lied(data: Path, source: LogSource) -> None:
    async with open_node(data, source) as node:
        await node.supported()
    source.log = source.log.fork(400)
    newer = source.log.grow(400)[-1]
    await frozen(data, source, [], newer)
    tiles = next((data / "evidence").glob("*-tiles.json"))
    for path, text in json.loads(tiles.read_text()).items():
        assert source.log.answer(f"tile/{path}")[1].hex() == text


async def test_two_trees_of_one_size_are_a_contradiction(data: Path, source: LogSource) -> None:
    async with open_node(data, source) as node:
        await node.supported()
    source.log = source.log.fork(400)
    source.log.grow(201)
    assert "different roots" in await frozen(data, source, [], TOML)


async def test_a_local_clients_forked_head_is_a_contradiction(data: Path, source: LogSource, tmp_path: Path) -> None:
    fork = source.log.fork(100)
    fork.grow(200)
    install_client(GoClient(fork.verifier_key, NotImplemented, latest=fork.head()), tmp_path / "gopath", tmp_path)
    alarms: list[Alarm] = []
    async with open_node(data, source, gopath=tmp_path / "gopath", alarms=alarms) as node:
        await node.supported()
        for _ in range(2):
            await node.follow_clients()
            assert len(alarms) == 1


async def test_a_rollback_takes_nothing_back(data: Path, source: LogSource) -> None:
    async with open_node(data, source) as node:
        await node.prove(TOML)
        source.log.roll_back(350)
        assert (await node.prove(ModuleVersion("example.com/filler", "v0.301.0"))).tree == 601
        with pytest.raises((NotFound, Unavailable)):
            await node.tile("8/0/002.p/200")  # asks for `latest`, which is older now
        assert node.statistics().tree_size == 601
        assert node.statistics().state == "ok"
    async with open_node(data, source) as node:
        assert node.statistics().tree_size == 601


async def test_a_head_may_come_with_any_lookup_when_latest_is_not_to_be_had(data: Path, source: LogSource) -> None:
    source.log.omit("latest")
    async with open_node(data, source) as node:
        assert (await node.prove(TOML)).tree == 601


# What local go commands hold.


async def client_of(log: ForkableLog, *modules: ModuleVersion) -> GoClient:
    """A go command that looked up `modules` at the database itself."""

    async def remote(path: str) -> bytes:
        status, body = log.answer(path)
        if status != 200:
            raise BuildFails(path)
        return body

    client = GoClient(log.verifier_key, remote)
    for module in modules:
        await client.lookup(lookup_path(module))
    return client


async def test_a_module_cache_alone_is_enough_offline(source: LogSource, data: Path, tmp_path: Path) -> None:
    """Must hold: a cache that go filled without a go.sum serves go with GOSUMDB on and no network."""
    install_client(await client_of(source.log, TOML), tmp_path / "gopath", tmp_path / "mod")
    source.online = False
    async with open_node(data, source, gopath=tmp_path / "gopath", module_cache=tmp_path / "mod") as node:
        assert (await node.prove(TOML)).zip_h1 == H1
        client = go_client(node, source.log.verifier_key)
        assert await client.lookup(lookup_path(TOML))
        client = go_client(node, source.log.verifier_key)
        client.latest = source.log.head()
        assert await client.lookup(lookup_path(TOML))
    assert not source.requests
    assert await file_client(data, source.log).lookup(lookup_path(TOML))


@pytest.mark.parametrize("with_head", [True, False])
async def test_a_cache_filled_while_the_log_grew_serves_all_its_records(
    source: LogSource, data: Path, tmp_path: Path, *, with_head: bool
) -> None:
    modules = [TOML]
    client = await client_of(source.log, TOML)
    for count in (1, 100, 300, 5, 70):
        modules.append(source.log.grow(count)[-1])
        await client.lookup(lookup_path(modules[-1]))
    install_client(client, tmp_path / "gopath", tmp_path / "mod")
    source.online = False
    gopath = tmp_path / "gopath" if with_head else None
    async with open_node(data, source, gopath=gopath, module_cache=tmp_path / "mod") as node:
        for module in modules:
            other = go_client(node, source.log.verifier_key)
            other.latest = client.latest
            assert await other.lookup(lookup_path(module))


async def test_a_spoiled_module_cache_is_not_believed(source: LogSource, data: Path, tmp_path: Path) -> None:
    client = await client_of(source.log, TOML)
    client.cache[f"lookup/{lookup_path(TOML)}"] = client.cache[f"lookup/{lookup_path(TOML)}"].replace(
        b"h1:A", b"h1:B"
    )
    install_client(client, tmp_path / "gopath", tmp_path / "mod")
    async with open_node(data, source, module_cache=tmp_path / "mod") as node:
        assert (await node.prove(TOML)).zip_h1 == H1
    source.online = False
    async with open_node(tmp_path / "other", source, module_cache=tmp_path / "mod") as node:
        with pytest.raises(Unavailable):
            await node.prove(TOML)


async def test_a_running_node_follows_its_clients(source: LogSource, data: Path, tmp_path: Path) -> None:
    install_client(await client_of(source.log, TOML), tmp_path, tmp_path / "mod")
    source.online = False
    async with (
        open_node(data, source, gopath=tmp_path, module_cache=tmp_path / "mod") as node,
        trio.open_nursery() as nursery,
    ):
        await nursery.start(node.run)
        assert node.statistics().tree_size == 601
        nursery.cancel_scope.cancel()


async def test_the_head_of_a_client_whose_tiles_were_cleaned_is_joined_while_online(
    source: LogSource, data: Path, tmp_path: Path
) -> None:
    """`go clean -modcache` deletes tiles and keeps the head, which later may be needed offline."""
    client = await client_of(source.log, TOML)
    client.cache.clear()
    install_client(client, tmp_path, tmp_path / "mod")
    source.log.grow(1000)
    async with open_node(data, source, gopath=tmp_path) as node:
        await node.prove(TOML)
        await node.follow_clients()
        source.online = False
        client.restart()
        client.remote = go_client(node, source.log.verifier_key).remote
        assert await client.lookup(lookup_path(TOML))
        files = file_client(data, source.log)
        files.latest = source.log.head(601)
        assert await files.lookup(lookup_path(TOML))


async def test_a_client_with_a_newer_head_takes_the_node_along(source: LogSource, data: Path, tmp_path: Path) -> None:
    async with open_node(data, source, gopath=tmp_path) as node:
        await node.prove(TOML)
        newer = source.log.grow(500)[-1]
        client = await client_of(source.log, newer)
        client.cache.clear()
        client.restart()
        client.remote = go_client(node, source.log.verifier_key).remote
        install_client(client, tmp_path, tmp_path)
        assert await client.lookup(lookup_path(TOML))
        assert node.statistics().tree_size == 1101


async def test_offline_a_newer_client_without_its_tiles_gets_a_clear_error(
    source: LogSource, data: Path, tmp_path: Path
) -> None:
    async with open_node(data, source, gopath=tmp_path) as node:
        await node.prove(TOML)
        source.log.grow(500)
        client = go_client(node, source.log.verifier_key)
        client.latest = source.log.head()
        install_client(client, tmp_path, tmp_path)
        source.online = False
        with pytest.raises(BuildFails, match=r"size 1101 .*offline"):
            await client.lookup(lookup_path(TOML))
        assert "1101" in str(node.statistics().problem)


async def test_gopath_may_be_a_list(source: LogSource, data: Path, tmp_path: Path) -> None:
    client = await client_of(source.log, TOML)
    install_client(client, tmp_path / "first", tmp_path / "mod")
    source.online = False
    gopath = Path(f"{tmp_path / 'first'}{os.pathsep}{tmp_path / 'second'}")
    async with open_node(data, source, gopath=gopath, module_cache=tmp_path / "mod") as node:
        await node.supported()


# Damage.


async def test_damaged_tiles_and_records_heal(data: Path, source: LogSource) -> None:
    async with open_node(data, source) as node:
        await node.prove(TOML)
    public = data / "modules" / "sumdb" / source.log.name
    files = [path for path in public.rglob("*") if path.is_file() and path.stat().st_size]
    for path in files:
        original = path.read_bytes()
        for damaged in (b"", original[:-1], bytes([original[0] ^ 4]) + original[1:], b"\0" * len(original)):
            path.write_bytes(damaged)
            async with open_node(data, source) as node:
                assert (await node.prove(TOML)).zip_h1 == H1
                assert await go_client(node, source.log.verifier_key).lookup(lookup_path(TOML))
        if path.name != "latest":
            assert path.read_bytes() == original
    assert await file_client(data, source.log).lookup(lookup_path(TOML))


async def test_a_damaged_list_of_heads_does_not_take_the_head_back(data: Path, source: LogSource) -> None:
    async with open_node(data, source) as node:
        await node.prove(TOML)
    state = data / "sumdb" / source.log.name / "heads.json"
    for damaged in (b"", b"{", b"[]", b'{"heads": 3}', b'{"heads": [3, "x"]}', b"\xff"):
        state.write_bytes(damaged)
        source.online = False
        async with open_node(data, source) as node:
            assert node.statistics().tree_size == 601
            assert node.held_proof(TOML)


async def test_a_damaged_alarm_still_freezes(data: Path, source: LogSource) -> None:
    path = data / "sumdb" / source.log.name / "frozen.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"\0")
    async with open_node(data, source) as node:
        assert node.statistics().state == "frozen"
        with pytest.raises(SumdbSecurityError):
            await node.prove(TOML)


async def test_few_tiles_are_kept_in_memory(data: Path, source: LogSource, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checksum_log, "TILES_IN_MEMORY", 1)
    async with open_node(data, source) as node:
        for _ in range(2):
            for path in ("8/0/000", "8/0/001"):
                assert await node.tile(path) == source.log.answer(f"tile/{path}")[1]


def test_the_reference_client_itself_notices_a_fork() -> None:
    log = ForkableLog()
    log.grow(300)
    fork = log.fork(100)
    fork.grow(300)

    async def story() -> None:
        client = await client_of(log, ModuleVersion("example.com/filler", "v0.1.0"))
        client.remote = (await client_of(fork)).remote
        client.cache.clear()
        with pytest.raises(SecurityError):
            await client.lookup("example.com/filler@v0.2.0")

    trio.run(story)
