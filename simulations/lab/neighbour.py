"""One machine has what plain go left in its module cache; the other has nothing, and no way out of the room."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from simulations.bench.children import BenchFailed
from simulations.lab.losing import MAKING_GO_SUM, WAYS, Lost, lose, make_program
from simulations.lab.machines import SECRET, UPSTREAM_URL, control, running_upstream, wait_until
from simulations.lab.room import LOCAL_URL, common

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from simulations.lab.machines import Machine, Project
    from simulations.lab.netns import Lab

BUILD_TIME: Final = 900.0  # seconds for one build on a busy machine
PROVEN: Final = 300.0


@dataclass(frozen=True, slots=True)
class Neighbour:
    """`met` and `built` are seconds; `traffic` is what the empty machine's node says of where the bytes came from."""

    filled: float
    proven: float
    met: float
    built: float
    traffic: dict[str, Any]
    failure: str
    losses: tuple[Lost, ...]


def build_from_a_neighbour(
    lab: Lab, machines: list[Machine], project: Project, environ: Mapping[str, str], package: str
) -> Neighbour:
    """`go install PACKAGE@VERSION` on a machine whose only source of anything is its neighbour; no go.sum is in play.

    The neighbour's module cache was filled by the go command alone, and has been online until all of it was proven.
    """
    giver, taker = machines[:2]  # and one more empty machine for each way of losing the giver
    wanted = f"{package}@{project.name.rpartition('@')[2]}"
    with running_upstream(lab, project.modules, environ):
        filled = _install(giver, wanted, UPSTREAM_URL)
        imported = wanted.replace("/cmd/caddy@", "/cmd@")
        _go(giver, make_program(giver, imported), UPSTREAM_URL, "build", "-o", os.devnull, ".")
        empty = [*common(project), "--swarm", f"lab:{SECRET}"]
        settings = [*empty, "--module-cache", str(giver.directory / "modcache")]
        with giver.node(*settings) as node:
            proven = wait_until(lambda: control(giver, "status")["held"]["unproven"] == 0, PROVEN)
            lab.cut_uplink()
            start = time.monotonic()
            with taker.node(*empty):
                wait_until(lambda: any(peer["state"] == "alive" for peer in control(taker, "status")["peers"]), 30)
                met = time.monotonic() - start
                try:
                    built, failure = _install(taker, wanted, LOCAL_URL), ""
                except BenchFailed as error:
                    built, failure = 0.0, str(error)
                traffic = control(taker, "status")["traffic"]
            losses = [
                lose(way, giver, node, other, empty, imported) for way, other in zip(WAYS, machines[2:], strict=True)
            ]
        lab.restore_uplink()
    return Neighbour(filled, proven, met, built, traffic, failure, tuple(losses))


def _install(machine: Machine, wanted: str, goproxy: str) -> float:
    return _go(machine, machine.directory, goproxy, "install", wanted)


def _go(machine: Machine, directory: Path, goproxy: str, *arguments: str) -> float:
    start = time.monotonic()
    done = subprocess.run(
        machine.go(*arguments),
        cwd=directory,
        env={**machine.settings(), "GOPROXY": goproxy, "GOFLAGS": MAKING_GO_SUM},
        capture_output=True,
        text=True,
        timeout=BUILD_TIME,
        check=False,
    )
    if done.returncode:
        raise BenchFailed(f"go {' '.join(arguments)}: {done.stderr.strip()[-600:]}")
    return time.monotonic() - start
