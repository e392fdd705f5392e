"""A module proxy and a checksum database for the commands to talk to, in this process; the commands run in theirs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import trio

from p2pmods.gomod.h1 import hash_go_mod
from p2pmods.gomod.module import ModuleVersion
from p2pmods.gomod.zipcheck import check_module_zip
from p2pmods.testing.modzips import make_module_zip
from p2pmods.testing.sumdb import ForkableLog
from p2pmods.testing.upstream import FakeUpstream
from tests.cli.runner import Ended, p2pmods

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GREET = ModuleVersion("example.com/greet", "v1.0.0")
COLOUR = ModuleVersion("example.com/Colour/v2", "v2.3.1")
NEWER = ModuleVersion("example.com/greet", "v1.1.0")


class World:
    """`env` points p2pmods and go at the proxy and the database; everything they write is below `home`."""

    def __init__(self, home: Path) -> None:
        self.log = ForkableLog("sum.test.example")
        self.upstream = FakeUpstream(sumdb=self.log.answer)
        self.home = home
        self.data = home / "data"
        self.sums: dict[ModuleVersion, str] = {}
        for module in (GREET, COLOUR, NEWER):
            self.add(module)
        self.log.grow(3)

    def add(self, module: ModuleVersion) -> None:
        """Publish a module of one package whose text is its own name."""
        mod = f"module {module.path}\n\ngo 1.21\n".encode()
        name = "colour" if module is COLOUR else "greet"
        code = f'package {name}\n\nconst Name = "{module}"\n'.encode()
        data = make_module_zip(module, {"go.mod": mod, f"{name}.go": code})
        h1 = check_module_zip(module, len(data), lambda offset, length: data[offset : offset + length]).h1
        self.log.add(module, h1, hash_go_mod(mod))
        self.upstream.add(module, data, mod=mod)
        self.sums[module] = (
            f"{module.path} {module.version} {h1}\n{module.path} {module.version}/go.mod {hash_go_mod(mod)}\n"
        )

    @property
    def env(self) -> dict[str, str]:
        return {
            "P2PMODS_DATA": str(self.data),
            "P2PMODS_UPSTREAM": self.upstream.url,
            "P2PMODS_LISTEN": "127.0.0.1:0",
            "P2PMODS_MESH": "off",
            "P2PMODS_MDNS": "off",
            "GOSUMDB": self.log.verifier_key,
            "GOFLAGS": "-modcacherw",
            "GOTOOLCHAIN": "local",
            "GOPROXY": "off",
            "GOENV": "off",
        }

    def project(self, *modules: ModuleVersion, sums: bool = True) -> Path:
        """A main module that requires `modules`, with its go.sum."""
        directory = self.home / "project"
        directory.mkdir(exist_ok=True)
        requires = "".join(f"require {module.path} {module.version}\n" for module in modules)
        (directory / "go.mod").write_text(f"module example.com/main\n\ngo 1.21\n\n{requires}")
        if sums:
            (directory / "go.sum").write_text("".join(self.sums[module] for module in modules))
        return directory

    async def p2pmods(self, *arguments: str | Path, cwd: Path | None = None, **env: str) -> Ended:
        """Run one command to its end while the proxy here goes on answering."""
        return await trio.to_thread.run_sync(
            lambda: p2pmods(*arguments, env={**self.env, **env}, cwd=cwd or self.home)
        )

    @contextmanager
    def started(self, *arguments: str | Path, cwd: Path | None = None, **env: str) -> Iterator[subprocess.Popen[str]]:
        """A command that goes on while the block lasts."""
        process = subprocess.Popen(
            [sys.executable, "-m", "p2pmods", *map(str, arguments)],
            env={**os.environ, **self.env, **env},
            cwd=cwd or self.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            process.communicate(timeout=30)


def read_until(process: subprocess.Popen[str], start: str) -> list[str]:
    """The lines of its stdout up to and with the one that begins with `start`."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line.rstrip("\n"))
        if line.startswith(start):
            return lines
    raise AssertionError(f"it ended without {start!r}: {lines} {process.stderr.read() if process.stderr else ''}")


def wait_for(condition: object, seconds: float = 20) -> None:
    """Wait until `condition()` is true: another process's doing, of which no event tells."""
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
