"""What is downloaded: a main module's go.mod and go.sum, and the proxy that has all they name."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from simulations.bench.children import BenchFailed, Child
from simulations.bench.workshop import ROOT, Proxy, Workshop, python

if TYPE_CHECKING:
    from collections.abc import Iterator

KNOWN: Final = {
    "prometheus": "github.com/prometheus/prometheus@v0.307.0",
    "caddy": "github.com/caddyserver/caddy/v2@v2.10.2",
}
UPSTREAM_LIFE: Final = 3600.0  # seconds that the built-in upstream may run
DELAY_MS: Final = 20  # from the built-in upstream to everybody


@dataclass(frozen=True, slots=True)
class Graph:
    """`directory` holds go.mod and go.sum of `name`."""

    name: str
    directory: Path


def fetch_graph(workshop: Workshop, name: str, proxy: Proxy) -> Graph:
    """The go.mod and go.sum in the zip of `name` (one of KNOWN, or module@version)."""
    module = KNOWN.get(name, name)
    directory = workshop.disk / "graph"
    directory.mkdir()
    with workshop.module_cache() as cache:
        arguments = [str(workshop.go), "mod", "download", "-json", module]
        environ = workshop.environ(proxy, GOMODCACHE=str(cache))
        deadline = workshop.plan.download_deadline
        with Child(arguments, directory=workshop.memory, environ=environ, deadline=deadline) as child:
            source = Path(json.loads(child.finish())["Dir"])
        for file in ("go.mod", "go.sum"):
            if not (source / file).is_file():
                raise BenchFailed(f"{module} has no {file}")
            shutil.copyfile(source / file, directory / file)
    return Graph(module, directory)


def download(workshop: Workshop, graph: Graph, proxy: Proxy) -> float:
    """Seconds that `go mod download` of the graph takes with an empty module cache in memory."""
    with workshop.module_cache() as cache, tempfile.TemporaryDirectory(dir=workshop.memory) as work:
        for file in ("go.mod", "go.sum"):
            shutil.copyfile(graph.directory / file, Path(work) / file)
        environ = workshop.environ(proxy, GOMODCACHE=str(cache))
        arguments = [str(workshop.go), "mod", "download"]
        start = time.monotonic()
        deadline = workshop.plan.download_deadline
        with Child(arguments, directory=Path(work), environ=environ, deadline=deadline) as child:
            child.finish()
            return time.monotonic() - start


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """The upstream of simulations.bench.upstream: its proxy and its graph of small modules."""

    proxy: Proxy
    graph: Graph


@contextmanager
def built_in_upstream(workshop: Workshop) -> Iterator[BuiltIn]:
    """Runs for as long as the block lasts."""
    directory = workshop.disk / "built-in"
    directory.mkdir()
    sizes = (str(workshop.plan.large_mb), str(workshop.plan.huge_mb))
    arguments = python("-m", "simulations.bench.upstream", str(directory), str(DELAY_MS), *sizes)
    with Child(arguments, directory=ROOT, environ=workshop.environ(), deadline=UPSTREAM_LIFE) as child:
        facts = json.loads(child.read_line())
        graph = Graph(f"a built-in upstream {DELAY_MS} ms away", directory)
        yield BuiltIn(Proxy(facts["url"], facts["sumdb"]), graph)
