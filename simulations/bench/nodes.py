"""A node under measurement: `p2pmods up` as a child process, as a user starts it."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from p2pmods.cli.client import read_node_file
from p2pmods.node.nodefile import NODE_FILE
from simulations.bench.children import BenchFailed, Child
from simulations.bench.workshop import ROOT, Proxy, Workshop, python

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from p2pmods.cli.client import RunningNode
    from simulations.bench.meter import Usage

NODE_LIFE: Final = 3600.0  # seconds
SECRET: Final = "be" * 32  # of the swarm that the nodes are in, when they are in one
JOIN: Final = 10.0  # seconds from `ready` until it is in its swarm
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
        status: dict[str, Any] = self._running().get("status")
        return status

    def peers(self) -> list[dict[str, Any]]:
        """As `p2pmods peers --json` lists them."""
        peers: list[dict[str, Any]] = self._running().get("peers")["peers"]
        return peers

    def peer_address(self) -> str:
        """Where other nodes find it, once it is in its swarm."""
        start = time.monotonic()
        while (peer := json.loads((self.data / NODE_FILE).read_bytes())["peer"]) is None:
            if time.monotonic() - start > JOIN:
                raise BenchFailed("the node is in no swarm")
            time.sleep(POLL)
        return str(peer)

    def _running(self) -> RunningNode:
        running = read_node_file(self.data)
        if running is None:
            raise BenchFailed("the node has gone")
        return running

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
    workshop: Workshop,
    data: Path,
    proxy: Proxy,
    *,
    cores: frozenset[int] = frozenset(),
    peers: tuple[str, ...] | None = None,
) -> Iterator[BenchNode]:
    """A node with this upstream and no module cache; GOPATH and the like it asks of `go env`.

    In no swarm when `peers` is None, else in one that begins with these addresses.
    """
    settings = ["--data", str(data), "--listen", "127.0.0.1:0", "--module-cache", "off"]
    settings += ["--no-mesh"] if peers is None else ["--mesh", "--no-mdns", "--peer-listen", "127.0.0.1:0"]
    for peer in peers or ():
        settings += ["--peer", peer]
    settings += ["--upstream", proxy.goproxy, "--sumdb", proxy.gosumdb, "--private", ""]
    arguments = python("-m", "p2pmods", "up", *settings)
    environ = workshop.environ(CI="", P2PMODS_SWARM=f"bench:{SECRET}")
    with Child(arguments, directory=ROOT, environ=environ, deadline=NODE_LIFE, cores=cores) as child:
        url = child.read_line("ready ")
        yield BenchNode(data, url, child, time.monotonic() - child.started)
