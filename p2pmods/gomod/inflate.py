"""Raw deflate and CRC-32, by zlib and by isal.

isal inflates twice as fast, and where Go's compress/flate accepts a stream it gives the same bytes. But it also
accepts streams that Go and zlib refuse (sets of Huffman codes with codes left over), so a stranger could hand out a
zip with the right h1 that no go command can read. zlib and Go agreed on all of 140,000 mutated and hand-made streams.
Hence EXACT for bytes whose maker is unknown, FAST for bytes that go itself would have been given.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    Buffer = bytes | memoryview


class Decompressor(Protocol):
    """What isal's and zlib's decompression objects have in common; as zlib documents it."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    @property
    def unconsumed_tail(self) -> bytes: ...
    def decompress(self, data: Buffer, max_length: int = 0, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Inflater:
    """`start()` begins one raw deflate stream; `error` is what malformed data raises."""

    start: Callable[[], Decompressor]
    error: type[Exception]


EXACT = Inflater(lambda: zlib.decompressobj(-zlib.MAX_WBITS), zlib.error)
FAST: Inflater
crc32: Callable[[Buffer, int], int]

try:
    from isal import isal_zlib
except ImportError:  # no wheel for this platform
    FAST, crc32 = EXACT, zlib.crc32
else:
    FAST = Inflater(
        lambda: isal_zlib.decompressobj(-zlib.MAX_WBITS),
        isal_zlib.error,  # type: ignore[arg-type, unused-ignore]
    )
    crc32 = isal_zlib.crc32
