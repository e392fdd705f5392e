"""What this machine's go commands hold is used, and kept servable to them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import trio
import trio.testing

from p2pmods.errors import Unavailable
from p2pmods.sumdb.records import lookup_path
from tests.fetch.checksums.world import (
    H1,
    TOML,
    LogSource,
    client_of,
    file_client,
    go_client,
    install_client,
    open_node,
)
from tests.sumdb.reference import BuildFails


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


async def test_a_head_that_the_node_came_to_in_another_way_is_no_problem_any_more(
    source: LogSource, data: Path, tmp_path: Path
) -> None:
    async with open_node(data, source, gopath=tmp_path) as node:
        await node.prove(TOML)
        newest = source.log.grow(500)[-1]
        client = go_client(node, source.log.verifier_key)
        client.latest = source.log.head()
        install_client(client, tmp_path, tmp_path)
        source.online = False
        await node.follow_clients()
        assert node.statistics().problem
        source.online = True
        await node.prove(newest)
        await node.follow_clients()
        assert node.statistics().problem is None


async def test_gopath_may_be_a_list(source: LogSource, data: Path, tmp_path: Path) -> None:
    client = await client_of(source.log, TOML)
    install_client(client, tmp_path / "first", tmp_path / "mod")
    source.online = False
    gopath = Path(f"{tmp_path / 'first'}{os.pathsep}{tmp_path / 'second'}")
    async with open_node(data, source, gopath=gopath, module_cache=tmp_path / "mod") as node:
        await node.supported()
