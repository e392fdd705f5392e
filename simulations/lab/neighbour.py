"""One machine has what plain go left in its module cache; the other has nothing, and no way out of the room."""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from simulations.bench.children import BenchFailed
from simulations.lab.machines import SECRET, UPSTREAM_URL, control, running_upstream, wait_until
from simulations.lab.room import LOCAL_URL, common

if TYPE_CHECKING:
    from collections.abc import Mapping

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


def build_from_a_neighbour(
    lab: Lab, machines: list[Machine], project: Project, environ: Mapping[str, str], package: str
) -> Neighbour:
    """`go install PACKAGE@VERSION` on a machine whose only source of anything is its neighbour; no go.sum is in play.

    The neighbour's module cache was filled by the go command alone, and has been online until all of it was proven.
    """
    giver, taker = machines[:2]
    wanted = f"{package}@{project.name.rpartition('@')[2]}"
    with running_upstream(lab, project, environ):
        filled = _install(giver, wanted, UPSTREAM_URL)
        settings = [*common(), "--swarm", f"lab:{SECRET}", "--module-cache", str(giver.directory / "modcache")]
        with giver.node(*settings):
            proven = wait_until(lambda: control(giver, "status")["held"]["unproven"] == 0, PROVEN)
            lab.cut_uplink()
            start = time.monotonic()
            with taker.node(*common(), "--swarm", f"lab:{SECRET}"):
                wait_until(lambda: any(peer["state"] == "alive" for peer in control(taker, "status")["peers"]), 30)
                met = time.monotonic() - start
                try:
                    built, failure = _install(taker, wanted, LOCAL_URL), ""
                except BenchFailed as error:
                    built, failure = 0.0, str(error)
                status = control(taker, "status")
        lab.restore_uplink()
    return Neighbour(filled, proven, met, built, status["traffic"], failure)


def _install(machine: Machine, wanted: str, goproxy: str) -> float:
    start = time.monotonic()
    done = subprocess.run(
        machine.go("install", wanted),
        cwd=machine.directory,
        env={**machine.settings(), "GOPROXY": goproxy, "GOFLAGS": "-modcacherw"},
        capture_output=True,
        text=True,
        timeout=BUILD_TIME,
        check=False,
    )
    if done.returncode:
        raise BenchFailed(f"go install {wanted}: {done.stderr.strip()[-600:]}")
    return time.monotonic() - start
