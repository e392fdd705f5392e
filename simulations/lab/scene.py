"""A room under a fault: nodes that are not all alike, a storm of downloads, and what happens in the midst of it."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Final

from p2pmods.directory.rendezvous import homes
from p2pmods.gomod.module import FileKey, FileKind
from p2pmods.identity.swarm import Swarm
from p2pmods.mesh.names import key_of_file
from simulations.bench.children import BenchFailed
from simulations.lab.machines import PORT, SECRET, UPSTREAM_URL, control, download_all, running_upstream
from simulations.lab.room import LOCAL_URL, SETTLE, common, processors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from simulations.bench.children import Child
    from simulations.lab.excerpt import Material
    from simulations.lab.machines import Downloaded, Machine, Project, RunningUpstream
    from simulations.lab.netns import Lab

MEET_TIME: Final = 30.0  # seconds until everyone must have met everyone
_OTHER_PORT: Final = 8081  # of the upstream that zips otherwise


class Odd(Enum):
    """In what one machine differs from the others."""

    CAPTIVE = auto()  # a login page answers for every upstream
    DIALS_ONLY = auto()  # a firewall before it lets nobody in
    OTHER_UPSTREAM = auto()  # whose zips have the same hashes, and other bytes
    NO_SUMDB = auto()  # GOSUMDB=off


@dataclass(frozen=True, slots=True)
class Sent:
    """What all upstreams have sent, broken-off answers included: of all files, of zips, and of each of those once."""

    all_bytes: int
    zip_bytes: int
    distinct: int

    def since(self, before: Sent) -> Sent:
        """What was sent after `before`."""
        return Sent(
            self.all_bytes - before.all_bytes, self.zip_bytes - before.zip_bytes, self.distinct - before.distinct
        )

    @property
    def copies(self) -> float:
        return self.zip_bytes / self.distinct if self.distinct else 0.0


@dataclass(frozen=True, slots=True)
class StormReport:
    """`sent` is of this storm alone; `downloads` of the machines in order, None for those that were killed."""

    downloads: tuple[Downloaded | None, ...]
    sent: Sent
    cpu: float

    @property
    def expected(self) -> int:
        return sum(download is not None for download in self.downloads)

    @property
    def failures(self) -> list[str]:
        return [download.failure for download in self.downloads if download is not None and download.failure]

    @property
    def seconds(self) -> float:
        return max((download.seconds for download in self.downloads if download is not None), default=0.0)


@dataclass
class Scene:
    """Verbs for what a fault does. Machines are counted from 0; the large zip is that of `material`."""

    lab: Lab
    machines: list[Machine]
    material: Material
    upstreams: list[RunningUpstream]
    nodes: list[Child]
    notes: dict[str, Any]
    at_half: Callable[[Scene], None] | None = None
    _killed: set[int] = field(default_factory=set)
    _due: list[tuple[float, Callable[[], None]]] = field(default_factory=list)

    # Who is who.

    def fetcher(self) -> int:
        """Who is receiving the large zip from upstream; the one who is furthest."""
        bodies = self._large_bodies()
        if not bodies:
            raise BenchFailed("nobody is fetching the large zip")
        return self._index(max(bodies, key=lambda body: body["sent"])["client"])

    def first_home(self) -> int:
        """Of the large zip: the first of its homes that does not fetch it itself."""
        ids = {self._facts(i)["node_id"]: i for i in range(len(self.nodes)) if i not in self._killed}
        key = key_of_file(Swarm("lab", bytes.fromhex(SECRET)), FileKey(self.material.large, FileKind.ZIP))
        fetcher = self.fetcher()
        return next(ids[node] for node in homes(key, ids) if ids[node] != fetcher)

    def _facts(self, i: int) -> Any:
        return json.loads((self.machines[i].data / "node.json").read_text())

    def _index(self, address: str) -> int:
        return next(i for i, machine in enumerate(self.machines) if machine.host.address == address)

    def _large_bodies(self) -> list[dict[str, Any]]:
        path = f"/{FileKey(self.material.large, FileKind.ZIP).url_path}"
        return [body for upstream in self.upstreams for body in upstream.under_way() if body["path"] == path]

    # What can happen.

    def kill(self, i: int) -> None:
        """Node and download of that machine end at once, as by kill -9."""
        self._killed.add(i)
        self.nodes[i].kill()
        self.machines[i].give_up()
        self._note_kill(i)

    def unplug(self, i: int) -> None:
        """Its cable is pulled: nobody hears from it that it is gone."""
        self._killed.add(i)
        self.lab.isolate(self.machines[i].host)
        self.machines[i].give_up()
        self._note_kill(i)

    def _note_kill(self, i: int) -> None:
        self.notes["killed"] = i
        self.notes["killed at"] = time.monotonic()

    def separate_halves(self) -> None:
        self.lab.separate(*self._halves())

    def rejoin_halves(self) -> None:
        self.lab.rejoin(*self._halves())

    def _halves(self) -> tuple[Sequence[Any], Sequence[Any]]:
        hosts = [machine.host for machine in self.machines]
        return hosts[: len(hosts) // 2], hosts[len(hosts) // 2 :]

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """During the storm, so many seconds from now."""
        self._due.append((time.monotonic() + seconds, action))

    # What is done and seen.

    def storm(self, project: Project) -> StormReport:
        """Everyone who is alive downloads; `at_half` happens once half of the large zip has left an upstream."""
        alive = [i for i in range(len(self.nodes)) if i not in self._killed]
        before = self.sent()
        with processors() as cpu:
            machines = [self.machines[i] for i in alive]
            done = download_all(machines, project, [LOCAL_URL] * len(alive), self._look)
        downloads = dict(zip(alive, done, strict=True))
        after = self.sent()
        if self.at_half is not None and project is self.material.project:
            raise BenchFailed("the storm was over before half of the large zip had been sent")
        return StormReport(
            tuple(None if i in self._killed else downloads.get(i) for i in range(len(self.nodes))),
            after.since(before),
            cpu[0],
        )

    def _look(self) -> None:
        now = time.monotonic()
        for due in [due for due in self._due if due[0] <= now]:
            self._due.remove(due)
            due[1]()
        if self.at_half is not None:
            size = self._size_of(f"/{FileKey(self.material.large, FileKind.ZIP).url_path}")
            if any(body["sent"] * 2 >= size for body in self._large_bodies()):
                strike, self.at_half = self.at_half, None
                strike(self)
        elif "killed at" in self.notes and "taken over after" not in self.notes:
            gone = self.machines[self.notes["killed"]].host.address
            if any(body["client"] != gone and body["sent"] for body in self._large_bodies()):
                self.notes["taken over after"] = now - self.notes["killed at"]

    def sent(self) -> Sent:
        """By all upstreams since they started."""
        everything = 0
        zips: dict[str, int] = {}
        for upstream in self.upstreams:
            for path, row in upstream.tally().items():
                everything += row["bytes"]
                if path.endswith(".zip"):
                    zips[path] = zips.get(path, 0) + row["bytes"]
        return Sent(everything, sum(zips.values()), sum(self._size_of(path) for path in zips))

    def _size_of(self, path: str) -> int:
        return (self.material.project.modules / path.lstrip("/")).stat().st_size

    def wait_met(self, seconds: float = MEET_TIME) -> float:
        """Seconds until every living node takes every other one for alive. BenchFailed when that does not happen."""
        start = time.monotonic()
        alive = [i for i in range(len(self.nodes)) if i not in self._killed]
        everyone = {self._facts(i)["node_id"] for i in alive}
        for i in alive:
            while missing := everyone - self._taken_for_alive(i):
                if time.monotonic() - start > seconds:
                    raise BenchFailed(f"machine {i} has not met {len(missing)} others after {seconds:.0f} s")
                time.sleep(0.2)
        return time.monotonic() - start

    def _taken_for_alive(self, i: int) -> set[str]:
        peers = control(self.machines[i], "status")["peers"]
        return {peer["node_id"] for peer in peers if peer["state"] == "alive"} | {self._facts(i)["node_id"]}


@contextmanager
def open_scene(
    lab: Lab,
    machines: list[Machine],
    material: Material,
    environ: Mapping[str, str],
    notes: dict[str, Any],
    *,
    odd: Mapping[int, Odd],
    liars: Sequence[str],
) -> Iterator[Scene]:
    """Nodes run on all but the last machines, where the liars are. What is seen by the way goes into `notes`."""
    honest = machines[: len(machines) - len(liars)]
    captives = [machine.host.address for i, machine in enumerate(honest) if odd.get(i) is Odd.CAPTIVE]
    for i, machine in enumerate(honest):
        if odd.get(i) is Odd.DIALS_ONLY:
            lab.admit_replies_only(machine.host)
    with ExitStack() as stack:
        upstreams = [
            stack.enter_context(running_upstream(lab, material.project.modules, environ, captives=captives)),
            stack.enter_context(running_upstream(lab, material.rezipped, environ, port=_OTHER_PORT)),
        ]
        started = [machine.start_node(*_settings(material.project, odd.get(i))) for i, machine in enumerate(honest)]
        nodes = [stack.enter_context(node) for node in started]
        for node in nodes:
            node.read_line("ready ")
        scene = Scene(lab, honest, material, upstreams, nodes, notes)
        time.sleep(SETTLE)
        for machine, way in zip(machines[len(honest) :], liars, strict=True):
            stack.enter_context(_lying(machine, way, scene)).read_line("ready")
        yield scene


def _settings(project: Project, odd: Odd | None) -> list[str]:
    settings = [*common(project), "--module-cache", "off", "--swarm", f"lab:{SECRET}"]
    if odd is Odd.OTHER_UPSTREAM:
        settings += ["--upstream", UPSTREAM_URL.replace(str(PORT), str(_OTHER_PORT))]
    if odd is Odd.NO_SUMDB:
        settings += ["--sumdb", "off"]
    return settings


def _lying(machine: Machine, way: str, scene: Scene) -> Child:
    facts = [json.loads((one.data / "node.json").read_text()) for one in scene.machines]
    others = [f"{node['node_id']}={node['peer']}" for node in facts if node["peer"]]
    directory = str(machine.directory / "liar")
    return machine.start("-m", "simulations.lab.liar", way, directory, SECRET, machine.host.address, *others)
