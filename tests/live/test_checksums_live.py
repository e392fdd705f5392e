"""The real checksum database, reached as `go env GOPROXY` says, is read, proven and served offline."""

from __future__ import annotations

import io
import json
import subprocess
import time
import zipfile
from typing import TYPE_CHECKING

import httpx
import pytest
import trio

from p2pmods.errors import NotFound, Unavailable
from p2pmods.gomod.module import ModuleVersion
from p2pmods.sumdb.records import lookup_path
from tests.fetch.checksums.world import ask, open_node, read_file
from tests.sumdb.reference import GoClient

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.live, pytest.mark.go]

KEY = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
MODULES = [
    ModuleVersion("github.com/BurntSushi/toml", "v1.2.0"),
    ModuleVersion("golang.org/x/mod", "v0.20.0"),
    ModuleVersion("golang.org/toolchain", "v0.0.1-go1.21.0.linux-amd64"),
    ModuleVersion("rsc.io/quote", "v1.5.2"),
]


class Proxy:
    """The first proxy of `go env GOPROXY`, over plain httpx."""

    def __init__(self, client: httpx.AsyncClient, url: str) -> None:
        self.log = None
        self._client = client
        self._url = url
        self.requests = 0
        self.online = True

    async def fetch_sumdb(self, name: str, endpoint: str, *, url: str | None = None) -> bytes:
        if not self.online:
            raise Unavailable("upstream", "offline")
        self.requests += 1
        try:
            response = await self._client.get(f"{self._url}/sumdb/{name}/{endpoint}")
        except httpx.HTTPError as error:
            raise Unavailable(name, str(error)) from error
        if response.status_code in (404, 410):
            raise NotFound(name, response.text)
        if response.status_code != 200:
            raise Unavailable(name, f"status {response.status_code}")
        return response.content


def proxy_client() -> httpx.AsyncClient:
    """As patient with the network as the product is: a name that is not resolved for a moment is asked for again."""
    connecting = httpx.AsyncHTTPTransport(retries=4, limits=httpx.Limits(max_connections=16))
    return httpx.AsyncClient(timeout=60, transport=connecting)


@pytest.fixture
def proxy_url() -> str:
    settings = json.loads(subprocess.run(["go", "env", "-json", "GOPROXY"], capture_output=True, check=True).stdout)
    url = settings["GOPROXY"].replace("|", ",").split(",")[0]
    if not url.startswith("http"):
        pytest.skip("GOPROXY names no proxy")
    return str(url)


async def test_real_records_are_proven_and_then_served_offline(tmp_path: Path, proxy_url: str) -> None:
    async with proxy_client() as client:
        source = Proxy(client, proxy_url)
        async with open_node(tmp_path, source, key=KEY) as node:  # type: ignore[arg-type]
            for module in MODULES:
                proof = await node.prove(module)
                assert proof.mod_h1 and proof.zip_h1  # noqa: PT018
            source.online = False
            user = GoClient(KEY, lambda path: ask(node, path))
            for module in MODULES:
                assert await user.lookup(lookup_path(module))
    root = tmp_path / "modules" / "sumdb" / "sum.golang.org"
    for module in MODULES:
        files = GoClient(KEY, lambda path: read_file(root, path))
        assert await files.lookup(lookup_path(module))


async def modules_of(client: httpx.AsyncClient, url: str) -> set[ModuleVersion]:
    """Every module version that Prometheus' go.sum names."""
    response = await client.get(f"{url}/github.com/prometheus/prometheus/@v/v0.304.0.zip")
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        go_sum = archive.read("github.com/prometheus/prometheus@v0.304.0/go.sum").decode()
    words = [line.split() for line in go_sum.splitlines()]
    return {ModuleVersion(path, version.removesuffix("/go.mod")) for path, version, _ in words}


async def test_the_proofs_of_a_cold_prometheus_build_take_seconds(tmp_path: Path, proxy_url: str) -> None:
    async with proxy_client() as client:
        modules = await modules_of(client, proxy_url)
        source = Proxy(client, proxy_url)
        async with open_node(tmp_path, source, key=KEY) as node:  # type: ignore[arg-type]
            began, processor = time.monotonic(), time.process_time()
            await node.supported()
            async with trio.open_nursery() as nursery:
                for module in modules:
                    nursery.start_soon(node.prove, module)
            took, busy = time.monotonic() - began, time.process_time() - processor
            print(f"{len(modules)} proofs, {source.requests} requests, {took:.1f} s, processor {busy:.1f} s")
            assert took < 60
            assert all(node.held_proof(module) for module in modules)
