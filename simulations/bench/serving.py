"""Requests and bytes a second of a node against Go's own file server, both on one processor, over the same files."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit

from p2pmods.gomod.module import FileKey, FileKind
from simulations.bench.children import BenchFailed, Child
from simulations.bench.downloads import store_for
from simulations.bench.nodes import BenchNode, running_node
from simulations.bench.table import Reach, Row, amount
from simulations.bench.upstream import COUNT, HUGE, LARGE
from simulations.bench.workshop import ROOT, Proxy, Workshop

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from p2pmods.gomod.module import ModuleVersion
    from simulations.bench.meter import Usage

_Results = list[dict[str, float]]

CLIENTS: Final = 64
MAX_URLS: Final = 200  # on one command line
SMALL_CONNECTIONS: Final = 8
ZIP_CONNECTIONS: Final = 2
REQUEST_DEADLINE: Final = 120.0  # seconds between two bytes
SERVER_LIFE: Final = 600.0
_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Server:
    """What is put under load: its URL and its process."""

    url: str
    child: Child


def small_rows(workshop: Workshop, proxy: Proxy) -> list[Row]:
    """The `.mod` and `.info` files of the graph."""
    with (
        running_node(workshop, store_for(workshop), proxy, cores=workshop.server_cores) as node,
        file_server(workshop, node.modules) as server,
    ):
        node.wait_proven(workshop.plan.proof_deadline)
        targets = small_targets(node.modules)
        ours, theirs, cpu = _race(
            workshop, Server(node.url, node.child), server, targets, ("-connections", str(SMALL_CONNECTIONS))
        )
    figures = [[result["requests_per_s"] for result in results] for results in (ours, theirs)]
    return [Row("small file, requests/s", "/s", tuple(figures[0]), tuple(figures[1]), Reach("≥", 0.62), cpu)]


def zip_rows(workshop: Workshop, proxy: Proxy) -> list[Row]:
    """64 clients want one large zip that the node lacks; then it is served as fast as it can."""
    target = _target(LARGE)
    with (
        running_node(workshop, workshop.disk / "zips", proxy, cores=workshop.server_cores) as node,
        file_server(workshop, node.modules) as server,
    ):
        rows = [_crowd(node, proxy, target)]
        node.wait_proven(workshop.plan.proof_deadline)
        arguments = ("-discard", "-connections", str(ZIP_CONNECTIONS))
        ours, theirs, cpu = _race(workshop, Server(node.url, node.child), server, [target], arguments)
    figures = [[result["bytes_per_s"] for result in results] for results in (ours, theirs)]
    what = f"{workshop.plan.large_mb} MB zip, bytes/s"
    return [*rows, Row(what, "B/s", tuple(figures[0]), tuple(figures[1]), Reach("≥", 1.3), cpu)]


def _crowd(node: BenchNode, proxy: Proxy, target: str) -> Row:
    """All 64 ask before the upstream has answered the first."""
    start = time.monotonic()
    with ThreadPoolExecutor(CLIENTS) as pool:
        sizes = set(pool.map(lambda _: read_all(node.url + target), range(CLIENTS)))
    took = time.monotonic() - start
    if len(sizes) != 1:
        raise BenchFailed(f"clients got {len(sizes)} different lengths of one zip")
    asked = float(read_text(f"{proxy.goproxy}{COUNT}{target}"))
    notes = (f"upstream requests; all served after {took:.1f} s",)
    return Row(f"{CLIENTS} clients, one missing zip", "", (asked,), (), Reach("=", 1), notes)


def huge_rows(workshop: Workshop, proxy: Proxy) -> list[Row]:
    """Peak memory while a zip of the largest kind comes in, is checked and is served."""
    what, reach = f"memory, {workshop.plan.huge_mb} MB zip", Reach("≤", 130e6)
    with running_node(workshop, workshop.disk / "huge", proxy) as node:
        start = time.monotonic()
        size = read_all(node.url + _target(HUGE))
        took = time.monotonic() - start
        if read_all(node.url + _target(HUGE)) != size:
            raise BenchFailed("the huge zip came with another length the second time")
        node.wait_proven(workshop.plan.proof_deadline)
        usage = node.usage()
    if usage is None:
        return [Row(what, reach=reach, failed="no /proc here")]
    notes = (f"peak resident; downloaded, checked and served in {took:.1f} s, node's CPU {usage.cpu:.1f} s",)
    return [Row(what, "MB", (float(usage.peak),), (), reach, notes)]


@contextmanager
def file_server(workshop: Workshop, directory: Path) -> Iterator[Server]:
    """Go's net/http file server over `directory`."""
    arguments = [workshop.tool("gofileserver"), "-dir", str(directory)]
    environ, cores = workshop.environ(), workshop.server_cores
    with Child(arguments, directory=ROOT, environ=environ, deadline=SERVER_LIFE, cores=cores) as child:
        yield Server(child.read_line("ready "), child)


