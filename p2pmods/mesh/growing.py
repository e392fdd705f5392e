"""Files that this node is receiving, for other nodes to read along while they arrive.

What is read here is not verified by anybody yet: whoever reads keeps it apart, and verifies it whole.
"""

from __future__ import annotations

import math
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Protocol, Self

import trio

from p2pmods.store import fs
from p2pmods.swarm.pieces import LARGE
from p2pmods.upstream.sink import Listener

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from p2pmods.gomod.module import FileKey

WINDOW: Final = 256 << 10  # bytes read at once
BEGIN: Final = 1.5  # seconds that a fetcher has from hearing of its lease to beginning


class GrowthStopped(Exception):
    """The file will not be finished here; the text says why."""


class Backing(Protocol):
    """Where the bytes go: memory at first, and a file once they are many."""

    @property
    def size(self) -> int: ...
    def write(self, data: bytes, /) -> None: ...
    def restart(self) -> None: ...
    def read_memory(self, offset: int, length: int) -> bytes: ...
    def read(self, offset: int, length: int, /) -> bytes: ...
    def open(self) -> int | None:
        """A new descriptor of the file; None while there is none."""


class Growing(Listener):
    """A sink for one file that is received; readers follow it.

    It ends in one of two ways: `finish` when all bytes are there, `stop` when they will not be. `on_bytes(size)` is
    told of progress, `on_limited(size)` of a source that wants a pause.
    """

    def __init__(
        self,
        backing: Backing,
        on_bytes: Callable[[int], None],
        on_limited: Callable[[int], None],
    ) -> None:
        self._backing = backing
        self._on_bytes = on_bytes
        self._on_limited = on_limited
        self._more = trio.lowlevel.ParkingLot()
        self._stopped: str | None = None
        self._expected: int | None = None
        self._beginning = 0  # counts how often the file began anew
        self._is_complete = False

    @property
    def size(self) -> int:
        """Bytes that are there."""
        return self._backing.size

    def open(self) -> int | None:
        """A new descriptor of the file; None while all is in memory. Raises StoreError."""
        return self._backing.open()

    def reading(self) -> Callable[[int, int], bytes]:
        """Reads at an offset what has come of this beginning. Raises GrowthStopped after another, StoreError."""
        beginning = self._beginning

        def read(offset: int, length: int) -> bytes:
            if self._beginning != beginning:
                raise GrowthStopped("it began anew from another source")
            return self._backing.read(offset, length)

        return read

    def write(self, data: bytes, /) -> None:
        self._backing.write(data)
        self._on_bytes(self._backing.size)
        self._more.unpark_all()

    def expects(self, length: int | None) -> None:
        self._expected = length
        self._more.unpark_all()

    def limited(self) -> None:
        self._on_limited(self._backing.size)

    async def is_large(self) -> bool:
        """Whether it is known to have more bytes than move whole, once it has begun. Raises GrowthStopped."""
        await trio.lowlevel.checkpoint()
        while self._expected is None and not self.size and not self._is_complete:
            if self._stopped is not None:
                raise GrowthStopped(self._stopped)
            await self._more.park()
        return hasattr(os, "pread") and (self._expected or 0) >= LARGE

    def restart(self) -> None:
        """Another upstream begins at the first byte: who has read some of the old ones cannot go on with these."""
        if self._backing.size:
            self._beginning += 1
        self._backing.restart()
        self._more.unpark_all()

    def finish(self) -> None:
        """All bytes are there."""
        self._is_complete = True
        self._more.unpark_all()

    def stop(self, reason: str) -> None:
        """Harmless after `finish`."""
        if not self._is_complete:
            self._stopped = reason
            self._more.unpark_all()

    def reader(self, offset: int) -> GrowthReader:
        """Raises GrowthStopped when nobody can read it."""
        if not hasattr(os, "pread"):  # there reading would move the place where the next bytes are written
            raise GrowthStopped("this system gives only whole files")
        return GrowthReader(self, self._backing, offset, self._beginning)

    async def wait_beyond(self, offset: int, beginning: int) -> int:
        """How many bytes there are, once more than `offset` or complete. Raises GrowthStopped."""
        await trio.lowlevel.checkpoint()  # before the look: what was seen must still be so for the caller
        while True:
            if self._stopped is not None:
                raise GrowthStopped(self._stopped)
            if beginning != self._beginning:
                raise GrowthStopped("it began anew from another source")
            if self.size > offset or self._is_complete:
                return self.size
            await self._more.park()


class GrowthReader:
    """Iterates over the bytes from `offset` to the end of the file, as they arrive. Close it after use."""

    def __init__(self, growing: Growing, backing: Backing, offset: int, beginning: int) -> None:
        self._growing = growing
        self._backing = backing
        self._offset = offset
        self._beginning = beginning
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        """Raises GrowthStopped, StoreError."""
        size = await self._growing.wait_beyond(self._offset, self._beginning)
        if size <= self._offset:
            raise StopAsyncIteration
        piece = self._read(min(WINDOW, size - self._offset))
        if not piece:
            raise GrowthStopped("the file was cut")
        self._offset += len(piece)
        return piece

    def _read(self, length: int) -> bytes:
        """Its own descriptor, for the file's may be closed when the file is in its place."""
        if self._descriptor is None:
            self._descriptor = self._backing.open()
        if self._descriptor is None:
            return self._backing.read_memory(self._offset, length)
        return fs.pread(self._descriptor, self._offset, length)


class GrowingFiles:
    """Those of this node, by name and by the token of the lease under which they are fetched."""

    def __init__(self) -> None:
        self._files: dict[tuple[FileKey, bytes], Growing] = {}
        self._begun = trio.lowlevel.ParkingLot()

    def __len__(self) -> int:
        return len(self._files)

    def close(self) -> None:
        """The node stops: whoever reads along is told, and takes it from elsewhere."""
        for growing in self._files.values():
            growing.stop("the node stops")

    async def find(self, key: FileKey, token: bytes) -> Growing | None:
        """The file; waited for a moment, as a waiter may hear of a lease before its fetcher does."""
        with trio.move_on_after(BEGIN):
            while (key, token) not in self._files:
                await self._begun.park()
        return self._files.get((key, token))

    @contextmanager
    def share(self, key: FileKey, token: bytes, growing: Growing) -> Iterator[Growing]:
        """While the block runs others may read along; when it ends without `finish`, they are told."""
        self._files[key, token] = growing
        self._begun.unpark_all()
        try:
            yield growing
        finally:
            del self._files[key, token]
            growing.stop("the fetch failed")


class Uploads:
    """A cap on what is given away: `rate` in bytes a second, None without one, may change at any time. A caller waits
    for its turn."""

    BURST: Final = 1.0  # seconds of the rate that may go out at once

    def __init__(self, rate: float | None) -> None:
        self.rate = rate
        self._due = -math.inf  # when all that was let through would have gone out at the rate

    async def take(self, count: int) -> None:
        """Wait until `count` more bytes may go out."""
        if self.rate is None:
            return
        now = trio.current_time()
        self._due = max(self._due, now - self.BURST) + count / self.rate
        await trio.sleep(max(0.0, self._due - now))
