"""Answers do not wait for the disk: what was verified is answered at once, and committed beside the answer.

Until it is committed a file is found here, so nobody fetches it twice. A commit that fails loses nothing but the
copy: the bytes were verified, and passed through. At most MOST commits are under way; beyond that answers wait.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog
import trio

from p2pmods.errors import HashMismatch, Poisoned, StoreError, Tombstoned
from p2pmods.fetch.outcome import Served
from p2pmods.store.temp import TempFile

if TYPE_CHECKING:
    from collections.abc import Callable

    from p2pmods.gomod.module import FileKey
    from p2pmods.store.committing import Content
    from p2pmods.store.store import Store
    from p2pmods.trust.files import VerifiedFile

MOST: Final = 64
WRITERS: Final = 4  # worker threads that wait for the disk

log = structlog.get_logger()


class Writing:
    """Commits under way. `on_committed` is told of each file when it is in the store."""

    def __init__(self, store: Store, nursery: trio.Nursery, on_committed: Callable[[VerifiedFile], None]) -> None:
        self._store = store
        self._nursery = nursery
        self._on_committed = on_committed
        self._pending: dict[FileKey, Served] = {}
        self._after: dict[FileKey, list[Callable[[], None]]] = {}
        self._places = trio.Semaphore(MOST)
        self._writers = trio.CapacityLimiter(WRITERS)
        self._settled = trio.Event()

    def __len__(self) -> int:
        return len(self._pending)

    def get(self, key: FileKey) -> Served | None:
        """A verified file that is on its way into the store."""
        return self._pending.get(key)

    def then(self, key: FileKey, action: Callable[[], None]) -> None:
        """Do `action` once `key` is in the store (or given up): at once when it is not on its way there."""
        if key in self._pending:
            self._after.setdefault(key, []).append(action)
        else:
            action()

    async def put(self, verified: VerifiedFile, content: Content) -> Served:
        """Begin to commit; the answer can be made from the result at once. A TempFile is ours from now on.

        A file of the module cache is waited for: it is not ours, so only what is in the store is sure to stay as it
        was verified. So is a TempFile on Windows, where an open file cannot be renamed.
        """
        served = passed_on(verified, content)
        if isinstance(content, Path) or (isinstance(content, TempFile) and os.name == "nt"):
            await self._commit(verified, content)
            return served
        await self._places.acquire()
        self._pending[verified.key] = served
        self._nursery.start_soon(self._commit_behind, verified, content, served)
        return served

    async def wait_empty(self) -> None:
        """Until everything that is under way now is in the store or given up. What comes later is not waited for."""
        now = set(self._pending)
        while not now.isdisjoint(self._pending):
            await self._settled.wait()

    async def _commit_behind(self, verified: VerifiedFile, content: Content, served: Served) -> None:
        key = verified.key
        try:
            await self._commit(verified, content)
        except Exception as error:  # the border between one commit and the node
            log.exception("a commit failed by a fault of p2pmods", file=str(key), exc_info=error)
        finally:
            self._places.release()
            actions: list[Callable[[], None]] = []
            if self._pending.get(key) is served:  # else the same file arrived twice, and the later one is left
                del self._pending[key]
                actions = self._after.pop(key, [])
            self._settled.set()
            self._settled = trio.Event()
            for action in actions:
                action()

    async def _commit(self, verified: VerifiedFile, content: Content) -> None:
        try:
            await trio.to_thread.run_sync(self._store.commit, verified, content, limiter=self._writers)
            self._on_committed(verified)
        except (StoreError, HashMismatch, Poisoned, Tombstoned) as error:
            log.warning("a file was passed on but not kept", file=str(verified.key), error=str(error))
        finally:
            if isinstance(content, TempFile):
                content.discard()


def passed_on(verified: VerifiedFile, content: Content) -> Served:
    """An answer from the bytes themselves, whatever becomes of them on the disk."""
    checked, source = verified.file, verified.source.kind
    body, opener = None, None
    match content:
        case bytes():
            body = content
        case TempFile():
            opener = partial(_again, _Descriptor(content.open()))
        case Path():
            opener = partial(os.open, content, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    return Served(checked.key, source, checked.size, checked.sha256, checked.h1, verified.proven, True, body, opener)


class _Descriptor:
    """A descriptor that is closed when the last answer that may need it is gone."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number

    def __del__(self) -> None:
        os.close(self.number)


def _again(held: _Descriptor) -> int:
    return os.dup(held.number)
