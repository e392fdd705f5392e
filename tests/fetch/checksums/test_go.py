"""The real go command, with GOSUMDB on, is satisfied by what a node leaves on disk, with no node and no network."""

from __future__ import annotations

import io
import os
import subprocess
import zipfile
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from p2pmods.gomod.h1 import hash1, hash_go_mod
from p2pmods.gomod.module import FileKey, FileKind, ModuleVersion
from p2pmods.testing.sumdb import ForkableLog
from tests.fetch.checksums.room import Room
from tests.fetch.checksums.world import LogSource, open_node

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.go

HELLO = ModuleVersion("example.com/Hello", "v1.0.0")  # an uppercase letter, to be escaped on both faces
LATER = ModuleVersion("example.com/later", "v1.0.0")


def publish(directory: Path, module: ModuleVersion, log: ForkableLog) -> None:
    """Put a tiny module into a `file://` proxy, and its record into the log."""
    mod = f"module {module.path}\n".encode()
    files = {"go.mod": mod, "a.go": b"package a\n"}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in files.items():
            archive.writestr(f"{module}/{name}", content)
    info = f'{{"Version":"{module.version}"}}'.encode()
    for kind, content in ((FileKind.INFO, info), (FileKind.MOD, mod), (FileKind.ZIP, packed.getvalue())):
        target = directory / FileKey(module, kind).url_path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    zip_h1 = hash1((f"{module}/{name}".encode(), sha256(content).digest()) for name, content in files.items())
    log.add(module, zip_h1, hash_go_mod(mod))


@dataclass
class Go:
    """A user's go command with GOSUMDB on, no go.sum and no network."""

    home: Path
    key: str
    module_cache: Path

    def download(self, proxy: Path, module: ModuleVersion) -> subprocess.CompletedProcess[str]:
        empty = self.home / "empty"
        empty.mkdir(parents=True, exist_ok=True)
        settings = {
            "HOME": self.home,
            "GOPATH": self.home / "gopath",
            "GOMODCACHE": self.module_cache,
            "GOCACHE": self.home / "cache",
            "GOPROXY": proxy.as_uri(),
            "GOSUMDB": self.key,
            "GOENV": "off",
            "GOTOOLCHAIN": "local",
            "GOFLAGS": "-modcacherw",
            "GOTELEMETRY": "off",
        }
        keep = {name: value for name, value in os.environ.items() if not name.startswith("GO")}
        environ = keep | {name: str(value) for name, value in settings.items()}
        command = ["go", "mod", "download", str(module)]
        return subprocess.run(
            command, cwd=empty, env=environ, capture_output=True, text=True, timeout=120, check=False
        )


@pytest.fixture
def log() -> ForkableLog:
    log = ForkableLog("sum.example.org", seed="go")
    log.grow(300)
    return log


def user(tmp_path: Path, log: ForkableLog, module_cache: str = "modcache") -> Go:
    return Go(tmp_path / "user", log.verifier_key, tmp_path / module_cache)


async def test_a_nodes_files_satisfy_go_without_a_node(tmp_path: Path, log: ForkableLog) -> None:
    data = tmp_path / "data"
    publish(data / "modules", HELLO, log)
    async with open_node(data, LogSource(log)) as node:
        await node.prove(HELLO)
    done = user(tmp_path, log).download(data / "modules", HELLO)
    assert done.returncode == 0, done.stderr
    held = tmp_path / "user" / "gopath" / "pkg" / "sumdb" / log.name / "latest"
    assert held.read_bytes() == log.head()


async def test_go_does_check_what_it_gets_there(tmp_path: Path, log: ForkableLog) -> None:
    data = tmp_path / "data"
    publish(data / "modules", HELLO, log)
    async with open_node(data, LogSource(log)) as node:
        await node.prove(HELLO)
    publish(data / "modules", HELLO, other := ForkableLog())
    mod = data / "modules" / FileKey(HELLO, FileKind.MOD).url_path
    mod.write_bytes(mod.read_bytes() + b"// tampered with\n")
    assert other.size == 1
    done = user(tmp_path, log).download(data / "modules", HELLO)
    assert done.returncode != 0
    assert "checksum mismatch" in done.stderr


