"""Finding silent rot: every file is read whole from time to time, though its status never changed.

Slowly, oldest first, and by what the index remembers, so a node that runs an hour a day gets round as well.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import trio

from p2pmods.errors import StoreError
from p2pmods.store import fs
from p2pmods.store.recovery import walk

if TYPE_CHECKING:
    from p2pmods.store.core import Core
    from p2pmods.store.stored import StoredFile
    from p2pmods.store.verifying import Verifier

AGE: Final = 14 * 24 * 3600.0  # seconds after which a file is read again
RATE: Final = 8 << 20  # bytes a second
SMALLEST: Final = 64 << 10  # bytes that a file counts at least: opening it costs too
_BATCH: Final = 64


@dataclass(frozen=True, slots=True)
class ScrubReport:
    """What one round read, and how many of the files went into quarantine."""

    files: int
    bytes: int
    damaged: int


class Scrubber:
    """Rounds over the whole store."""

    def __init__(self, core: Core, verifier: Verifier) -> None:
        self._core = core
        self._verifier = verifier

    async def scrub(self, *, rate: float = RATE, age: float = AGE) -> ScrubReport:
        """Read every file that was not read for `age` seconds, at `rate` bytes a second. Raises StoreError.

        First the index is looked over, and files without a row (their process died between the rename and the row)
        are taken in.
        """
        await trio.to_thread.run_sync(self._core.database.check)
        await trio.to_thread.run_sync(self._take_in_strays)
        files = size = damaged = 0
        while batch := await trio.to_thread.run_sync(self._due, age):
            for stored in batch:
                sound = await trio.to_thread.run_sync(self._check, stored)
                files, size, damaged = files + 1, size + stored.size, damaged + (not sound)
                await trio.sleep(max(stored.size, SMALLEST) / rate)
        return ScrubReport(files, size, damaged)

    def _due(self, age: float) -> list[StoredFile]:
        now = self._core.clock()
        return self._core.rows.read_long_ago(_BATCH, now - age, now + age)

    def _check(self, stored: StoredFile) -> bool:
        """False when the file is no longer in the store."""
        _drop_from_memory(stored)
        found = self._verifier.verify(stored.key, thoroughly=True)
        self._core.rows.was_read(stored.key, self._core.clock())
        return found is not None or stored.synthesised

    def _take_in_strays(self) -> None:
        core = self._core
        for key in walk(core.layout.modules):
            if core.rows.get(key) is None and not core.marks.of(key.module):
                with suppress(StoreError):
                    self._verifier.verify(key)
        for path in core.rows.paths():
            with core.stripe(path):
                core.publish(path)


def _drop_from_memory(stored: StoredFile) -> None:
    """Ask the kernel to forget its copy, for it is the disk that must be read."""
    if not hasattr(os, "posix_fadvise"):
        return
    with suppress(OSError):
        descriptor, _ = fs.open_regular(stored.path)
        try:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)
