"""`python -m simulations.bench`: prints one table of what the node costs. See README.md."""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from p2pmods.errors import P2pmodsError
from simulations.bench.children import BenchFailed
from simulations.bench.downloads import cold_rows, cold_run, warm_rows
from simulations.bench.graphs import KNOWN, built_in_upstream, fetch_graph
from simulations.bench.hashing import hash_rows
from simulations.bench.linking import link_rows
from simulations.bench.neighbours import cold_mesh_row, small_mesh_rows, warm_mesh_row
from simulations.bench.plan import FULL, QUICK
from simulations.bench.serving import huge_rows, small_rows, zip_rows
from simulations.bench.starting import start_rows
from simulations.bench.table import Row, format_table
from simulations.bench.workshop import Workshop, open_workshop, users_proxy

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulations.bench.graphs import BuiltIn, Graph
    from simulations.bench.workshop import Proxy

PARTS: Final = ("cold", "warm", "small", "hash", "start", "mesh", "link", "peer", "zip", "huge")
GRAPH_PARTS: Final = frozenset(PARTS[:6])
BUILT_IN_PARTS: Final = frozenset(PARTS[7:])


def main(arguments: list[str]) -> int:
    """0 when everything was measured, whatever the figures; 1 when something could not be."""
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that children and directories are cleared away
    started = time.monotonic()
    try:
        with open_workshop(QUICK if options.quick else FULL) as workshop:
            facts = _facts()
            rows = _measure(workshop, options)
    except (BenchFailed, P2pmodsError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    facts["seconds"] = round(time.monotonic() - started)
    print(format_table(rows))
    print("  ".join(f"{name} {value}" for name, value in facts.items()))
    if options.json:
        document = {**facts, "quick": options.quick, "rows": [row.as_json() for row in rows]}
        options.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return 1 if any(row.failed for row in rows) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m simulations.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small version without network, for CI")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there too")
    known = ", ".join(KNOWN)
    parser.add_argument(
        "--graph", default="prometheus", metavar="NAME", help=f"{known}, or MODULE@VERSION with a go.sum"
    )
    parser.add_argument("--upstream", metavar="LIST", help="in GOPROXY syntax; default: what `go env GOPROXY` says")
    parser.add_argument("--only", type=_parts, default=PARTS, metavar="PART,…", help=f"of {', '.join(PARTS)}")
    return parser


def _parts(text: str) -> tuple[str, ...]:
    wanted = tuple(text.split(","))
    unknown = [part for part in wanted if part not in PARTS]
    if unknown:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(PARTS)}")
    return wanted


def _measure(workshop: Workshop, options: argparse.Namespace) -> list[Row]:
    only: frozenset[str] = frozenset(options.only)
    if options.quick:
        with built_in_upstream(workshop) as built_in:
            rows = _graph_rows(workshop, built_in.graph, built_in.proxy, only) + _link_rows(workshop, only)
            return rows + _built_in_rows(workshop, built_in, only)
    rows = []
    if only & GRAPH_PARTS:
        proxy = users_proxy(workshop.go, os.environ, options.upstream)
        rows = _graph_rows(workshop, fetch_graph(workshop, options.graph, proxy), proxy, only)
    rows += _link_rows(workshop, only)
    if only & BUILT_IN_PARTS:
        with built_in_upstream(workshop) as built_in:  # only now: it takes memory
            rows += _built_in_rows(workshop, built_in, only)
    return rows


def _graph_rows(workshop: Workshop, graph: Graph, proxy: Proxy, only: frozenset[str]) -> list[Row]:
    """What is measured on the store that downloads of the graph fill."""
    parts = {
        "cold": lambda: cold_rows(workshop, graph, proxy),
        "warm": lambda: warm_rows(workshop, graph, proxy),
        "small": lambda: small_rows(workshop, proxy),
        "hash": lambda: hash_rows(workshop),
        "start": lambda: start_rows(workshop, proxy),
        "mesh": lambda: [cold_mesh_row(workshop, graph, proxy), warm_mesh_row(workshop, graph, proxy)],
    }
    if "cold" not in only and only & GRAPH_PARTS:
        _say("filling a store")
        cold_run(workshop, graph, proxy)
    return _rows(parts, only)


def _link_rows(workshop: Workshop, only: frozenset[str]) -> list[Row]:
    return _rows({"link": lambda: link_rows(workshop)}, only)


def _built_in_rows(workshop: Workshop, built_in: BuiltIn, only: frozenset[str]) -> list[Row]:
    """What is measured on small modules that are near, and on large zips."""
    parts = {
        "peer": lambda: small_mesh_rows(workshop, built_in),
        "zip": lambda: zip_rows(workshop, built_in.proxy),
        "huge": lambda: huge_rows(workshop, built_in.proxy),
    }
    return _rows(parts, only)


def _rows(parts: dict[str, Callable[[], list[Row]]], only: frozenset[str]) -> list[Row]:
    return [row for name, part in parts.items() if name in only for row in _run(name, part)]


def _run(name: str, part: Callable[[], list[Row]]) -> list[Row]:
    """The part's rows; one that says why when it could not be measured, so that the others still are."""
    _say(f"measuring {name}")
    try:
        return part()
    except (BenchFailed, P2pmodsError, OSError) as error:
        _say(f"{name} failed: {error}")
        return [Row(name, failed=f"{type(error).__name__}: {error}")]


def _say(text: str) -> None:
    print(f"bench: {text} …", file=sys.stderr, flush=True)


def _facts() -> dict[str, Any]:
    """What the figures depend on."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "processors": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