async def test_go_keeps_working_while_log_and_node_go_on(tmp_path: Path, log: ForkableLog) -> None:
    """The head in GOPATH outlives the module cache, and every file of the node stays good for it."""
    data = tmp_path / "data"
    source = LogSource(log)
    for number in range(4):
        module = ModuleVersion(f"example.com/m{number}", "v1.0.0")
        publish(data / "modules", module, log)
        async with open_node(data, source, gopath=tmp_path / "user" / "gopath") as node:
            await node.prove(module)
            done = user(tmp_path, log, f"modcache{number}").download(data / "modules", module)
            assert done.returncode == 0, done.stderr
            log.grow(200)
    for number in range(4):
        module = ModuleVersion(f"example.com/m{number}", "v1.0.0")
        done = user(tmp_path, log, "fresh").download(data / "modules", module)
        assert done.returncode == 0, done.stderr


async def test_a_cache_that_go_filled_without_a_go_sum_serves_go_again(tmp_path: Path, log: ForkableLog) -> None:
    """The node never met the network: all it has is this user's module cache and GOPATH."""
    proxy, first = tmp_path / "first" / "modules", user(tmp_path, log)
    for module in (HELLO, LATER):
        publish(proxy, module, log)
        async with open_node(tmp_path / "first", LogSource(log)) as node:
            await node.prove(module)
        assert first.download(proxy, module).returncode == 0
        log.grow(300)
    data = tmp_path / "data"
    offline = LogSource(log, online=False)
    async with open_node(data, offline, gopath=first.home / "gopath", module_cache=first.module_cache) as node:
        for module in (HELLO, LATER):
            proof = await node.prove(module)
            assert proof.zip_h1
            publish(data / "modules", module, ForkableLog())
    for module in (HELLO, LATER):
        done = user(tmp_path, log, "fresh").download(data / "modules", module)
        assert done.returncode == 0, done.stderr
        stranger = Go(tmp_path / "stranger", log.verifier_key, tmp_path / "strangers")
        done = stranger.download(data / "modules", module)
        assert done.returncode == 0, done.stderr


async def test_what_peers_supplied_satisfies_go_with_any_head_offline(tmp_path: Path, log: ForkableLog) -> None:
    """Ben's go has the head of his last day online; ann's node grew on, met his, and then there is no internet."""
    room, anns, bens = Room(), LogSource(log), LogSource(log)
    data = tmp_path / "ben"
    old, new = (ModuleVersion(f"example.com/{name}", "v1.0.0") for name in ("old", "new"))
    for module in (old, new):
        publish(data / "modules", module, ForkableLog())
    publish(tmp_path / "ann" / "modules", old, log)
    log.grow(500)
    async with (
        room.open("ann", tmp_path / "ann", anns) as ann,
        room.open("ben", data, bens, gopath=tmp_path / "user" / "gopath") as ben,
    ):
        await ann.prove(old)
        publish(data / "modules", HELLO, log)
        log.grow(300)
        await ben.prove(HELLO)
        assert user(tmp_path, log).download(data / "modules", HELLO).returncode == 0
        publish(tmp_path / "ann" / "modules", new, log)
        log.grow(500)
        await ann.prove(new)
        await ann.note_peer_head(await ben.latest(), "ben")
        anns.online = bens.online = False
        for module in (old, new):
            assert (await ben.prove(module)).zip_h1
    assert any(room.questions)
    for module in (old, new, HELLO):
        stranger = Go(tmp_path / "stranger", log.verifier_key, tmp_path / "strangers")
        for go in (user(tmp_path, log, "fresh"), stranger):
            done = go.download(data / "modules", module)
            assert done.returncode == 0, done.stderr


async def test_a_record_that_the_node_lacks_is_an_error_of_go(tmp_path: Path, log: ForkableLog) -> None:
    data = tmp_path / "data"
    publish(data / "modules", HELLO, log)
    async with open_node(data, LogSource(log)) as node:
        await node.supported()
    done = user(tmp_path, log).download(data / "modules", HELLO)
    assert done.returncode != 0
