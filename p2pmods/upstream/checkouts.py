"""Throw-away directories for the go command, each shared for a short time by what is asked about one module path."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import trio

from p2pmods.upstream.failure import UpstreamUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_PREFIX: Final = "vcs-"


@dataclass(slots=True, eq=False)
class Checkout:
    """A directory of its own for one module path. `spoilt`: a run was killed in it, so nobody may use it again."""

    path: str
    directory: Path
    users: int = 0
    idle_since: float = 0.0
    spoilt: bool = False
    turn: trio.Lock = field(default_factory=trio.Lock)

    @property
    def empty(self) -> Path:
        """Where the go command is started: no go.mod there or above decides anything."""
        return self.directory / "empty"

    @property
    def downloads(self) -> Path:
        return self.directory / "mod" / "cache" / "download"


class Checkouts:
    """At most `most` idle ones are kept, for `keep` seconds: an `.info` is often followed by `.mod` and zip."""

    def __init__(self, parent: Path, *, keep: float, most: int) -> None:
        """`parent` is for this object alone: what an earlier process left there is removed at the first use."""
        self._parent = parent
        self._keep = keep
        self._most = most
        self._held: dict[str, Checkout] = {}
        self._spoilt: list[Checkout] = []
        self._sweeping = trio.Lock()
        self._swept = False

    @asynccontextmanager
    async def use(self, path: str) -> AsyncIterator[Checkout]:
        """The checkout of module `path`, for this task alone until the block ends. Raises UpstreamUnavailable."""
        await self._sweep()
        checkout = await self._take_turn(path)
        try:
            yield checkout
        finally:
            checkout.turn.release()
            self._leave(checkout)
            with trio.CancelScope(shield=True):
                await self.expire()

    async def _take_turn(self, path: str) -> Checkout:
        while True:
            checkout = self._held.get(path)
            if checkout is None or checkout.spoilt:
                checkout = self._held[path] = Checkout(path, self._make_directory())
            checkout.users += 1
            try:
                await checkout.turn.acquire()
            except BaseException:
                self._leave(checkout)
                raise
            if not checkout.spoilt:
                return checkout
            checkout.turn.release()
            self._leave(checkout)

    def _leave(self, checkout: Checkout) -> None:
        checkout.users -= 1
        checkout.idle_since = trio.current_time()
        if checkout.spoilt and not checkout.users:
            self._spoilt.append(checkout)

    def _make_directory(self) -> Path:
        try:
            return make_directory(self._parent)
        except OSError as error:
            raise UpstreamUnavailable(str(self._parent), f"no place for a checkout: {error.strerror}") from error

    async def _sweep(self) -> None:
        async with self._sweeping:
            if not self._swept:
                await trio.to_thread.run_sync(sweep, self._parent)
                self._swept = True

    async def expire(self) -> None:
        """Remove what has been idle for too long, or is too much."""
        now = trio.current_time()
        idle = sorted((c for c in self._held.values() if not c.users), key=lambda c: c.idle_since)
        spare = max(len(idle) - self._most, 0)
        spoilt, self._spoilt = self._spoilt, []
        await self._remove(spoilt + idle[:spare] + [c for c in idle[spare:] if now - c.idle_since >= self._keep])

    def next_expiry(self) -> float:
        """The trio time at which `expire` has something to do; infinity when nothing is idle."""
        return min((c.idle_since + self._keep for c in self._held.values() if not c.users), default=float("inf"))

    async def aclose(self) -> None:
        """Remove all of them, whoever uses one."""
        await self._remove(list(self._held.values()))

    async def _remove(self, checkouts: list[Checkout]) -> None:
        for checkout in checkouts:
            if self._held.get(checkout.path) is checkout:
                del self._held[checkout.path]
        with trio.CancelScope(shield=True):
            for checkout in checkouts:
                await trio.to_thread.run_sync(remove_tree, checkout.directory)


def make_directory(parent: Path) -> Path:
    """A new directory below `parent` with the places that `go_environment` names. Raises OSError."""
    parent.mkdir(parents=True, exist_ok=True)
    directory = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
    for name in ("empty", "tmp", "mod", "gp", "c"):
        (directory / name).mkdir()
    return directory


def sweep(parent: Path) -> None:
    """Remove what a process that was killed has left behind."""
    for directory in parent.glob(f"{_PREFIX}*"):
        remove_tree(directory)


def remove_tree(directory: Path) -> None:
    """Remove a directory with everything in it, read-only files and directories too. What cannot go stays."""
    for parent, names, files in os.walk(directory):
        for name in (*names, *(files if os.name == "nt" else ())):  # only Windows minds a read-only file
            entry = Path(parent, name)
            if not entry.is_symlink():
                entry.chmod(entry.stat().st_mode | stat.S_IRWXU)
    shutil.rmtree(directory, ignore_errors=True)
