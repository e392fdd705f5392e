"""Where a source puts the bytes it delivers: a temporary file of the store, or memory for small things."""

from __future__ import annotations

from typing import Final, Protocol


class Sink(Protocol):
    """Takes a file's bytes in order. `restart` forgets all of them, for a source that has to begin again."""

    @property
    def size(self) -> int:
        """Bytes held."""

    def write(self, data: bytes, /) -> None: ...

    def restart(self) -> None: ...


class Listener:
    """Hears how a file comes along; this one does not care."""

    def expects(self, length: int | None) -> None:
        """An answer begins; the whole file has so many bytes, if that is known."""

    def limited(self) -> None:
        """The upstream wants a pause (Retry-After), and gets it."""


SILENT: Final = Listener()


class BytesSink:
    """A Sink in memory. Its sources bound what they write, so it has no bound of its own."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._size = 0

    @property
    def size(self) -> int:
        return self._size

    def write(self, data: bytes, /) -> None:
        self._chunks.append(bytes(data))
        self._size += len(data)

    def restart(self) -> None:
        self._chunks.clear()
        self._size = 0

    def getvalue(self) -> bytes:
        """All bytes held."""
        return b"".join(self._chunks)
