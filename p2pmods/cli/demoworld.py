"""The demo's little world: an upstream with a few modules, a checksum database that signed them, and a client."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from p2pmods.cli.client import exchange
from p2pmods.errors import ZipRefused, printable
from p2pmods.gomod.escape import escape_path, escape_version
from p2pmods.gomod.h1 import hash_go_mod
from p2pmods.gomod.module import FileKey, FileKind, ModuleVersion
from p2pmods.gomod.zipcheck import check_module_zip
from p2pmods.testing.modzips import make_module_zip
from p2pmods.testing.sumdb import ForkableLog
from p2pmods.testing.upstream import FakeUpstream

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

DATABASE: Final = "sum.demo.example"
DEADLINE: Final = 30.0  # seconds for one download of all modules
LICENCE: Final = b"Do as you like with this example.\n"

HONEST: Final = (
    ModuleVersion("example.com/greet", "v1.0.0"),
    ModuleVersion("example.com/colour/v2", "v2.3.1"),
    ModuleVersion("example.org/Clock", "v0.4.0"),
)
FORGED: Final = ModuleVersion("example.org/trap", "v1.0.0")


@dataclass(frozen=True, slots=True)
class World:
    """`log` signed what all modules are; `upstream` serves them, FORGED with other bytes than were signed."""

    upstream: FakeUpstream
    log: ForkableLog


def make_world() -> World:
    """Modules, their records, and an upstream that has both."""
    log = ForkableLog(DATABASE, os.urandom(16))
    upstream = FakeUpstream(sumdb=log.answer)
    for module in (*HONEST, FORGED):
        mod = f"module {module.path}\n\ngo 1.21\n".encode()
        honest = _zip(module, mod, b"as its author wrote it")
        log.add(module, _h1(module, honest), hash_go_mod(mod))
        upstream.add(module, honest if module is not FORGED else _zip(module, mod, b"with a back door"), mod=mod)
    log.grow(5)
    return World(upstream, log)


def _zip(module: ModuleVersion, mod: bytes, word: bytes) -> bytes:
    package = module.path.removesuffix("/v2").rpartition("/")[2].lower().encode()
    code = b"// Package %s is %s.\npackage %s\n" % (package, word, package)
    return make_module_zip(module, {"go.mod": mod, "LICENSE": LICENCE, f"{package.decode()}.go": code})


def _h1(module: ModuleVersion, data: bytes) -> str:
    return check_module_zip(module, len(data), lambda offset, length: data[offset : offset + length]).h1


def download_with_go(go: Path, url: str, log: ForkableLog, scratch: Path) -> str:
    """An empty module cache, and `go mod download` of HONEST through `url`. What went wrong, or nothing."""
    scratch.mkdir()
    keep = ("PATH", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR")
    environ = {name: os.environ[name] for name in keep if name in os.environ} | {
        "HOME": str(scratch),
        "USERPROFILE": str(scratch),
        "LOCALAPPDATA": str(scratch),
        "GOENV": "off",
        "GOPATH": str(scratch / "gopath"),
        "GOMODCACHE": str(scratch / "modules"),
        "GOCACHE": str(scratch / "cache"),
        "GOPROXY": url,
        "GOSUMDB": log.verifier_key,
        "GOFLAGS": "-modcacherw",
        "GOTOOLCHAIN": "local",
        "GOTELEMETRY": "off",
        "GOWORK": "off",
        "GO111MODULE": "on",
    }
    return _run([str(go), "mod", "download", *map(str, HONEST)], scratch, environ)


def _run(command: list[str], directory: Path, environ: Mapping[str, str]) -> str:
    try:
        done = subprocess.run(
            command, cwd=directory, env=dict(environ), capture_output=True, timeout=DEADLINE, check=False
        )
    except subprocess.TimeoutExpired:
        return f"go did not finish in {DEADLINE:.0f} s"
    except OSError as error:
        return str(error)
    return printable(done.stderr.strip(), 500) or "go failed" if done.returncode else ""


def download_without_go(url: str) -> str:
    """The same with our own client: each zip must have the hash of its record. What went wrong, or nothing."""
    for module in HONEST:
        for kind in FileKind:
            status, body = ask(url, FileKey(module, kind).url_path)
            if status != 200:
                return f"{module}.{kind.value}: {printable(body)}"
        status, record = ask(
            url, f"sumdb/{DATABASE}/lookup/{escape_path(module.path)}@{escape_version(module.version)}"
        )
        try:
            h1 = _h1(module, body)
        except ZipRefused as error:
            return str(error)
        if status != 200 or f"{module.path} {module.version} {h1}\n".encode() not in record:
            return f"{module}: its record does not state {h1}"
    return ""


def ask(url: str, path: str) -> tuple[int, bytes]:
    """One GET below a proxy's URL: status and body; 0 and the reason when nobody answers."""
    try:
        return exchange(url, "GET", f"/{path}", {}, None, DEADLINE)
    except OSError as error:
        return 0, str(error.strerror or error).encode()


def downloader(go: Path | None, log: ForkableLog, scratch: Path) -> Callable[[str], str]:
    """With the real go command where there is one, else with our own client; from scratch each time."""
    if go is None:
        return download_without_go
    attempts = iter(range(1, 100))
    return lambda url: download_with_go(go, url, log, scratch / f"go{next(attempts)}")
