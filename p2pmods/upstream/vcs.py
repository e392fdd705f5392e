"""Version control, done by the go command: the reference for building a module's files from its repository."""

from __future__ import annotations

import json
import os
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import trio

from p2pmods.errors import MalformedData
from p2pmods.gomod.info import Info, format_info
from p2pmods.gomod.listing import format_list
from p2pmods.gomod.module import FileKind
from p2pmods.gomod.paths import check_path
from p2pmods.upstream.checkouts import Checkout, Checkouts
from p2pmods.upstream.failure import Unreachable, UpstreamFailed, UpstreamUnavailable
from p2pmods.upstream.limits import Want
from p2pmods.upstream.process import Completed, Overrun, run_bounded
from p2pmods.upstream.vcs_env import go_environment
from p2pmods.upstream.vcs_errors import SOURCE, explain
from p2pmods.upstream.vcs_hosts import HostRule

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from p2pmods.gomod.module import FileKey
    from p2pmods.upstream.offline import OfflineState
    from p2pmods.upstream.sink import Sink

_MAX_OUTPUT: Final = 8 << 20  # the versions of the largest repository, and room
_READ_SIZE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class VcsLimits:
    """Seconds and counts."""

    deadline: float = 600.0  # one run of the go command, a clone included
    at_once: int = 3
    keep: float = 60.0  # a checkout that nobody uses
    most: int = 6  # of those


@dataclass(frozen=True, slots=True)
class VcsStatistics:
    """Runs of the go command so far, and how many are under way."""

    runs: int = 0
    failures: int = 0
    running: int = 0
    last_failure: str | None = None


