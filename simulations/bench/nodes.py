"""A node under measurement: `p2pmods up` as a child process, as a user starts it."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from p2pmods.cli.client import read_node_file
from simulations.bench.children import BenchFailed, Child
from simulations.bench.workshop import ROOT, Proxy, Workshop, python

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from simulations.bench.meter import Usage

NODE_LIFE: Final = 3600.0  # seconds
POLL: Final = 0.1  # seconds between two looks at the status


@dataclass(frozen=True, slots=True)
class BenchNode:
    """`ready_after` is seconds from the start of the process to its `ready` line."""

    data: Path
    url: str
    child: Child
    ready_after: float

    @property
    def modules(self) -> Path:
        """Its store, in the layout that `GOPROXY=file://` and any file server can serve."""
        return self.data / "modules"

    def usage(self) -> Usage | None:
        return self.child.usage()

    def status(self) -> dict[str, Any]:
        running = read_node_file(self.data)
        if running is None:
            raise BenchFailed("the node has gone")
        status: dict[str, Any] = running.get("status")
        return status

    def wait_proven(self, seconds: float) -> float:
        """Seconds until nothing was unproven; infinite when some is after `seconds`."""
        start = time.monotonic()
        while True:
            unproven = self.status()["held"]["unproven"]  # None until the first scan has ended
            waited = time.monotonic() - start
            if unproven == 0:
                return waited
            if waited >= seconds:
                return float("inf")
            time.sleep(POLL)


@contextmanager
def running_node(
    workshop: Workshop, data: Path, proxy: Proxy, *, cores: frozenset[int] = frozenset()
) -> Iterator[BenchNode]:
    """A node with this upstream and no module cache, in no swarm; GOPATH and the like it asks of `go env`."""
    settings = ["--data", str(data), "--listen", "127.0.0.1:0", "--module-cache", "off", "--no-mesh"]
    settings += ["--upstream", proxy.goproxy, "--sumdb", proxy.gosumdb, "--private", ""]
    arguments = python("-m", "p2pmods", "up", *settings)
    with Child(arguments, directory=ROOT, environ=workshop.environ(), deadline=NODE_LIFE, cores=cores) as child:
        url = child.read_line("ready ")
        yield BenchNode(data, url, child, time.monotonic() - child.started)
