"""The checksum service proves what it says, asks for nothing twice, and keeps serving offline."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from p2pmods.errors import NotFound, Unavailable
from p2pmods.fetch.checksum_database import DatabaseChecksums
from p2pmods.fetch.checksums import NoChecksums
from p2pmods.gomod.module import ModuleVersion
from p2pmods.sumdb.records import lookup_path, parse_lookup
from tests.fetch.checksums.world import LogSource, go_client, open_node

if TYPE_CHECKING:
    from pathlib import Path

    from p2pmods.fetch.checksums import Checksums

from tests.fetch.checksums.world import H1, TOML


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
