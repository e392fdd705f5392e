"""What runs on the lab's machines: the upstream, nodes as a user starts them, and the real go command."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from simulations.bench.children import BenchFailed, Child
from simulations.bench.workshop import ROOT, go_settings, python

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from simulations.lab.netns import Host, Lab

PORT: Final = 8080  # of the upstream
API_PORT: Final = 3070  # of every node
SECRET: Final = "5a" * 32  # of the lab's own swarm
TOKEN: Final = "lab-token-for-the-room"
LIFE: Final = 3600.0  # seconds that anything here may run
_NOT_OURS: Final = ("P2PMODS_", "CI", "GOSUMDB")  # beginnings of names of variables that stay outside
UPSTREAM_URL: Final = f"http://198.51.100.1:{PORT}"


@dataclass(frozen=True, slots=True)
class Project:
    """A main module: `source` holds its go.mod and go.sum, `modules` all that they name, in the layout of a proxy.

    `sumdb` is what GOSUMDB has to be for it.
    """

    name: str
    source: Path
    modules: Path
    sumdb: str = "sum.golang.org"


@dataclass(frozen=True, slots=True)
class Downloaded:
    """What one `go mod download` came to."""

    seconds: float
    failure: str


def environ_of_machines(go: Path) -> dict[str, str]:
    """What everything on the machines begins with: this process's environment, without the user's settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_OURS)}
    return kept | {"PYTHONPATH": str(ROOT), "PATH": f"{go.parent}{os.pathsep}{kept.get('PATH', '')}"}


