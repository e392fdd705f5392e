"""A room of machines that want the same modules in the same second, behind one slow uplink."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from simulations.lab.machines import (
    API_PORT,
    SECRET,
    TOKEN,
    UPSTREAM_URL,
    Downloaded,
    Machine,
    control,
    download_all,
    running_upstream,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from simulations.lab.machines import Project
    from simulations.lab.netns import Lab

LOCAL_URL: Final = f"http://127.0.0.1:{API_PORT}"
BUSY: Final = 0.70  # of the processors: above it they were the limit, and the run says nothing about the network
SETTLE: Final = 3.0  # seconds of idleness before a storm


@dataclass(frozen=True, slots=True)
class Storm:
    """One way of doing it: how long each machine took, and what the upstream sent.

    `bound` is how many seconds so many machines need at least for all zips.
    """

    way: str
    downloads: tuple[Downloaded, ...]
    requests: int
    zip_bytes: int
    small_bytes: int
    distinct_zip_bytes: int
    bound: float
    cpu: float
    nodes: tuple[dict[str, Any], ...]

    @property
    def seconds(self) -> float:
        """Until the last had everything."""
        return max(download.seconds for download in self.downloads)

    @property
    def copies(self) -> float:
        """Zip bytes that the upstream sent over the bytes of the distinct zips, broken-off answers included."""
        return self.zip_bytes / self.distinct_zip_bytes if self.distinct_zip_bytes else 0.0

    @property
    def is_void(self) -> bool:
        return self.cpu > BUSY

    @property
    def failures(self) -> list[str]:
        return [download.failure for download in self.downloads if download.failure]


class Room:
    """Runs storms in a lab, one after the other, each with an upstream that counts from zero."""

    def __init__(self, lab: Lab, machines: list[Machine], project: Project, environ: Mapping[str, str]) -> None:
        self._lab = lab
        self._machines = machines
        self._project = project
        self._environ = environ

    def alone(self) -> Storm:
        """One machine with a node, nobody else."""
        with self._machines[0].node(*common(self._project), "--module-cache", "off", "--no-mesh"):
            return self._storm("one node alone", self._machines[:1], [LOCAL_URL], [self._machines[0]])

    def beside(self) -> Storm:
        """One machine with a node in a mesh, and a neighbour that holds nothing and wants nothing."""
        with self._meshed(self._machines[:2]):
            return self._storm("one beside an idle one", self._machines[:1], [LOCAL_URL], self._machines[:2])

    def direct(self) -> Storm:
        """Everyone asks the upstream."""
        return self._storm("everyone direct", self._machines, [UPSTREAM_URL] * len(self._machines), [])

    def shared(self) -> Storm:
        """Everyone asks one node in the room."""
        first = self._machines[0]
        remote = {
            "P2PMODS_ALLOW_REMOTE": "on",
            "P2PMODS_API_TOKEN": TOKEN,
            "P2PMODS_ALLOWED_HOSTS": first.host.address,
        }
        with first.node(*common(self._project, "0.0.0.0"), "--module-cache", "off", "--no-mesh", environ=remote):
            url = f"http://{first.host.address}:{API_PORT}/{TOKEN}"
            return self._storm("one shared node", self._machines, [url] * len(self._machines), [first])

    def mesh(self) -> Storm:
        """Everyone has a node, and the nodes form a mesh."""
        with self._meshed(self._machines):
            urls = [LOCAL_URL] * len(self._machines)
            return self._storm("mesh", self._machines, urls, self._machines)

    @contextmanager
    def _meshed(self, machines: list[Machine]) -> Iterator[None]:
        with ExitStack() as stack:
            for machine in machines:
                stack.enter_context(
                    machine.node(*common(self._project), "--module-cache", "off", "--swarm", f"lab:{SECRET}")
                )
            yield

    def _storm(self, way: str, machines: list[Machine], proxies: list[str], nodes: list[Machine]) -> Storm:
        with running_upstream(self._lab, self._project.modules, self._environ) as upstream:
            time.sleep(SETTLE)
            with processors() as cpu:
                downloads = download_all(machines, self._project, proxies)
            sent = upstream.tally()
            statuses = tuple(control(machine, "status") for machine in nodes)
        zips = {path: row for path, row in sent.items() if path.endswith(".zip")}
        sizes = {path: (self._project.modules / path.lstrip("/")).stat().st_size for path in zips}
        return Storm(
            way,
            tuple(downloads),
            sum(row["requests"] for row in sent.values()),
            sum(row["bytes"] for row in zips.values()),
            sum(row["bytes"] for path, row in sent.items() if path not in zips),
            sum(sizes.values()),
            self._lab.shortest(sum(sizes.values()), len(machines)),
            cpu[0],
            statuses,
        )


def common(project: Project, host: str = "127.0.0.1") -> list[str]:
    """Settings of every node."""
    return ["--listen", f"{host}:{API_PORT}", "--upstream", UPSTREAM_URL, "--sumdb", project.sumdb]


@contextmanager
def processors() -> Iterator[list[float]]:
    """How busy the processors were while the block ran, 0 to 1, in a list that is filled at its end."""
    before, result = _times(), [0.0]
    yield result
    after = _times()
    total = sum(after) - sum(before)
    result[0] = 1 - (after[3] + after[4] - before[3] - before[4]) / total if total else 0.0


def _times() -> list[int]:
    return [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
