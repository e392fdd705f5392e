"""Answers do not wait for the disk: what was verified is answered at once, and committed after the answer.

Until it is committed a file is found here, so nobody fetches it twice. A commit that fails loses nothing but the
copy: the bytes were verified, and passed through. In a storm commits wait too, for its end or until much has come
together, because the processor and the disk that they use are what go is waiting for.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog
import trio

from p2pmods.errors import HashMismatch, Poisoned, StoreError, Tombstoned
from p2pmods.fetch.outcome import Served
from p2pmods.store.temp import TempFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from p2pmods.fetch.storm import Storm
    from p2pmods.gomod.module import FileKey
    from p2pmods.store.committing import Content
    from p2pmods.store.store import Store
    from p2pmods.trust.files import VerifiedFile

# What may be on its way into the store; beyond that answers wait. With half of it there commits wait no longer.
MOST: Final = 2048  # files
MOST_BYTES: Final = 32 << 20  # of files that are held in memory
MOST_OPEN: Final = 96  # temporary files, each with two descriptors
WRITERS: Final = 4  # worker threads that wait for the disk

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Item:
    """One file on its way."""

    verified: VerifiedFile
    content: TempFile | bytes
    served: Served


class Writing:
    """Commits under way. `on_committed` is told of each file when it is in the store."""

    def __init__(
        self, store: Store, nursery: trio.Nursery, storm: Storm, on_committed: Callable[[VerifiedFile], None]
    ) -> None:
        self._store = store
        self._nursery = nursery
        self._storm = storm
        self._on_committed = on_committed
        self._pending: dict[FileKey, Served] = {}
        self._after: dict[FileKey, list[Callable[[], None]]] = {}
        self._queue: list[_Item] = []
        self._is_working = False
        self._files = self._open = self._bytes = 0
        self._writers = trio.CapacityLimiter(WRITERS)
        self._called = trio.Event()
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
            error = await trio.to_thread.run_sync(self._commit, verified, content, limiter=self._writers)
            self._tell(verified, error)
            return served
        while self._is_filled(1):
            self._called.set()
            await self._settled.wait()
        self._count(content, 1)
        self._pending[verified.key] = served
        self._queue.append(_Item(verified, content, served))
        if self._is_filled(2):
            self._called.set()
        if not self._is_working:
            self._is_working = True
            self._nursery.start_soon(self._work)
        return served

    async def wait_empty(self) -> None:
        """Until everything that is under way now is in the store or given up. What comes later is not waited for."""
        self._called.set()
        now = set(self._pending)
        while not now.isdisjoint(self._pending):
            await self._settled.wait()

    def _is_filled(self, parts: int) -> bool:
        """Whether one of the bounds is reached to one of so many parts."""
        fillings = ((self._files, MOST), (self._bytes, MOST_BYTES), (self._open, MOST_OPEN))
        return any(there * parts >= most for there, most in fillings)

    def _count(self, content: TempFile | bytes, sign: int) -> None:
        self._files += sign
        if isinstance(content, bytes):
            self._bytes += sign * len(content)
        else:
            self._open += sign

    async def _work(self) -> None:
        """Commit what is queued, until nothing is: the files of a module path one after the other, in one thread."""
        try:
            while self._queue:
                await self._wait_for_calm()
                batch: dict[str, list[_Item]] = {}
                for item in self._queue:
                    batch.setdefault(item.verified.key.module.path, []).append(item)
                self._queue = []
                self._called = trio.Event()
                async with trio.open_nursery() as nursery:
                    for items in batch.values():
                        nursery.start_soon(self._commit_items, items)
        finally:
            self._is_working = False

    async def _wait_for_calm(self) -> None:
        while not self._called.is_set() and (pause := self._storm.wait(now=trio.current_time())):
            with trio.move_on_after(pause):
                await self._called.wait()

    async def _commit_items(self, items: list[_Item]) -> None:
        def commit_each() -> list[Exception | None]:
            return [self._commit(item.verified, item.content) for item in items]

        errors = await trio.to_thread.run_sync(commit_each, limiter=self._writers)
        for item, error in zip(items, errors, strict=True):
            self._count(item.content, -1)
            self._tell(item.verified, error)
        self._settle(items)

    def _commit(self, verified: VerifiedFile, content: Content) -> Exception | None:
        """Blocks: what went wrong, if anything. A TempFile is used up."""
        try:
            self._store.commit(verified, content)
        except Exception as error:  # the border between one commit and the node
            return error
        finally:
            if isinstance(content, TempFile):
                content.discard()
        return None

    def _tell(self, verified: VerifiedFile, error: Exception | None) -> None:
        if error is None:
            try:
                self._on_committed(verified)
            except Exception as fault:  # the border between one commit and the node
                error = fault
        if isinstance(error, (StoreError, HashMismatch, Poisoned, Tombstoned)):
            log.warning("a file was passed on but not kept", file=str(verified.key), error=str(error))
        elif error is not None:
            log.error("a commit failed by a fault of p2pmods", file=str(verified.key), exc_info=error)

    def _settle(self, items: Iterable[_Item]) -> None:
        actions: list[Callable[[], None]] = []
        for item in items:
            key = item.verified.key
            if self._pending.get(key) is item.served:  # else the file arrived twice, and the later one is left
                del self._pending[key]
                actions += self._after.pop(key, [])
        self._settled.set()
        self._settled = trio.Event()
        for action in actions:
            try:
                action()
            except Exception as error:  # the border between what waits for a commit and the node
                log.exception("what follows a commit failed by a fault of p2pmods", exc_info=error)


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
