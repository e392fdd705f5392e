"""The client against the proxies of `go env GOPROXY`."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from p2pmods.gomod.goproxy import parse_goproxy
from p2pmods.gomod.module import FileKey, FileKind, ModuleVersion
from p2pmods.gomod.patterns import Patterns
from p2pmods.upstream.offline import OfflineState
from p2pmods.upstream.proxy import ProxyClient
from p2pmods.upstream.route import Upstream
from p2pmods.upstream.sink import BytesSink

pytestmark = [pytest.mark.live, pytest.mark.go]

TEXT = ModuleVersion("golang.org/x/text", "v0.3.0")


@pytest.fixture
def upstream() -> Upstream:
    go = shutil.which("go")
    if go is None:
        pytest.skip("no go command")
    goproxy = subprocess.run([go, "env", "GOPROXY"], check=True, capture_output=True, text=True).stdout.strip()
    offline = OfflineState()
    client = ProxyClient(offline)
    return Upstream(parse_goproxy(goproxy), no_proxy=Patterns(), client=client, vcs=None, offline=offline)


async def test_files_lists_and_the_checksum_database(upstream: Upstream) -> None:
    for kind in FileKind:
        await upstream.fetch_file(FileKey(TEXT, kind), sink := BytesSink())
        assert sink.size
    assert b"v0.3.0\n" in (await upstream.fetch_list(TEXT.path))[0]
    assert TEXT.path.encode() in await upstream.fetch_sumdb("sum.golang.org", f"lookup/{TEXT}")
