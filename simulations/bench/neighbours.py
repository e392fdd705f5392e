"""What it costs to be in a mesh: against the same node that is in none. All nodes are on this machine."""

from __future__ import annotations

import shutil
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from statistics import median
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from p2pmods.gomod.module import FileKey, FileKind
from simulations.bench.children import BenchFailed
from simulations.bench.downloads import store_for
from simulations.bench.graphs import download
from simulations.bench.nodes import BenchNode, running_node
from simulations.bench.table import Reach, Row, amount
from simulations.bench.upstream import small_modules
from simulations.bench.workshop import Proxy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from p2pmods.gomod.module import ModuleVersion
    from simulations.bench.graphs import BuiltIn, Graph
    from simulations.bench.workshop import Workshop

MEET: Final = 15.0  # seconds in which two nodes on one machine have met
REQUEST_DEADLINE: Final = 60.0  # seconds
KINDS: Final = (FileKind.INFO, FileKind.MOD, FileKind.ZIP)  # as go asks for them


def cold_mesh_row(workshop: Workshop, graph: Graph, proxy: Proxy) -> Row:
    """A real graph, nothing held anywhere; the neighbour does nothing but be asked."""
    alone: list[float] = []
    meshed: list[float] = []
    for number in range(workshop.plan.cold_rounds):
        for in_mesh in (False, True) if number % 2 == 0 else (True, False):
            with _pair(workshop, proxy, in_mesh=in_mesh) as pair:
                (meshed if in_mesh else alone).append(download(workshop, graph, Proxy(pair.url, proxy.gosumdb)))
    notes = (graph.name, "a neighbour that holds nothing, on the same processors")
    return Row("cold download in a mesh / alone", "s", tuple(meshed), tuple(alone), Reach("≤", 1.2), notes)


def warm_mesh_row(workshop: Workshop, graph: Graph, proxy: Proxy) -> Row:
    """All of a real graph held, and served to go."""
    alone: list[float] = []
    meshed: list[float] = []
    for number in range(workshop.plan.warm_rounds):
        for in_mesh in (False, True) if number % 2 == 0 else (True, False):
            with _pair(workshop, proxy, in_mesh=in_mesh, data=store_for(workshop)) as pair:
                pair.wait_proven(workshop.plan.proof_deadline)
                through_node = Proxy(pair.url, proxy.gosumdb)
                download(workshop, graph, through_node)  # not counted: fills the page cache
                (meshed if in_mesh else alone).append(download(workshop, graph, through_node))
    return Row("warm download in a mesh / alone", "s", tuple(meshed), tuple(alone), Reach("≤", 1.03))


def small_mesh_rows(workshop: Workshop, built_in: BuiltIn) -> list[Row]:
    """Small modules one after the other, file by file: missed by all, and then held by the neighbour."""
    costs: list[float] = []
    hits: list[float] = []
    base: list[float] = []
    for _ in range(workshop.plan.load_rounds):
        with _pair(workshop, built_in.proxy, in_mesh=False) as node:
            alone = _files(node)
        with _pair(workshop, built_in.proxy, in_mesh=True) as node:
            missed = _files(node)
        base.append(median(alone))
        costs.append(median(missed) - median(alone))
        with _neighbour_with_all(workshop, built_in.proxy) as node:
            hits.append(median(_modules(node)))
    of_three = "p50 of .info, .mod and zip together"
    without = f"p50 of a file; {amount(median(base), 'ms')} without a mesh"
    return [
        Row("cost of a mesh on a miss", "ms", tuple(costs), (), Reach("≤", 0.010), (without,)),
        Row(
            "small module from a peer",
            "ms",
            tuple(hits),
            (),
            Reach("≤", 0.025),
            (of_three,),
        ),
    ]


@contextmanager
def _pair(workshop: Workshop, proxy: Proxy, *, in_mesh: bool, data: Path | None = None) -> Iterator[BenchNode]:
    """A node, on `data` or on nothing, that has met one that holds nothing; or the same node in no mesh."""
    with ExitStack() as stack:
        fresh = workshop.disk / "meshed"
        if not in_mesh:
            node = stack.enter_context(running_node(workshop, data or _emptied(fresh), proxy))
        else:
            other = stack.enter_context(
                running_node(workshop, _emptied(workshop.disk / "neighbour"), proxy, peers=())
            )
            node = stack.enter_context(
                running_node(workshop, data or _emptied(fresh), proxy, peers=(other.peer_address(),))
            )
            _wait_met(node)
        yield node


@contextmanager
def _neighbour_with_all(workshop: Workshop, proxy: Proxy) -> Iterator[BenchNode]:
    """An empty node whose neighbour has all small modules, proven."""
    with running_node(workshop, _emptied(workshop.disk / "neighbour"), proxy, peers=()) as holder:
        _files(holder)
        holder.wait_proven(workshop.plan.proof_deadline)
        data = _emptied(workshop.disk / "meshed")
        with running_node(workshop, data, proxy, peers=(holder.peer_address(),)) as node:
            _wait_met(node)
            yield node


def _emptied(directory: Path) -> Path:
    if directory.exists():
        shutil.rmtree(directory)
    return directory


def _wait_met(node: BenchNode) -> None:
    start = time.monotonic()
    while not any(peer["linked"] and peer["state"] == "alive" for peer in node.peers()):
        if time.monotonic() - start > MEET:
            raise BenchFailed("two nodes on this machine did not meet")
        time.sleep(0.1)
    time.sleep(2.0)  # until what only a new node waits for is over


@dataclass(slots=True)
class _Client:
    """One connection, as go keeps it."""

    node: BenchNode

    def seconds(self, modules: list[ModuleVersion]) -> Iterator[list[float]]:
        """For each module, what each of its files took."""
        address = urlsplit(self.node.url)
        connection = HTTPConnection(address.hostname or "", address.port, timeout=REQUEST_DEADLINE)
        try:
            for module in modules:
                yield [self._one(connection, address.path, FileKey(module, kind)) for kind in KINDS]
        finally:
            connection.close()

    def _one(self, connection: HTTPConnection, path: str, key: FileKey) -> float:
        start = time.monotonic()
        connection.request("GET", f"{path.rstrip('/')}/{key.url_path}")
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise BenchFailed(f"{key}: {answer.status}")
        return time.monotonic() - start


def _files(node: BenchNode) -> list[float]:
    return [seconds for module in _Client(node).seconds(small_modules()) for seconds in module]


def _modules(node: BenchNode) -> list[float]:
    return [sum(module) for module in _Client(node).seconds(small_modules())]
