"""What the lab's machines want: a real project's module graph, downloaded once and kept with its proofs."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Final

from simulations.bench.children import Child
from simulations.bench.graphs import KNOWN, download, fetch_graph
from simulations.bench.nodes import running_node
from simulations.bench.plan import FULL
from simulations.bench.workshop import Proxy, Workshop, open_workshop, users_proxy
from simulations.lab.machines import Project

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PROVEN: Final = 300.0  # seconds that the proofs of all of it may take
_DONE: Final = "complete, with the project itself"


def get_project(name: str, cache: Path, environ: Mapping[str, str], upstream: str | None) -> Project:
    """The project of that name from the directory `cache`, filled from the user's upstream the first time."""
    directory = cache / name
    project = Project(KNOWN.get(name, name), directory / "source", directory / "modules")
    if (directory / _DONE).exists():
        return project
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    with open_workshop(FULL) as workshop:
        proxy = users_proxy(workshop.go, environ, upstream)
        graph = fetch_graph(workshop, name, proxy)
        with running_node(workshop, directory / "node", proxy) as node:
            through_node = Proxy(node.url, proxy.gosumdb)
            download(workshop, graph, through_node)
            _download_itself(workshop, project.name, through_node)
            node.wait_proven(PROVEN)
        (directory / "node" / "modules").rename(project.modules)
        shutil.rmtree(directory / "node")
        shutil.copytree(graph.directory, project.source)
    (directory / _DONE).touch()
    return project


def _download_itself(workshop: Workshop, name: str, proxy: Proxy) -> None:
    with workshop.module_cache() as cache:
        arguments = [str(workshop.go), "mod", "download", name]
        environ = workshop.environ(proxy, GOMODCACHE=str(cache))
        deadline = workshop.plan.download_deadline
        with Child(arguments, directory=workshop.memory, environ=environ, deadline=deadline) as child:
            child.finish()
