"""`p2pmods demo`: what a node is for, told with a real one, on this machine alone."""

from __future__ import annotations

import logging
import os
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog
import trio

from p2pmods.cli.client import read_node_file
from p2pmods.cli.demoworld import DATABASE, FORGED, HONEST, World, ask, downloader, make_world
from p2pmods.cli.output import plural, say, table
from p2pmods.cli.runcmd import remove_tree
from p2pmods.cli.sessions import open_session, summary
from p2pmods.config import load_config
from p2pmods.errors import UserError, printable
from p2pmods.goenv import find_go
from p2pmods.gomod.module import FileKey, FileKind
from p2pmods.node import run_node

if TYPE_CHECKING:
    from collections.abc import Callable

    from p2pmods.cli.client import RunningNode
    from p2pmods.config import Config
    from p2pmods.gomod.module import ModuleVersion
    from p2pmods.node import Node

DEADLINE: Final = 60.0  # seconds for the whole story
_WORDS: Final = {"upstream": "the upstream", "store": "the node's own store", "module-cache": "a module cache"}


def demo() -> int:
    """Tell the story; 0 when everything went as told, UserError when something did not."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    place = Path(tempfile.mkdtemp(prefix="p2pmods-demo-"))
    say(f"Everything below happens on this machine, in {place}, which is removed at the end.")
    try:
        trio.run(_with_deadline, place)
    finally:
        remove_tree(place)
    say("")
    say("That was one machine. With your own modules, the first thing to type is:  p2pmods run -- go build ./...")
    return 0


async def _with_deadline(place: Path) -> None:
    try:
        with trio.fail_after(DEADLINE):
            await _story(place)
    except trio.TooSlowError as error:
        raise UserError(f"the demo did not finish in {DEADLINE:.0f} s") from error


async def _story(place: Path) -> None:
    go, world = find_go(os.environ), make_world()
    async with trio.open_nursery() as nursery:
        stop_upstream = await nursery.start(_run_upstream, world)
        node, stop_node = await nursery.start(_run_node, _config(place / "node", world))
        client = "the go command" if go else "this demo's own client"
        story = _Story(world, node, downloader(go, world.log, place), client)
        await story.tell(stop_upstream)
        if go is not None:
            await story.tell_of_files(stop_node)
        nursery.cancel_scope.cancel()


async def _run_upstream(world: World, *, task_status: trio.TaskStatus[trio.CancelScope]) -> None:
    async with trio.open_nursery() as nursery:
        await nursery.start(world.upstream.serve)
        task_status.started(nursery.cancel_scope)


async def _run_node(config: Config, *, task_status: trio.TaskStatus[tuple[Node, trio.CancelScope]]) -> None:
    async with trio.open_nursery() as nursery:
        node = await nursery.start(partial(run_node, environ={}), config)
        task_status.started((node, nursery.cancel_scope))


def _config(data: Path, world: World) -> Config:
    """A node of the demo's own: nothing of this user's settings, nor of the go command's, gets in."""
    flags = {
        "data": str(data),
        "listen": "127.0.0.1:0",
        "upstream": world.upstream.url,
        "sumdb": world.log.verifier_key,
        "private": "",
        "offline": False,
        "module_cache": "off",
        "mesh": False,
        "mdns": False,
    }
    return load_config(flags, {"P2PMODS_GOPATH": str(data / "gopath")}, lambda: None)


@dataclass(frozen=True, slots=True)
class _Story:
    """Tells it, and checks every sentence: UserError when one is not true."""

    world: World
    node: Node
    download: Callable[[str], str]
    client: str

    async def tell(self, stop_upstream: trio.CancelScope) -> None:
        self._introduce()
        say(f"\n3. {self.client.capitalize()}, with an empty cache, downloads them through the node.")
        await self._download_all(expected="upstream")
        say("\n4. The upstream begins to lie: it serves other bytes than the database signed.")
        await self._ask_for_the_forged()
        say("\n5. The upstream is switched off.")
        stop_upstream.cancel()
        await self._see_that_it_is_gone()
        say(f"\n6. {self.client.capitalize()} starts from scratch, with a new empty cache, and asks the node again.")
        await self._download_all(expected="store")

    async def tell_of_files(self, stop_node: trio.CancelScope) -> None:
        """The store is a proxy by itself: go reads it with no node, checksum database included."""
        modules = self.node.store.modules
        stop_node.cancel()
        say("\n7. The node is switched off too. Its files alone are enough for go, proofs included:")
        say(f"     GOPROXY={modules.as_uri()}")
        problem = await trio.to_thread.run_sync(self.download, modules.as_uri())
        if problem:
            raise UserError(f"the download from the files failed: {problem}")
        say(f"   {plural(len(HONEST), 'module')}, from the files")

    def _introduce(self) -> None:
        upstream, log = self.world.upstream, self.world.log
        say(f"\n1. An upstream, {upstream.url}: a module proxy with {len(HONEST)} modules,")
        say(f"   and the checksum database {DATABASE}, whose log of {log.size} records is signed.")
        say(f"\n2. A p2pmods node in front of it, {self.node.url}. It holds nothing yet.")

    async def _download_all(self, *, expected: str) -> None:
        session = await trio.to_thread.run_sync(open_session, self._running(), None, None)
        problem = await trio.to_thread.run_sync(self.download, session.url)
        if problem:
            raise UserError(f"the download failed: {problem}")
        report = await trio.to_thread.run_sync(session.end)
        await self.node.duties.wait_written()  # answers do not wait for the disk, but `why` looks there
        for line in table(self._row(module, expected) for module in HONEST):
            say(f"     {line}")
        say(f"   {summary(report)}")
        if set(report["sources"]) != {expected} or report["modules"] != len(HONEST):
            raise UserError(f"not everything came from {_WORDS[expected]}: {report['sources']}")
        if report["unproven"]:
            raise UserError(f"{plural(report['unproven'], 'file')} came without proof")

    def _running(self) -> RunningNode:
        running = read_node_file(self.node.config.data)
        if running is None:
            raise UserError("the node wrote no node.json")
        return running

    def _row(self, module: ModuleVersion, source: str) -> tuple[str, str, str]:
        return str(module), f"from {_WORDS[source]}", self._proof(module)

    def _proof(self, module: ModuleVersion) -> str:
        report = self.node.duties.why(module) or {"files": []}
        proofs = [item for file in report["files"] if file["name"] == "zip" for item in file["evidence"]]
        for proof in proofs:
            if proof["kind"] == "sumdb":
                return f"proven: record {proof['record']} of {proof['tree']} signed by {proof['database']}"
        raise UserError(f"{module}: nothing proves its zip")

    async def _ask_for_the_forged(self) -> None:
        for kind in (FileKind.MOD, FileKind.ZIP):
            path = FileKey(FORGED, kind).url_path
            status, body = await trio.to_thread.run_sync(ask, self.node.url, path)
        if status == 200:
            raise UserError(f"the node served the forged {FORGED}")
        say(f"     {FORGED}.zip: refused with {status}, and not a byte of it reached the client:")
        for line in body.decode("utf-8", "replace").splitlines()[:8]:
            say(f"       {printable(line, 300)}")

    async def _see_that_it_is_gone(self) -> None:
        status, reason = await trio.to_thread.run_sync(ask, self.world.upstream.url, "example.com/greet/@v/list")
        if status:
            raise UserError("the upstream still answers")
        say(f"     {self.world.upstream.url}: {printable(reason)}")
