"""Damaged files heal, and an alarm survives."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from p2pmods.errors import SumdbSecurityError
from p2pmods.sumdb.records import lookup_path
from tests.fetch.checksums.world import LogSource, file_client, go_client, open_node

if TYPE_CHECKING:
    from pathlib import Path

from tests.fetch.checksums.world import H1, TOML


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
