"""A link between two processes against a plain TLS connection between two: bytes a second, and small answers."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from simulations.bench.children import Child
from simulations.bench.table import Reach, Row
from simulations.bench.workshop import ROOT, Workshop, python

if TYPE_CHECKING:
    from collections.abc import Iterator

LIFE: Final = 120.0
KINDS: Final = ("node", "plain")


def link_rows(workshop: Workshop) -> list[Row]:
    """Server and load on a processor each, where there are two."""
    results: dict[str, list[dict[str, float]]] = {kind: [] for kind in KINDS}
    with _serving(workshop, "node") as node, _serving(workshop, "plain") as plain:
        for _ in range(workshop.plan.load_rounds):
            for kind, port in (("node", node), ("plain", plain)):
                results[kind].append(_load(workshop, kind, port))
    ours, theirs = (results[kind] for kind in KINDS)
    megabytes, trips = workshop.plan.link_mb, workshop.plan.link_trips
    return [
        Row(
            "link, bytes/s",
            "B/s",
            _column(ours, "bytes_per_s"),
            _column(theirs, "bytes_per_s"),
            Reach("≥", 0.4),
            (f"{megabytes} MB in one answer, against blocking TLS sockets",),
        ),
        Row(
            "link, answers/s",
            "/s",
            _column(ours, "requests_per_s"),
            _column(theirs, "requests_per_s"),
            None,
            (f"{trips} of 64 bytes, one after the other",),
        ),
        Row("link, answers/s, 32 at once", "/s", _column(ours, "at_once_per_s")),
    ]


def _column(results: list[dict[str, float]], name: str) -> tuple[float, ...]:
    return tuple(result[name] for result in results)


@contextmanager
def _serving(workshop: Workshop, kind: str) -> Iterator[int]:
    """The port of the one that serves."""
    arguments = python("-m", "simulations.bench.linkpeer", "serve", kind, str(workshop.disk))
    environ, cores = workshop.environ(), workshop.server_cores
    with Child(arguments, directory=ROOT, environ=environ, deadline=LIFE * 2, cores=cores) as child:
        yield int(child.read_line("ready "))


def _load(workshop: Workshop, kind: str, port: int) -> dict[str, float]:
    sizes = (str(workshop.plan.link_mb), str(workshop.plan.link_trips))
    command = python("-m", "simulations.bench.linkpeer", "load", kind, str(workshop.disk), str(port), *sizes)
    environ, cores = workshop.environ(), workshop.load_cores
    with Child(command, directory=ROOT, environ=environ, deadline=LIFE, cores=cores) as child:
        result: dict[str, float] = json.loads(child.finish())
    return result
