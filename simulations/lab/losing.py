"""A neighbour that is the only source of everything goes away in the middle of a download."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from simulations.bench.workshop import python
from simulations.lab.machines import Machine, control, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from simulations.bench.children import Child

GONE_AFTER: Final = 100  # files, of about three hundred
MAKING_GO_SUM: Final = "-modcacherw -mod=mod"  # GOFLAGS
PATIENCE: Final = 300.0  # seconds until a command that does not end is given up
MET: Final = 30.0
LOOK: Final = 0.5  # seconds between two looks, each of which costs a process


@dataclass(frozen=True, slots=True)
class Lost:
    """What `p2pmods run` came to: its exit status, the seconds from the loss to its end, and its last line."""

    way: str
    files: int  # that had been served when the neighbour went
    status: int
    seconds: float
    line: str


@contextmanager
def unplugged(giver: Machine, _node: Child) -> Iterator[None]:
    giver.host.run("ip", "link", "set", "eth0", "down")
    yield
    giver.host.plug_in()


@contextmanager
def killed(_giver: Machine, node: Child) -> Iterator[None]:
    os.killpg(node.pid, signal.SIGKILL)
    yield


WAYS: Final[Mapping[str, Callable[[Machine, Child], AbstractContextManager[None]]]] = {
    "unplugged": unplugged,
    "killed": killed,  # the last: it is not there any more
}


def lose(way: str, giver: Machine, node: Child, taker: Machine, settings: Sequence[str], package: str) -> Lost:
    """`p2pmods run -- go build` of what imports `package`, on the empty taker; the giver, whose node it is, goes."""
    with taker.node(*settings):
        wait_until(lambda: any(peer["state"] == "alive" for peer in control(taker, "status")["peers"]), MET)
        command = python("-m", "p2pmods", "run", "--data", str(taker.data), "--", "go", "build", ".")
        with subprocess.Popen(
            taker.host.command(*command),
            cwd=make_program(taker, package),
            env={**taker.settings(), "GOFLAGS": MAKING_GO_SUM},
            stderr=subprocess.PIPE,
            text=True,
        ) as running:
            try:
                wait_until(lambda: _from_peers(taker) >= GONE_AFTER or running.poll() is not None, PATIENCE, LOOK)
                with WAYS[way](giver, node):
                    lost, served = time.monotonic(), _from_peers(taker)
                    _, complaints = running.communicate(timeout=PATIENCE)
                    seconds = time.monotonic() - lost
            finally:
                running.kill()
        return Lost(way, served, running.returncode, seconds, complaints.strip().splitlines()[-1])


def make_program(machine: Machine, package: str) -> Path:
    """The directory of a program that imports PACKAGE@VERSION, without a go.sum."""
    path, _, version = package.partition("@")
    directory = machine.directory / "program"
    directory.mkdir()
    module = path.partition("/cmd")[0]
    (directory / "go.mod").write_text(f"module example.com/program\n\ngo 1.25\n\nrequire {module} {version}\n")
    (directory / "main.go").write_text(f'package main\n\nimport _ "{path}"\n\nfunc main() {{}}\n')
    return directory


def _from_peers(machine: Machine) -> int:
    traffic: dict[str, Any] = control(machine, "status")["traffic"]
    return int(traffic["peer"]["files"])