class VersionControl:
    """Runs `go` (its path) in throw-away directories below `temp_dir`, which is for this object alone.

    A `.mod` or `.info` costs no zip, and what is asked about one module path in a row shares a checkout. Failures are
    UpstreamFailed.
    """

    def __init__(
        self,
        go: Path,
        temp_dir: Path,
        *,
        offline: OfflineState,
        limits: VcsLimits | None = None,
        hosts: HostRule | None = None,
        vcs_credentials: bool = False,
        environ: Mapping[str, str] | None = None,
        extra_env: Mapping[str, str] | None = None,
    ) -> None:
        self._go = go
        self._offline = offline
        self._limits = limits or VcsLimits()
        self._environ = os.environ if environ is None else environ
        self._hosts = hosts or HostRule(environ=self._environ)
        self._credentials = vcs_credentials
        self._extra_env = extra_env
        self._places = trio.CapacityLimiter(self._limits.at_once)
        self._checkouts = Checkouts(temp_dir, keep=self._limits.keep, most=self._limits.most)
        self._figures = VcsStatistics()

    async def fetch_file(self, key: FileKey, sink: Sink) -> None:
        """One file of a version into an empty sink."""
        module = str(key.module)
        async with self._checkout(key.module.path) as checkout:
            file = checkout.downloads / key.url_path
            if not file.is_file():
                wanted = ["mod", "download", "-json"] if key.kind is FileKind.ZIP else ["list", "-m", "-json"]
                await self._run(checkout, [*wanted, module])
            await self._deliver(file, Want[key.kind.name], sink)

    async def versions(self, path: str) -> bytes:
        """The body of `@v/list`, retracted versions among them."""
        answer = await self._ask(path, "latest", "-versions", "-retracted")
        versions = answer.get("Versions") or []
        if not isinstance(versions, list) or not all(isinstance(version, str) for version in versions):
            raise UpstreamUnavailable(SOURCE, "the go command's answer made no sense: Versions")
        return format_list(versions)

    async def query(self, path: str, query: str) -> bytes:
        """The `.info` that `latest`, a branch, a tag or a hash stands for."""
        answer = await self._ask(path, query)
        version, time, origin = answer.get("Version"), answer.get("Time"), answer.get("Origin")
        try:
            return format_info(Info(str(version or ""), time, origin))
        except (MalformedData, TypeError) as error:
            raise UpstreamUnavailable(SOURCE, f"the go command's answer made no sense: {error}") from error

    def statistics(self) -> VcsStatistics:
        """Frozen figures."""
        return replace(self._figures, running=self._places.borrowed_tokens)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Remove checkouts when their time has come, until cancelled; then remove all."""
        task_status.started()
        try:
            while True:
                await trio.sleep_until(min(self._checkouts.next_expiry(), trio.current_time() + self._limits.keep))
                await self._checkouts.expire()
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        """Remove all checkouts; for whoever does not call `run`."""
        await self._checkouts.aclose()

    @asynccontextmanager
    async def _checkout(self, path: str) -> AsyncIterator[Checkout]:
        check_path(path)
        await self._hosts.check(path)
        async with self._checkouts.use(path) as checkout:
            yield checkout

    async def _ask(self, path: str, query: str, *flags: str) -> dict[str, Any]:
        async with self._checkout(path) as checkout:
            result = await self._run(checkout, ["list", "-m", "-json", *flags, f"{path}@{query}"])
        return _parse(result.stdout)

    async def _run(self, checkout: Checkout, arguments: list[str]) -> Completed:
        host = checkout.path.partition("/")[0]
        async with self._places:
            started = trio.current_time()
            if wait := self._offline.wait(host, now=started):
                raise Unreachable(SOURCE, f"{host} is out of reach, next try in {wait:.0f} s")
            self._figures = replace(self._figures, runs=self._figures.runs + 1)
            try:
                result = await self._start(checkout, arguments)
                self._judge(result, checkout)
            except UpstreamFailed as failure:
                self._count(failure)
                if isinstance(failure, Unreachable):
                    self._offline.failed(host, started=started, now=trio.current_time())
                elif not isinstance(failure, UpstreamUnavailable):  # a refusal is an answer too
                    self._offline.succeeded(host, now=trio.current_time())
                raise
            self._offline.succeeded(host, now=trio.current_time())
        return result

    async def _start(self, checkout: Checkout, arguments: list[str]) -> Completed:
        env = go_environment(checkout.directory, self._environ, credentials=self._credentials, extra=self._extra_env)
        deadline = self._limits.deadline
        try:
            return await run_bounded(
                [self._go, *arguments], cwd=checkout.empty, env=env, deadline=deadline, max_output=_MAX_OUTPUT
            )
        except Overrun as error:
            checkout.spoilt = True  # git's lock files are left in it
            raise Unreachable(SOURCE, f"the go command was killed: {error}") from error
        except OSError as error:
            raise UpstreamUnavailable(SOURCE, f"cannot start {self._go}: {error.strerror}") from error
        except BaseException:
            checkout.spoilt = True
            raise

    def _count(self, failure: UpstreamFailed) -> None:
        figures = self._figures
        self._figures = replace(figures, failures=figures.failures + 1, last_failure=failure.reason)

    def _judge(self, result: Completed, checkout: Checkout) -> None:
        directory = str(checkout.directory)
        if result.status != 0:
            answer = _parse(result.stdout) if result.stdout.strip() else {}
            error = answer.get("Error")
            text = error if isinstance(error, str) else result.stderr.decode("utf-8", "replace")
            raise explain(text, directory)
        origin = _parse(result.stdout).get("Origin")
        if isinstance(origin, dict) and isinstance(origin.get("URL"), str):
            self._hosts.check_url(origin["URL"], checkout.path)

    async def _deliver(self, file: Path, want: Want, sink: Sink) -> None:
        if not file.is_file():
            raise UpstreamUnavailable(SOURCE, f"the go command wrote no {file.suffix[1:]}")
        if file.stat().st_size > want.cap:
            raise UpstreamUnavailable(SOURCE, f"the go command made a {file.suffix[1:]} that is too large")
        with file.open("rb") as opened:
            while data := await trio.to_thread.run_sync(opened.read, _READ_SIZE):
                sink.write(data)


def _parse(output: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(output)
    except (ValueError, RecursionError) as error:
        raise UpstreamUnavailable(SOURCE, "the go command's answer is not JSON") from error
    if not isinstance(answer, dict):
        raise UpstreamUnavailable(SOURCE, "the go command's answer is not a JSON object")
    return answer
