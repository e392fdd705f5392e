"""The demo's story, told step by step; every sentence is checked before or after it is said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import trio

from p2pmods.cli.demoworld import DATABASE, FORGED, HONEST, ask
from p2pmods.cli.output import plural, say, size, table
from p2pmods.cli.sessions import open_session, summary
from p2pmods.errors import UserError, printable
from p2pmods.gomod.module import FileKey, FileKind

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from p2pmods.cli.client import RunningNode
    from p2pmods.cli.demoworld import World
    from p2pmods.gomod.module import ModuleVersion
    from p2pmods.node import Node

REFUSED: Final = 403
LOOK: Final = 0.02  # seconds between two looks at whether something has happened


@dataclass(frozen=True, slots=True)
class Machine:
    """One of the nodes: what would be a machine of its own elsewhere."""

    name: str
    node: Node
    running: RunningNode
    stop: trio.CancelScope


class Start(Protocol):
    """Starts a node that knows where those others are."""

    async def __call__(self, name: str, *known: Machine) -> Machine: ...


class Story:
    """Tells it: UserError when one sentence is not true. `download(url)` says what went wrong, or nothing."""

    def __init__(
        self,
        world: World,
        download: Callable[[str], str],
        client: str,
        start: Start,
        stop_upstream: Callable[[], Awaitable[None]],
    ) -> None:
        self._world = world
        self._download = download
        self._client = client
        self._start = start
        self._stop_upstream = stop_upstream
        self._names: dict[str, str] = {}
        self._asked = 0  # requests that the upstream had seen when the step began

    async def tell(self, *, has_go: bool) -> None:
        upstream, log = self._world.upstream, self._world.log
        say(f"\n1. An upstream, {upstream.url}: a module proxy with {len(HONEST)} modules,")
        say(f"   and the checksum database {DATABASE}, whose log of {log.size} records is signed.")
        say("\n2. Two nodes that hold nothing yet, in a swarm of their own:")
        ann = await self._new("ann")
        bob = await self._new("bob", ann)
        await self._see_each_other(ann, bob)
        say(f"\n3. {self._client.capitalize()}, with an empty cache, downloads them through ann.")
        await self._download_all(ann, "upstream")
        await self._see_offered(bob)
        say("\n4. The same on bob, with an empty cache.")
        await self._download_all(bob, "peer")
        say("\n5. The upstream begins to lie: it serves other bytes than the database signed.")
        await self._ask_for_the_forged(bob)
        say("\n6. The upstream is switched off, and the checksum database with it.")
        await self._stop_upstream()
        await self._see_that_it_is_gone()
        say("\n7. A third node, which holds nothing, joins bob and ann.")
        eve = await self._new("eve", bob)
        await self._see_each_other(eve, bob, ann)
        await self._see_offered(eve)
        say(f"   {self._client.capitalize()}, with an empty cache, and with the checksum database required:")
        await self._download_all(eve, "peer")
        if has_go:
            await self._tell_of_files(ann, bob, eve)
        self._tell_copies()

    async def _new(self, name: str, *known: Machine) -> Machine:
        machine = await self._start(name, *known)
        self._names[machine.node.node_id] = name
        say(f"     {name}  {machine.node.url} for go, {machine.running.peer} for other nodes")
        return machine

    async def _see_each_other(self, *machines: Machine) -> None:
        for one in machines:
            others = {other.node.node_id for other in machines} - {one.node.node_id}
            while not others <= _alive(one):  # noqa: ASYNC110 - no event tells it
                await trio.sleep(LOOK)

    async def _see_offered(self, one: Machine) -> None:
        """Until the directory that `one` asks names a holder for every zip: that takes a moment, as in life."""
        zips = [FileKey(module, FileKind.ZIP) for module in HONEST]
        while len(await one.node.duties.neighbours.locate(zips)) < len(zips):  # noqa: ASYNC110 - no event tells it
            await trio.sleep(LOOK)

    async def _download_all(self, one: Machine, expected: str) -> None:
        self._asked = len(self._world.upstream.requests)
        session = await trio.to_thread.run_sync(open_session, one.running, None, None)
        problem = await trio.to_thread.run_sync(self._download, session.url)
        if problem:
            raise UserError(f"the download through {one.name} failed: {problem}")
        report = await trio.to_thread.run_sync(session.end)
        await one.node.duties.wait_written()  # answers do not wait for the disk, but `why` looks there
        for line in table(self._row(one, module) for module in HONEST):
            say(f"     {line}")
        say(f"   {summary(report)}")
        if report["sources"].get(expected, {}).get("modules") != len(HONEST):
            raise UserError(f"not every module came from where it should: {report['sources']}")
        if report["unproven"]:
            raise UserError(f"{plural(report['unproven'], 'file')} came without proof")
        asked = self._world.upstream.requests[self._asked :]
        zips = sum(path.endswith(".zip") for path in asked)
        say(f"   Meanwhile the upstream was asked for {plural(zips, 'zip')}, and {len(asked) - zips} small files.")

    def _row(self, one: Machine, module: ModuleVersion) -> tuple[str, str, str]:
        """Where the zip came from, and what proves it."""
        report = one.node.duties.why(module) or {"files": []}
        for file in report["files"]:
            proofs = [item for item in file["evidence"] if item["kind"] == "sumdb"]
            if file["name"] == "zip" and proofs:
                source = file["source"]
                where = self._names[source["id"]] if source["kind"] == "peer" else "the upstream"
                proof = f"record {proofs[0]['record']} of {proofs[0]['tree']} signed by {proofs[0]['database']}"
                return str(module), f"from {where}", f"proven: {proof}"
        raise UserError(f"{module}: nothing proves its zip")

    async def _ask_for_the_forged(self, one: Machine) -> None:
        for kind in (FileKind.MOD, FileKind.ZIP):
            path = FileKey(FORGED, kind).url_path
            status, body = await trio.to_thread.run_sync(ask, one.node.url, path)
        if status != REFUSED:
            raise UserError(f"{one.name} answered {status} when asked for the forged {FORGED}")
        say(f"     {FORGED}.zip: refused with {status}, and not a byte of it reached the client, or another node:")
        for line in body.decode("utf-8", "replace").splitlines()[:8]:
            say(f"       {printable(line, 300)}")

    async def _see_that_it_is_gone(self) -> None:
        status, reason = await trio.to_thread.run_sync(ask, self._world.upstream.url, "example.com/greet/@v/list")
        if status:
            raise UserError("the upstream still answers")
        say(f"     {self._world.upstream.url}: {printable(reason)}")

    async def _tell_of_files(self, *machines: Machine) -> None:
        """A store is a proxy by itself: go reads it with no node, checksum database included."""
        modules = machines[-1].node.store.modules
        for one in machines:
            one.stop.cancel()
        say(f"\n8. All nodes are switched off too. The files of {machines[-1].name} are enough for go, proofs too:")
        say(f"     GOPROXY={modules.as_uri()}")
        problem = await trio.to_thread.run_sync(self._download, modules.as_uri())
        if problem:
            raise UserError(f"the download from the files failed: {problem}")
        say(f"   {plural(len(HONEST), 'module')}, from the files")

    def _tell_copies(self) -> None:
        upstream = self._world.upstream
        zips = [path for path in upstream.requests if path.endswith(".zip")]
        sent = sum(len(upstream.files[path.replace("%21", "!")]) for path in zips)
        distinct = sum(len(upstream.files[path.replace("%21", "!")]) for path in set(zips))
        say(
            f"\nIn all the upstream sent {size(sent)} of zips, for {size(distinct)} of distinct zips: "
            f"{sent / distinct:.2f} copies, for {len(self._names)} nodes."
        )


def _alive(one: Machine) -> set[str]:
    peers = one.node.duties.neighbours.peers()["peers"]
    return {peer["node_id"] for peer in peers if peer["state"] == "alive"}
