"""Raw deflate and CRC-32: isal where it has a wheel (two to three times as fast), else zlib."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    Buffer = bytes | memoryview


class Decompressor(Protocol):
    """What isal's and zlib's decompression objects have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    @property
    def unconsumed_tail(self) -> bytes: ...
    def decompress(self, data: Buffer, max_length: int = 0, /) -> bytes: ...


crc32: Callable[[Buffer, int], int]
InflateError: type[Exception]

try:
    from isal import isal_zlib
except ImportError:
    crc32 = zlib.crc32
    InflateError = zlib.error

    def decompressor() -> Decompressor:
        """For one raw deflate stream."""
        return zlib.decompressobj(-zlib.MAX_WBITS)
else:
    crc32 = isal_zlib.crc32
    InflateError = isal_zlib.error  # type: ignore[assignment, unused-ignore]

    def decompressor() -> Decompressor:
        """For one raw deflate stream."""
        return isal_zlib.decompressobj(-zlib.MAX_WBITS)  # type: ignore[no-any-return, unused-ignore]
