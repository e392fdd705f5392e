"""How long a person waits for `up` to be ready, and for `--help`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from simulations.bench.children import Child
from simulations.bench.downloads import store_for
from simulations.bench.nodes import running_node
from simulations.bench.table import Reach, Row
from simulations.bench.workshop import ROOT, Workshop, python

if TYPE_CHECKING:
    from simulations.bench.workshop import Proxy

HELP_DEADLINE: Final = 30.0


def start_rows(workshop: Workshop, proxy: Proxy) -> list[Row]:
    """On the store that the cold download filled. The first start is not counted: it compiles and fills caches."""
    ready: list[float] = []
    shown: list[float] = []
    for _ in range(workshop.plan.start_rounds + 1):
        with running_node(workshop, store_for(workshop), proxy) as node:
            ready.append(node.ready_after)
        shown.append(_help_seconds(workshop))
    return [
        Row("until `up` is ready", "ms", tuple(ready[1:]), (), Reach("≤", 1.0)),
        Row("p2pmods --help", "ms", tuple(shown[1:]), (), Reach("≤", 0.25)),
    ]


def _help_seconds(workshop: Workshop) -> float:
    arguments = python("-m", "p2pmods", "--help")
    start = time.monotonic()
    with Child(arguments, directory=ROOT, environ=workshop.environ(), deadline=HELP_DEADLINE) as child:
        child.finish()
        return time.monotonic() - start