class Machine:
    """One host with a directory of its own, a go command and, at times, a node."""

    def __init__(self, host: Host, directory: Path, go: Path, environ: Mapping[str, str]) -> None:
        self.host = host
        self.directory = directory
        self._go = go
        self._environ = environ
        self._download: subprocess.Popen[str] | None = None
        directory.mkdir(parents=True)

    @property
    def data(self) -> Path:
        return self.directory / "node"

    @contextmanager
    def node(
        self, *settings: str, environ: Mapping[str, str] | None = None, module: str = "p2pmods"
    ) -> Iterator[Child]:
        """`p2pmods up` with these settings and variables beside the usual ones; its log is in the directory.

        `module` is what is run in place of `p2pmods`, with the same arguments.
        """
        with self.start_node(*settings, environ=environ, module=module) as child:
            child.read_line("ready ")
            yield child

    def start_node(self, *settings: str, environ: Mapping[str, str] | None = None, module: str = "p2pmods") -> Child:
        """The same, without waiting for its `ready `."""
        return self.start("-m", module, "up", "--data", str(self.data), "--private", "", *settings, environ=environ)

    def start(self, *arguments: str, environ: Mapping[str, str] | None = None) -> Child:
        """Python with these arguments, its complaints in node.log."""
        with_log = ["sh", "-c", 'log=$1; shift; exec "$@" 2>>"$log"', "sh", str(self.directory / "node.log")]
        command = self.host.command(*with_log, *python(*arguments))
        return Child(command, directory=ROOT, environ={**self.settings(), **(environ or {})}, deadline=LIFE)

    def fresh_download(self, project: Project, goproxy: str) -> subprocess.Popen[str]:
        """Start `go mod download` with an empty module cache."""
        work = self.directory / "work"
        shutil.rmtree(work, ignore_errors=True)
        shutil.rmtree(self.directory / "modcache", ignore_errors=True)
        work.mkdir()
        for file in ("go.mod", "go.sum"):
            shutil.copyfile(project.source / file, work / file)
        self._download = subprocess.Popen(
            self.go("mod", "download"),
            cwd=work,
            env={"GOSUMDB": project.sumdb, **self.settings(), "GOPROXY": goproxy},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        return self._download

    def give_up(self) -> None:
        """End its download, if one is under way."""
        if self._download is not None:
            self._download.kill()

    def go(self, *arguments: str) -> list[str]:
        """A command line for the go command, on this machine."""
        return self.host.command(str(self._go), *arguments)

    def settings(self) -> dict[str, str]:
        """The environment of everything on this machine."""
        settings = {**self._environ, **go_settings(self.directory / "gopath")}
        return {
            **settings,
            "P2PMODS_LOG": "debug",
            "GOMODCACHE": str(self.directory / "modcache"),
            "HOME": str(self.directory),
        }


def download_all(
    machines: list[Machine],
    project: Project,
    goproxies: list[str],
    meanwhile: Callable[[], None] = lambda: None,
) -> list[Downloaded]:
    """`go mod download` on all of them in the same second; returns when the last has ended.

    `meanwhile` is called again and again until then.
    """
    start = time.monotonic()
    running = [machine.fresh_download(project, proxy) for machine, proxy in zip(machines, goproxies, strict=True)]
    done: dict[int, Downloaded] = {}
    try:
        while len(done) < len(running):
            for i, process in enumerate(running):
                if i not in done and process.poll() is not None:
                    assert process.stderr is not None
                    failure = process.stderr.read().strip() if process.returncode else ""
                    done[i] = Downloaded(time.monotonic() - start, failure)
            if time.monotonic() - start > LIFE:
                raise BenchFailed(f"{len(running) - len(done)} downloads did not end in {LIFE:.0f} s")
            meanwhile()
            time.sleep(0.02)
    finally:
        for process in running:
            process.kill()
            process.wait()
            assert process.stderr is not None
            process.stderr.close()
    return [done[i] for i in range(len(running))]


class RunningUpstream:
    """The counting proxy in its own namespace, while it runs."""

    def __init__(self, child: Child) -> None:
        self._child = child

    def tally(self) -> dict[str, dict[str, int]]:
        """What it has sent since it started: for each path `requests` and `bytes`."""
        found: dict[str, dict[str, int]] = self._ask("tally")
        return found

    def under_way(self) -> list[dict[str, Any]]:
        """The bodies that it is sending: for each `client` (its address), `path` and `sent`."""
        found: list[dict[str, Any]] = self._ask("under way")
        return found

    def _ask(self, question: str) -> Any:
        self._child.write_line(question)
        return json.loads(self._child.read_line())


@contextmanager
def running_upstream(
    lab: Lab, modules: Path, environ: Mapping[str, str], *, port: int = PORT, captives: Sequence[str] = ()
) -> Iterator[RunningUpstream]:
    """Serves the directory; `captives` are addresses that get a login page for everything."""
    arguments = python("-m", "simulations.lab.upstream", str(modules), str(port), *captives)
    with Child(lab.upstream.command(*arguments), directory=ROOT, environ=environ, deadline=LIFE) as child:
        child.read_line("ready")
        yield RunningUpstream(child)


@contextmanager
def capturing(host: Host, file: Path, environ: Mapping[str, str]) -> Iterator[None]:
    """Every frame at the interfaces of `host` goes to the file; the router has one end of all of the lab's."""
    command = host.command(*python("-m", "simulations.lab.capture", str(file)))
    with Child(command, directory=ROOT, environ=environ, deadline=LIFE) as child:
        child.read_line("ready")
        yield


def control(machine: Machine, name: str) -> Any:
    """What the machine's node says to `GET /-/api/v1/NAME`."""
    facts = json.loads((machine.data / "node.json").read_text())
    command = machine.host.command(*python("-c", _CONTROL, facts["api"], facts["token"], name))
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise BenchFailed(f"{machine.host.namespace}: {done.stderr.strip()[-200:]}")
    return json.loads(done.stdout)


_CONTROL: Final = (
    "import sys,urllib.request as u;a,t,n=sys.argv[1:];"
    "r=u.Request(f'{a}/-/api/v1/{n}',headers={'Authorization':f'Bearer {t}'});"
    "sys.stdout.write(u.urlopen(r,timeout=30).read().decode())"
)


def wait_until(is_so: Callable[[], bool], seconds: float, look: float = 0.1) -> float:
    """How long it took until it was so, seen every `look` seconds. Raises BenchFailed after `seconds`."""
    start = time.monotonic()
    while not is_so():
        if time.monotonic() - start > seconds:
            raise BenchFailed(f"not so after {seconds:.0f} s")
        time.sleep(look)
    return time.monotonic() - start
