"""`p2pmods get TARGET…`: have modules here before they are needed."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import httpx
import trio

from p2pmods.cli.getplan import Plan, Query, plan_targets
from p2pmods.cli.gofiles import load_go_sum, read_sums
from p2pmods.cli.latest import latest_of_list
from p2pmods.cli.lease import a_node
from p2pmods.cli.output import note, plural, say, say_json
from p2pmods.cli.sessions import open_session, summary
from p2pmods.errors import InvalidPath, InvalidVersion, MalformedData, UserError, printable
from p2pmods.gomod.info import parse_info
from p2pmods.gomod.module import FileKey, FileKind, ModuleVersion
from p2pmods.gomod.pseudo import is_pseudo_version

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

FAILED: Final = 1
AT_ONCE: Final = 24  # requests under way; the node itself decides how many go out to one upstream
MAX_TEXT: Final = 16 << 20  # bytes of an .info or a list
MAX_SHOWN: Final = 20  # failures on a terminal; --json has all
CONNECT_DEADLINE: Final = 10.0  # seconds, on loopback. For the answer the node has deadlines of its own


@dataclass(slots=True)
class Download:
    """One run: a session's URL, and what failed so far, by name."""

    client: httpx.AsyncClient
    url: str
    step: Callable[[], None]
    failed: dict[str, str] = field(default_factory=dict)

    async def read(self, path: str, *, keep: bool) -> tuple[int, bytes]:
        """Status and body of one request; the body of a 200 is dropped unless `keep`."""
        body = bytearray()
        async with self.client.stream("GET", f"{self.url}/{path}") as response:
            async for piece in response.aiter_raw():
                if (keep or response.status_code != 200) and len(body) < MAX_TEXT:
                    body += piece
        return response.status_code, bytes(body)

    async def fetch(self, name: str, path: str) -> None:
        """Fetch one file; a failure is noted with its reason."""
        try:
            status, body = await self.read(path, keep=False)
        except httpx.HTTPError as error:
            self.failed[name] = f"the node hung up: {type(error).__name__}"
        except httpx.InvalidURL as error:  # longer than any server reads
            self.failed[name] = printable(str(error))
        else:
            if status != 200:
                self.failed[name] = reason_of(body, status)
        self.step()

    async def resolve(self, query: Query) -> ModuleVersion | None:
        """The version that a query means now; None, and a failure noted, when nobody can say."""
        try:
            version = await self._latest(query) if query.is_latest else await self._stated(query)
            return ModuleVersion(query.path, version)
        except (httpx.HTTPError, httpx.InvalidURL, UserError, MalformedData, InvalidPath, InvalidVersion) as error:
            self.failed[str(query)] = str(error)
            return None

    async def _latest(self, query: Query) -> str:
        """As go: of the tags in the list, else what `@latest` says, else the newest commit of the list."""
        listed = None
        with contextlib.suppress(UserError, MalformedData):
            listed = await latest_of_list(query.path, await self._read_well(query.list_path), self._read_mod)
        if listed is not None and not is_pseudo_version(listed):
            return listed
        try:
            return await self._stated(query)
        except (UserError, MalformedData):
            if listed is None:
                raise
            return listed

    async def _stated(self, query: Query) -> str:
        return parse_info(await self._read_well(query.url_path)).version

    async def _read_mod(self, module: ModuleVersion) -> bytes:
        return await self._read_well(FileKey(module, FileKind.MOD).url_path)

    async def _read_well(self, path: str) -> bytes:
        """The body of a 200. UserError for anything else, with the node's reason."""
        status, body = await self.read(path, keep=True)
        if status != 200:
            raise UserError(reason_of(body, status))
        return body


def reason_of(body: bytes, status: int) -> str:
    """The node's error text in one line, without `p2pmods: NAME:` before it, which the caller says."""
    lines = [printable(line, 300) for line in body.decode("utf-8", "replace").splitlines() if line.strip()]
    text = "; ".join(lines[:3])
    return text.removeprefix("p2pmods: ").partition(": ")[2] or text or f"status {status}"


def get(flags: Mapping[str, object], targets: list[str], *, as_json: bool) -> int:
    """Fetch all of `targets` through the node; 1 when anything could not be had."""
    plan = plan_targets(targets)
    pins, origin = _pins(plan)
    with a_node(flags) as node:
        session = open_session(node, pins, origin)
        allow = lambda modules: node.post("allow", {"modules": [str(module) for module in modules]})  # noqa: E731
        failed = trio.run(_download, plan, session.url, allow)
        unproven = node.post("prove", {"modules": [str(module) for module in plan.modules]})["unproven"]
        report = session.end()
    if unproven is not None:
        report["unproven"] = min(report["unproven"], unproven)  # a go.sum vouched for some, the proof came for others
    if as_json:
        failures = [{"name": name, "reason": reason} for name, reason in failed.items()]
        say_json({"modules": report["modules"], "bytes": report["bytes"], "sources": report["sources"],
                  "unproven": report["unproven"], "failed": failures})  # fmt: skip
    else:
        say(summary(report) if report["modules"] else "nothing came")
        _note_failures(failed)
    return FAILED if failed else 0


def _pins(plan: Plan) -> tuple[bytes | None, str | None]:
    """All go.sum files that were named, as one pin; none when they contradict each other."""
    if not plan.sums:
        return None, None
    data, origin = read_sums(tuple(plan.sums)), str(plan.sums[0])
    try:
        load_go_sum(data, origin)
    except UserError as error:
        note(f"p2pmods: not used as a pin: {error}")
        return None, None
    return data, origin


def _note_failures(failed: dict[str, str]) -> None:
    for name, reason in list(failed.items())[:MAX_SHOWN]:
        note(f"p2pmods: {printable(name, 500)}: {reason}")
    if len(failed) > MAX_SHOWN:
        note(f"p2pmods: … and {plural(len(failed) - MAX_SHOWN, 'more failure')} (--json has all)")


async def _download(plan: Plan, url: str, allow: Callable[[list[ModuleVersion]], Any]) -> dict[str, str]:
    """Resolve the queries, lift tombstones (this is an explicit wish), fetch the files. Gives what failed."""
    limits = httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE)
    timeout = httpx.Timeout(None, connect=CONNECT_DEADLINE)
    async with httpx.AsyncClient(limits=limits, timeout=timeout, trust_env=False, verify=False) as client:  # noqa: S501
        download = Download(client, url, lambda: None)
        async with trio.open_nursery() as nursery:
            for query in plan.queries:
                nursery.start_soon(_add_resolved, download, query, plan)
        await trio.to_thread.run_sync(allow, plan.modules)
        async with _progress(download, len(plan.files)):
            await _fetch_all(download, plan)
        return download.failed


async def _add_resolved(download: Download, query: Query, plan: Plan) -> None:
    module = await download.resolve(query)
    if module is not None:
        plan.add(module)


async def _fetch_all(download: Download, plan: Plan) -> None:
    limiter = trio.CapacityLimiter(AT_ONCE)

    async def one(name: str, path: str) -> None:
        async with limiter:
            await download.fetch(name, path)

    async with trio.open_nursery() as nursery:
        # Small files first: the proofs of the zips are then under way while the zips arrive.
        for key in sorted(plan.files, key=lambda key: key.kind is FileKind.ZIP):
            nursery.start_soon(one, str(key), key.url_path)


@contextlib.asynccontextmanager
async def _progress(download: Download, total: int) -> AsyncIterator[None]:
    """A bar on stderr while the block lasts, on a terminal only."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("fetching"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("files", total=total)
        download.step = lambda: progress.advance(task)
        yield
