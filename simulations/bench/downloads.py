"""`go mod download` through a node: with nothing held against going direct, with all held against `file://`."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from simulations.bench.graphs import Graph, download
from simulations.bench.nodes import BenchNode, running_node
from simulations.bench.table import Reach, Row, amount
from simulations.bench.workshop import Proxy, Workshop

if TYPE_CHECKING:
    from pathlib import Path

    from simulations.bench.meter import Usage


@dataclass(frozen=True, slots=True)
class ColdRun:
    """One download through a node that held nothing."""

    seconds: float
    proven_after: float  # seconds from its end until nothing was unproven
    ready: Usage | None  # the node's before the download
    answered: Usage | None  # after it
    proven: Usage | None  # when nothing was unproven


def store_for(workshop: Workshop) -> Path:
    """Where the data directory lies that the last cold run leaves behind."""
    return workshop.disk / "full"


def cold_rows(workshop: Workshop, graph: Graph, proxy: Proxy) -> list[Row]:
    """Each round both, taking turns in going first."""
    nodes: list[ColdRun] = []
    direct: list[float] = []
    for number in range(workshop.plan.cold_rounds):
        if number % 2 == 0:
            direct.append(download(workshop, graph, proxy))
        nodes.append(cold_run(workshop, graph, proxy))
        if number % 2 == 1:
            direct.append(download(workshop, graph, proxy))
    seconds = tuple(run.seconds for run in nodes)
    return [
        Row("cold download / direct", "s", seconds, tuple(direct), Reach("≤", 1.15), (graph.name, *_cpu(nodes))),
        _proofs(workshop, nodes),
        *_peak(nodes),
    ]


def _cpu(runs: list[ColdRun]) -> tuple[str, ...]:
    last = runs[-1]
    if last.ready is None or last.answered is None or last.proven is None:
        return ()
    answering, proving = last.answered.cpu - last.ready.cpu, last.proven.cpu - last.answered.cpu
    return (f"node's CPU {answering:.1f} s, then {proving:.1f} s until all was proven",)


def _proofs(workshop: Workshop, runs: list[ColdRun]) -> Row:
    late = "" if all(run.proven_after < float("inf") for run in runs) else "some still unproven at the deadline"
    notes = (late or "from the end of the cold download", f"deadline {workshop.plan.proof_deadline:.0f} s")
    return Row("until nothing is unproven", "s", tuple(run.proven_after for run in runs), (), Reach("≤", 60), notes)


def _peak(runs: list[ColdRun]) -> list[Row]:
    peaks = tuple(float(run.proven.peak) for run in runs if run.proven is not None)
    reach = Reach("≤", 130e6)
    if not peaks:
        return [Row("memory, cold download", reach=reach, failed="no /proc here")]
    return [Row("memory, cold download", "MB", peaks, (), reach, ("peak resident, proofs included",))]


def cold_run(workshop: Workshop, graph: Graph, proxy: Proxy) -> ColdRun:
    """One, in a fresh data directory, which stays for the warm rows in place of the one before."""
    data = store_for(workshop)
    if data.exists():
        shutil.rmtree(data)
    with running_node(workshop, data, proxy) as node:
        ready = node.usage()
        seconds = download(workshop, graph, Proxy(node.url, proxy.gosumdb))
        answered = node.usage()
        proven_after = node.wait_proven(workshop.plan.proof_deadline)
        return ColdRun(seconds, proven_after, ready, answered, node.usage())


def warm_rows(workshop: Workshop, graph: Graph, proxy: Proxy) -> list[Row]:
    """A new node on the full store; the same files through `file://`. Its memory at rest comes first."""
    with running_node(workshop, store_for(workshop), proxy) as node:
        node.wait_proven(workshop.plan.proof_deadline)
        return [_idle(node), _warm(workshop, graph, proxy, node)]


def _warm(workshop: Workshop, graph: Graph, proxy: Proxy, node: BenchNode) -> Row:
    through_node = Proxy(node.url, proxy.gosumdb)
    through_files = Proxy(node.modules.as_uri(), proxy.gosumdb)
    nodes: list[float] = []
    files: list[float] = []
    download(workshop, graph, through_files)  # not counted: fills the page cache
    before = node.usage()
    for _ in range(workshop.plan.warm_rounds):
        nodes.append(download(workshop, graph, through_node))
        files.append(download(workshop, graph, through_files))
    after = node.usage()
    cpu = f"node's CPU {amount((after.cpu - before.cpu) / len(nodes), 's')} a round" if before and after else ""
    notes = (cpu,) if cpu else ()
    return Row("warm download / file://", "s", tuple(nodes), tuple(files), Reach("≤", 1.07), notes)


def _idle(node: BenchNode) -> Row:
    usage, reach = node.usage(), Reach("≤", 90e6)
    if usage is None:
        return Row("memory, idle", reach=reach, failed="no /proc here")
    held = node.status()["held"]
    notes = (f"resident at rest, {held['modules']} modules held, peak {amount(usage.peak, 'MB')}",)
    return Row("memory, idle", "MB", (float(usage.resident),), (), reach, notes)
