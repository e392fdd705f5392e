"""What is outside the room in some scenarios: a code host with a name and a certificate, and a checksum database."""

from __future__ import annotations

import json
import shutil
import subprocess
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import trustme

from simulations.bench.children import BenchFailed, Child
from simulations.bench.workshop import ROOT, python
from simulations.lab import checksumdb, codehost
from simulations.lab.machines import LIFE
from simulations.lab.netns import UPSTREAM

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from p2pmods.gomod.module import ModuleVersion
    from simulations.lab.machines import Machine
    from simulations.lab.netns import Lab

CODE_HOST: Final = "code.lab.example"
# Reserved (RFC 7535) and yet of global reach: a node asks no code host that is inside its own network.
_ADDRESS: Final = "192.31.196.1"
_NAMES: Final = Path("/etc/netns")  # `ip netns exec` puts what is below NAME there over /etc
_GO_DEADLINE: Final = 120.0


@dataclass(frozen=True, slots=True)
class Outside:
    """`repositories` is what the code host serves as long as `host` runs; `environ` makes programs believe it."""

    lab: Lab
    repositories: Path
    host: Child
    environ: Mapping[str, str]
    modules: Mapping[str, str]  # path to version

    @property
    def node_settings(self) -> list[str]:
        """For a node that gets modules from version control, and believes this database."""
        database = f"{checksumdb.verifier_key()} http://{UPSTREAM}:{checksumdb.PORT}"
        return ["--upstream", "direct", "--sumdb", database]


@contextmanager
def names_outside(lab: Lab) -> Iterator[None]:
    """Every machine of the lab knows the code host's name, and no other."""
    lab.upstream.run("ip", "addr", "add", f"{_ADDRESS}/32", "dev", "eth0")
    lab.router.run("ip", "route", "add", "default", "via", UPSTREAM)
    machines = (lab.upstream, lab.router, *lab.hosts)
    try:
        for machine in machines:
            directory = _NAMES / machine.namespace
            directory.mkdir(parents=True)
            (directory / "hosts").write_text(f"127.0.0.1 localhost\n{_ADDRESS} {CODE_HOST}\n")
            (directory / "resolv.conf").write_text("nameserver 127.0.0.1\n")
        yield
    finally:
        for machine in machines:
            shutil.rmtree(_NAMES / machine.namespace, ignore_errors=True)
        with suppress(OSError):
            _NAMES.rmdir()


@contextmanager
def running_outside(
    lab: Lab,
    base: Path,
    visitor: Machine,
    environ: Mapping[str, str],
    *,
    recorded: Sequence[ModuleVersion] = (),
    unrecorded: Sequence[ModuleVersion] = (),
) -> Iterator[Outside]:
    """Within `names_outside`: a code host with repositories, and a database of what `visitor` sees there.

    `recorded` and `unrecorded` are libraries beside the usual ones; of the latter the database does not know.
    """
    base.mkdir(parents=True)
    authority = trustme.CA()
    certificate = authority.issue_cert(CODE_HOST)
    authority.cert_pem.write_to_path(str(base / "ca.pem"))
    certificate.private_key_and_cert_chain_pem.write_to_path(str(base / "host.pem"))
    believing = {"SSL_CERT_FILE": str(base / "ca.pem"), "GIT_SSL_CAINFO": str(base / "ca.pem")}
    codehost.fill(base / "repositories", CODE_HOST, [*recorded, *unrecorded])
    records = base / "records.json"
    with ExitStack() as stack:
        arguments = ["simulations.lab.codehost", str(base / "repositories"), str(base / "host.pem")]
        host = stack.enter_context(_service(lab, arguments, environ))
        seen = look(visitor, believing, recorded)
        records.write_text(json.dumps(seen))
        arguments = ["simulations.lab.checksumdb", str(records), str(checksumdb.PORT)]
        stack.enter_context(_service(lab, arguments, environ))
        modules = {path: version for path, version, *_ in seen}
        yield Outside(lab, base / "repositories", host, believing, modules)


@contextmanager
def _service(lab: Lab, arguments: list[str], environ: Mapping[str, str]) -> Iterator[Child]:
    command = lab.upstream.command(*python("-m", *arguments))
    with Child(command, directory=ROOT, environ=environ, deadline=LIFE) as child:
        child.read_line("ready")
        yield child


def look(visitor: Machine, believing: Mapping[str, str], more: Sequence[ModuleVersion]) -> list[list[str]]:
    """Path, version and the two hashes of every module, as the go command finds them at the code host."""
    names = ("gadget@v0.2.0", "widget@v1.1.0", "widget/sub@v0.1.0", "Plain@main")
    usual = [f"{CODE_HOST}/acme/{name}" for name in names]
    return [ask_directly(visitor, name, believing) for name in (*usual, *map(str, more))]


def ask_directly(visitor: Machine, name: str, believing: Mapping[str, str]) -> list[str]:
    """The same of one module version, from version control, with an empty module cache. Raises BenchFailed."""
    cache = visitor.directory / "direct"
    done = subprocess.run(
        visitor.go("mod", "download", "-json", name),
        cwd=visitor.directory,
        env={
            **visitor.settings(),
            **believing,
            "GOPROXY": "direct",
            "GOSUMDB": "off",
            "GOVCS": "*:git",
            "GOMODCACHE": str(cache),
        },
        capture_output=True,
        text=True,
        timeout=_GO_DEADLINE,
        check=False,
    )
    shutil.rmtree(cache, ignore_errors=True)
    answer = json.loads(done.stdout or "{}")
    if done.returncode:
        raise BenchFailed(f"go mod download {name}: {answer.get('Error') or done.stderr.strip()}")
    return [answer[field] for field in ("Path", "Version", "Sum", "GoModSum")]
