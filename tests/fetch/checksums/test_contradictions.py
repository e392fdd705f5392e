"""A database that signed two different logs is frozen for good, with the evidence kept."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from p2pmods.errors import NotFound, SumdbSecurityError, Unavailable
from p2pmods.gomod.module import ModuleVersion
from p2pmods.testing.sumdb import ForkableLog
from tests.fetch.checksums.world import LogSource, install_client, open_node
from tests.sumdb.reference import GoClient, SecurityError

if TYPE_CHECKING:
    from pathlib import Path

    from p2pmods.fetch.checksums import Alarm

from tests.fetch.checksums.world import TOML, client_of


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


async def test_an_older_forked_head_that_comes_with_a_record_is_a_contradiction(
    data: Path, source: LogSource
) -> None:
    fork = source.log.fork(400)
    fork.grow(100)
    async with open_node(data, source) as node:
        await node.prove(TOML)
        source.log.change("lookup/", lambda answer: (200, answer[1].replace(source.log.head(), fork.head())))
        with pytest.raises(SumdbSecurityError, match="does not contain"):
            await node.prove(ModuleVersion("example.com/filler", "v0.301.0"))
    assert fork.head() in {path.read_bytes() for path in (data / "evidence").iterdir()}


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
