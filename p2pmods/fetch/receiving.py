"""Where a zip is received: in memory while it is small, as most are, and beyond that in a file of the store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from p2pmods.upstream.sink import BytesSink

if TYPE_CHECKING:
    from collections.abc import Callable

    from p2pmods.store.temp import TempFile

IN_MEMORY: Final = 256 << 10  # bytes; four of five module zips are smaller


class Receiver:
    """A Sink. `make_temp` is called once the bytes are too many for memory; what it raises, `write` raises."""

    def __init__(self, make_temp: Callable[[], TempFile]) -> None:
        self._make_temp = make_temp
        self._memory = BytesSink()
        self._temp: TempFile | None = None

    @property
    def size(self) -> int:
        return self._memory.size if self._temp is None else self._temp.size

    def write(self, data: bytes, /) -> None:
        """Append. Raises StoreError when no disk of this machine takes the bytes."""
        if self._temp is None and self._memory.size + len(data) <= IN_MEMORY:
            self._memory.write(data)
        else:
            self._file().write(data)

    def write_at(self, offset: int, data: bytes) -> None:
        """Write anywhere, which takes a file. Raises StoreError."""
        self._file().write_at(offset, data)

    def read(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset`, wherever they are. Raises StoreError."""
        return self.read_memory(offset, length) if self._temp is None else self._temp.pread(offset, length)

    def cut(self, size: int) -> None:
        """Forget what is beyond `size` bytes. Raises StoreError."""
        if size < self.size:
            self._file().cut(size)

    def restart(self) -> None:
        """Forget what was written. Raises StoreError."""
        if self._temp is None:
            self._memory.restart()
        else:
            self._temp.restart()

    def read_memory(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset`, of what is in memory."""
        return self._memory.getvalue()[offset : offset + length]

    def open(self) -> int | None:
        """A new descriptor of the file that was begun, None while all is in memory. Raises StoreError."""
        return None if self._temp is None else self._temp.open()

    def content(self) -> TempFile | bytes:
        """What was received; a file is this object's still, to be discarded or committed."""
        return self._memory.getvalue() if self._temp is None else self._temp

    def _file(self) -> TempFile:
        if self._temp is None:
            self._temp = self._make_temp()
            self._temp.write(self._memory.getvalue())
            self._memory.restart()
        return self._temp

    def discard(self) -> None:
        """Remove the file, if there is one; harmless after a commit."""
        if self._temp is not None:
            self._temp.discard()