def small_targets(modules: Path) -> list[str]:
    """URL paths of small files in the store, spread evenly over it, percent-encoded as go sends them."""
    files = sorted(path for kind in ("mod", "info") for path in modules.rglob(f"@v/*.{kind}"))
    if not files:
        raise BenchFailed("the store holds no small files: the cold download did not run")
    step = -(-len(files) // MAX_URLS)
    return [quote(f"/{path.relative_to(modules).as_posix()}", safe="/@") for path in files[::step]]


def _target(module: ModuleVersion) -> str:
    return quote(f"/{FileKey(module, FileKind.ZIP).url_path}", safe="/@")


def _race(
    workshop: Workshop, node: Server, other: Server, targets: Sequence[str], arguments: Sequence[str]
) -> tuple[_Results, _Results, tuple[str, ...]]:
    """What goload says of the node and of the other in each round, and notes on the processors' part in it."""
    for server in (node, other):
        _load(workshop, server, targets, ("-duration", "200ms", *arguments))  # not counted: fills caches
    arguments = ("-duration", f"{workshop.plan.load_seconds}s", *arguments)
    ours: _Results = []
    theirs: _Results = []
    before = node.child.usage(), other.child.usage()
    for _ in range(workshop.plan.load_rounds):
        ours.append(_load(workshop, node, targets, arguments))
        theirs.append(_load(workshop, other, targets, arguments))
    costs = (_cpu(node, before[0], ours), _cpu(other, before[1], theirs))
    one_core = "a processor each for server and load" if workshop.load_cores else "all processors shared"
    return ours, theirs, (f"CPU a request: node {costs[0]}, other {costs[1]}", one_core)


def _cpu(server: Server, before: Usage | None, results: _Results) -> str:
    """CPU time of the server for one request."""
    after = server.child.usage()
    if before is None or after is None:
        return "unknown"
    return amount((after.cpu - before.cpu) / sum(result["requests"] for result in results), "µs")


def _load(workshop: Workshop, server: Server, targets: Sequence[str], arguments: Sequence[str]) -> dict[str, float]:
    command = [workshop.tool("goload"), *arguments, *(server.url + target for target in targets)]
    deadline = workshop.plan.load_seconds + 60
    environ, cores = workshop.environ(), workshop.load_cores
    with Child(command, directory=ROOT, environ=environ, deadline=deadline, cores=cores) as child:
        result: dict[str, float] = json.loads(child.finish())
    return result


def read_text(url: str) -> str:
    """The body of a small 200 answer."""
    return b"".join(_chunks(url)).decode()


def read_all(url: str) -> int:
    """Length of the body of a 200 answer, which is read and thrown away."""
    return sum(map(len, _chunks(url)))


def _chunks(url: str) -> Iterator[bytes]:
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=REQUEST_DEADLINE)
    try:
        connection.request("GET", parts.path)
        answer = connection.getresponse()
        if answer.status != 200:
            raise BenchFailed(f"{url}: {answer.status} {answer.read(200)!r}")
        while chunk := answer.read(_CHUNK):
            yield chunk
    except (OSError, HTTPException) as error:
        raise BenchFailed(f"{url}: {type(error).__name__}: {error}") from error
    finally:
        connection.close()
