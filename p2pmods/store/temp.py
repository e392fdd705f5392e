"""A file that is being received: written, synced, verified from the disk, and then committed or discarded."""

from __future__ import annotations

import os
import tempfile
import uuid
from typing import IO, TYPE_CHECKING, Any, Self

from p2pmods.errors import StoreError
from p2pmods.store import fs

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType


class TempFile:
    """A sink in DATA/tmp, written in order or anywhere. It goes on in the system's temporary directory when that disk
    is full.

    Then `trouble` says why, and the bytes can still be verified and passed on through `pread` or `open`, but not
    committed. It is the caller's until it is committed; leaving the `with` block discards it otherwise. Not to be
    used from two threads at once.
    """

    __slots__ = ("_closed", "_descriptor", "_position", "_spill", "path", "size", "synced", "trouble")

    def __init__(self, directory: Path) -> None:
        self.path: Path = directory / f"{uuid.uuid4().hex}.part"
        self.size = 0
        self.synced = False
        self.trouble: StoreError | None = None
        self._spill: IO[bytes] | None = None
        self._descriptor = -1
        self._position = 0
        self._closed = False
        try:
            self._descriptor = fs.create(self.path)
        except OSError as error:
            self._go_elsewhere(fs.store_error("create", self.path, error))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()

    def write(self, data: bytes) -> None:
        """Append. Raises StoreError when no disk of this machine takes the bytes."""
        self.write_at(self.size, data)

    def write_at(self, offset: int, data: bytes) -> None:
        """Write anywhere; what is left out before it reads as zeros. Raises StoreError as `write` does."""
        self.synced = False
        try:
            self._put(offset, data)
        except OSError as error:
            failure = fs.store_error("write", self.path, error)
            if self._spill is not None:
                raise failure from error
            self._go_elsewhere(failure)
            self._put_elsewhere(offset, data)
        self.size = max(self.size, offset + len(data))

    def cut(self, size: int) -> None:
        """Forget what is beyond `size` bytes. Raises StoreError."""
        if size < self.size:
            try:
                os.ftruncate(self._descriptor, size)
            except OSError as error:
                raise fs.store_error("truncate", self.path, error) from error
            self.size, self.synced = size, False

    def restart(self) -> None:
        """Forget what was written: another source begins anew. Raises StoreError.

        A file that was linked elsewhere (kept as evidence) stays whole there: then it goes on in a new one.
        """
        try:
            if self._spill is None and os.fstat(self._descriptor).st_nlink > 1:
                self._begin_anew()
            os.ftruncate(self._descriptor, 0)
        except OSError as error:
            raise fs.store_error("truncate", self.path, error) from error
        self.size = 0
        self.synced = False

    def _begin_anew(self) -> None:
        """Raises OSError."""
        os.unlink(self.path)  # noqa: PTH108
        fresh = fs.create(self.path)
        os.close(self._descriptor)
        self._descriptor, self._position = fresh, 0

    def pread(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset`, fewer only at the end. Raises StoreError.

        Where the system has no `pread` the file position moves, so nobody reads while somebody writes.
        """
        if self._closed:
            raise StoreError(f"{self.path} is not open any more")
        try:
            return fs.pread(self._descriptor, offset, length)
        except OSError as error:
            raise fs.store_error("read", self.path, error) from error

    def sync(self) -> None:
        """Force the bytes to the disk, before they are verified. Raises StoreError: then only `discard` is left.

        It also raises when the file is not as long as what was written. A spilled file needs no sync.
        """
        if self.synced or self._spill is not None:
            return
        try:
            length = os.fstat(self._descriptor).st_size
            if length != self.size:
                raise StoreError(f"{self.path}: {length} bytes on disk, {self.size} written")
            fs.sync(self._descriptor)
        except OSError as error:
            self.discard()
            raise fs.store_error("sync", self.path, error) from error
        self.synced = True

    def open(self) -> int:
        """Another descriptor for the bytes, position 0 not promised; it outlives `discard`. Raises StoreError."""
        if self._closed:  # by now the number may be that of another file
            raise StoreError(f"{self.path} is not open any more")
        try:
            return os.dup(self._descriptor)
        except OSError as error:
            raise fs.store_error("open", self.path, error) from error

    def check_identity(self) -> None:
        """Raises StoreError unless the name still leads to the open file, with the length that was written."""
        try:
            ours, named = os.fstat(self._descriptor), os.lstat(self.path)
        except OSError as error:
            raise fs.store_error("look at", self.path, error) from error
        if (ours.st_ino, ours.st_dev) != (named.st_ino, named.st_dev) or ours.st_size != self.size:
            raise StoreError(f"{self.path} was changed by someone else while it was received")

    def move_to(self, target: Path) -> None:
        """Rename onto `target`, which ends this object's life. Raises OSError; then it is as before."""
        if os.name == "nt":  # an open file cannot be renamed there
            os.close(self._descriptor)
            try:
                os.replace(self.path, target)  # noqa: PTH105
            except OSError:
                self._descriptor = os.open(self.path, os.O_RDWR | getattr(os, "O_BINARY", 0))
                raise
            self._closed = True
            return
        os.replace(self.path, target)  # noqa: PTH105
        self._close()

    def discard(self) -> None:
        """Close and remove; harmless after a commit and when called again."""
        if not self._closed:
            self._close()
            if self._spill is None:
                fs.remove(self.path)

    def _close(self) -> None:
        self._closed = True
        if self._spill is not None:
            self._spill.close()
        elif self._descriptor >= 0:
            os.close(self._descriptor)

    def _go_elsewhere(self, failure: StoreError) -> None:
        self.trouble = failure
        try:
            spill: Any = tempfile.TemporaryFile(buffering=0, prefix="p2pmods-")  # noqa: SIM115
        except OSError as error:
            raise failure from error
        old, self._descriptor, self._spill, self._position = self._descriptor, spill.fileno(), spill, 0
        if old < 0:
            return
        try:
            offset = 0
            while offset < self.size and (part := fs.pread(old, offset, min(fs.WINDOW, self.size - offset))):
                self._put_elsewhere(offset, part)
                offset += len(part)
        except OSError as error:
            raise failure from error
        finally:
            os.close(old)
            fs.remove(self.path)

    def _put(self, offset: int, data: bytes) -> None:
        """Raises OSError. Reading moves the position where the system has no `pread`."""
        if offset != self._position or not hasattr(os, "pread"):
            os.lseek(self._descriptor, offset, os.SEEK_SET)
        self._position = -1
        fs.write_all(self._descriptor, data)
        self._position = offset + len(data)

    def _put_elsewhere(self, offset: int, data: bytes) -> None:
        try:
            self._put(offset, data)
        except OSError as error:
            assert self.trouble is not None
            raise self.trouble from error
