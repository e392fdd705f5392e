"""A module proxy with its own checksum database, some milliseconds away, in a process of its own.

`python -m simulations.bench.upstream DIR DELAY_MS LARGE_MB HUGE_MB` writes a go.mod and go.sum of its small modules
to DIR, prints one line of JSON (`url`, `sumdb`), and serves until its standard input ends. `/-/count/<path>` answers
how often `/<path>` was asked for.
"""

from __future__ import annotations

import json
import random
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import trio

from p2pmods.gomod.h1 import hash_go_mod
from p2pmods.gomod.module import ModuleVersion
from p2pmods.gomod.zipcheck import check_module_zip
from p2pmods.testing.modzips import Crafted, craft_zip, deflate, make_module_zip
from p2pmods.testing.sumdb import ForkableLog
from p2pmods.testing.upstream import FakeUpstream
from p2pmods.testing.upstream_faults import Answer, Asked, send

if TYPE_CHECKING:
    from p2pmods.testing.upstream_faults import Exchange, Fault

LARGE: Final = ModuleVersion("example.org/bench/large", "v1.0.0")
HUGE: Final = ModuleVersion("example.org/bench/huge", "v1.0.0")
MODULES: Final = 40
COUNT: Final = "/-/count"
_BLOCK: Final = 8_000_000  # bytes of one file in a large zip


class CountingUpstream(FakeUpstream):
    """Also tells over HTTP how often something was asked of it."""

    def answer(self, asked: Asked) -> Answer:
        if not asked.path.startswith(COUNT):
            return super().answer(asked)
        wanted = asked.path.removeprefix(COUNT)
        return Answer(200, str(self.requests.count(wanted)).encode())


class World:
    """The upstream, its database, and the go.sum that says what is in it."""

    def __init__(self) -> None:
        self.log = ForkableLog("sum.example.org", "bench")
        self.upstream = CountingUpstream(sumdb=self.log.answer)
        self.sums: list[str] = []

    def publish(self, module: ModuleVersion, mod: bytes, data: bytes) -> None:
        zip_h1 = check_module_zip(module, len(data), lambda offset, length: data[offset : offset + length]).h1
        mod_h1 = hash_go_mod(mod)
        self.upstream.add(module, data, mod=mod)
        self.log.add(module, zip_h1, mod_h1)
        self.sums += [f"{module.path} {module.version} {zip_h1}", f"{module.path} {module.version}/go.mod {mod_h1}"]

    def publish_graph(self, directory: Path) -> None:
        """Small modules, and the main module that needs them all."""
        modules = small_modules()
        for number, module in enumerate(modules):
            self.publish(module, go_mod(module.path), _small_zip(module, number))
        needs = "".join(f"\t{module.path} {module.version}\n" for module in modules)
        (directory / "go.mod").write_bytes(go_mod("example.org/bench") + f"\nrequire (\n{needs})\n".encode())
        (directory / "go.sum").write_text("\n".join([*self.sums, ""]), encoding="utf-8")

    def publish_large(self, module: ModuleVersion, megabytes: int) -> None:
        """A zip that deflate cannot make smaller."""
        content = random.Random(megabytes).randbytes(_BLOCK)
        packed = deflate(content)
        names = [f"{module}/data{number}.bin".encode() for number in range(megabytes * 1_000_000 // _BLOCK)]
        mod = go_mod(module.path)
        files = [Crafted(name, content, raw=packed) for name in names]
        self.publish(module, mod, craft_zip([Crafted(f"{module}/go.mod".encode(), mod), *files]))


def small_modules() -> list[ModuleVersion]:
    """What it publishes besides the large ones."""
    return [ModuleVersion(f"example.org/bench/m{number:02}", f"v1.{number}.0") for number in range(MODULES)]


def go_mod(path: str) -> bytes:
    """Of a module that needs nothing."""
    return f"module {path}\n\ngo 1.21\n".encode()


def _small_zip(module: ModuleVersion, seed: int) -> bytes:
    """Fifty files of 8 kB that deflate to a third."""
    words = [f"word{number}" for number in range(500)]
    chance = random.Random(seed)
    files = {f"file{number}.go": " ".join(chance.choices(words, k=1000)).encode() for number in range(50)}
    return make_module_zip(module, {"go.mod": go_mod(module.path), **files})


def far_away(seconds: float) -> Fault:
    """Answer honestly, after this long."""

    async def fault(exchange: Exchange) -> None:
        await trio.sleep(seconds)
        await send(exchange)

    return fault


async def main(directory: Path, delay_ms: int, *, large_mb: int, huge_mb: int) -> None:
    world = World()
    world.publish_graph(directory)
    world.publish_large(LARGE, large_mb)
    world.publish_large(HUGE, huge_mb)
    world.upstream.fault("", far_away(delay_ms / 1000))
    async with world.upstream.running() as upstream:
        print(json.dumps({"url": upstream.url, "sumdb": world.log.verifier_key}), flush=True)
        await trio.to_thread.run_sync(sys.stdin.read, abandon_on_cancel=True)


if __name__ == "__main__":
    delay_ms, large_mb, huge_mb = map(int, sys.argv[2:])
    trio.run(partial(main, Path(sys.argv[1]), delay_ms, large_mb=large_mb, huge_mb=huge_mb))
