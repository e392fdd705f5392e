"""The client against the proxies of `go env GOPROXY`."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
import trio

from p2pmods.gomod.goproxy import parse_goproxy
from p2pmods.gomod.module import FileKey, FileKind, ModuleVersion
from p2pmods.gomod.patterns import Patterns
from p2pmods.upstream.offline import OfflineState
from p2pmods.upstream.proxy import ProxyClient
from p2pmods.upstream.route import Upstream
from p2pmods.upstream.sink import BytesSink
from tests.upstream.world import delivered

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = [pytest.mark.live, pytest.mark.go]

TEXT = ModuleVersion("golang.org/x/text", "v0.3.0")


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    go = shutil.which("go")
    if go is None:
        pytest.skip("no go command")
    goproxy = (await trio.run_process([go, "env", "GOPROXY"], capture_stdout=True)).stdout.decode().strip()
    offline = OfflineState()
    client = ProxyClient(offline)
    yield Upstream(parse_goproxy(goproxy), no_proxy=Patterns(), client=client, vcs=None, offline=offline)
    client.close()


async def test_files_lists_and_the_checksum_database(upstream: Upstream) -> None:
    for kind in FileKind:
        await upstream.fetch_file(FileKey(TEXT, kind), sink := BytesSink(), delivered)
        assert sink.size
    assert b"v0.3.0\n" in (await upstream.fetch_list(TEXT.path))[0]
    assert TEXT.path.encode() in await upstream.fetch_sumdb("sum.golang.org", f"lookup/{TEXT}")
