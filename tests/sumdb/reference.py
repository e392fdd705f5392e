"""What Go's own client does with a checksum database, written again, sharing nothing with the product.

Follows cmd/go's `modfetch` and x/mod's `sumdb.Client`: a head in GOPATH that outlives everything, a cache of
tiles and lookup answers that `go clean -modcache` empties, the tiles it asks for and the widths it asks them in.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

Coordinate = tuple[int, int]  # (tree level, index)
TileName = tuple[int, int, int]  # (tile level, index, width)


class BuildFails(Exception):
    """go would end with an error."""


class SecurityError(BuildFails):
    """go would end with SECURITY ERROR."""


def leaf(text: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + text).digest()


def node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def root(leaves: list[bytes]) -> bytes:
    """RFC 6962's Merkle tree hash, by its definition."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return node(root(leaves[:split]), root(leaves[split:]))


def tile_name(tile: TileName) -> str:
    level, index, width = tile
    digits = str(index).zfill((len(str(index)) + 2) // 3 * 3)
    groups = [digits[i : i + 3] for i in range(0, len(digits), 3)]
    path = "/".join(["x" + group for group in groups[:-1]] + groups[-1:])
    return f"tile/8/{level}/{path}" + ("" if width == 256 else f".p/{width}")


@dataclass
class GoClient:
    """One user's go command: `latest` is GOPATH/pkg/sumdb/<name>/latest, `cache` is GOMODCACHE's sumdb directory."""

    key: str
    remote: Callable[[str], Awaitable[bytes]]
    latest: bytes = b""
    cache: dict[str, bytes] = field(default_factory=dict)
    trusted: tuple[int, bytes] = (0, hashlib.sha256(b"").digest())
    started: bool = False

    def restart(self) -> None:
        """A new process: only GOPATH and GOMODCACHE are left."""
        self.started = False
        self.trusted = (0, hashlib.sha256(b"").digest())

    async def lookup(self, name: str) -> list[str]:
        """The go.sum lines of `<escaped path>@<escaped version>`. Raises BuildFails."""
        if not self.started:
            await self.remote("supported")
            if self.latest:
                await self._merge(self.latest)
                await self._check(self.trusted, self.trusted)  # it reads the file again before it would write it
            self.started = True
        path = f"lookup/{name}"
        answer = self.cache.get(path) or await self.remote(path)
        number, _, rest = answer.partition(b"\n")
        text, separator, note = rest.partition(b"\n\n")
        if not separator:
            raise BuildFails("malformed record data")
        await self._merge(note)
        size = self.trusted[0]
        if int(number) >= size:
            raise BuildFails(f"cannot validate record {int(number)} in tree of size {size}")
        if (await self._hashes(self.trusted, [(0, int(number))]))[0] != leaf(text + b"\n"):
            raise BuildFails("cannot authenticate record data in server response")
        self.cache[path] = answer
        return (text + b"\n").decode().splitlines()

    async def _merge(self, note: bytes) -> None:
        tree = self._open(note)
        if tree[0] <= self.trusted[0]:
            await self._check(tree, self.trusted)
            return
        await self._check(self.trusted, tree)
        self.trusted, self.latest = tree, note

    async def _check(self, older: tuple[int, bytes], newer: tuple[int, bytes]) -> None:
        blocks = list(_subtrees(older[0]))
        if not blocks:
            return
        hashes = await self._hashes(newer, blocks)
        total = hashes[-1]
        for left in reversed(hashes[:-1]):
            total = node(left, total)
        if total != older[1]:
            raise SecurityError(f"tree of size {newer[0]} does not contain the one of size {older[0]}")

    def _open(self, note: bytes) -> tuple[int, bytes]:
        text, _, signature = note.partition(b"\n\n")
        name, hash16, key = self.key.split("+", 2)
        dash, signer, encoded = signature.decode().split()
        raw = base64.b64decode(encoded)
        if (dash, signer, raw[:4].hex()) != ("—", name, hash16):
            raise BuildFails("note has no verifiable signatures")
        Ed25519PublicKey.from_public_bytes(base64.b64decode(key)[1:]).verify(raw[4:], text + b"\n")
        _, size, root64 = text.decode().split("\n")[:3]
        return int(size), base64.b64decode(root64)

    async def _hashes(self, tree: tuple[int, bytes], wanted: list[Coordinate]) -> list[bytes]:
        """The hashes at `wanted`, from tiles authenticated up to the root of `tree`."""
        size, tree_root = tree
        blocks = list(_subtrees(size))
        order: list[TileName] = list(dict.fromkeys(_tile_of(block, size) for block in blocks))
        edge = set(order)
        for coordinate in wanted:
            tile, path = _tile_of(coordinate, size), []
            while tile not in order:
                path.append(tile)
                tile = _parent(tile, size)
            order += reversed(path)
        data = {tile: await self._read(tile) for tile in order}
        total = b""
        for block in reversed(blocks):
            one = _hash_in(data[_tile_of(block, size)], block)
            total = node(one, total) if total else one
        if total != tree_root:
            raise BuildFails("downloaded inconsistent tile")
        for tile in order:
            if tile in edge:
                continue
            above = data[_parent(tile, size)]
            if root(_split(data[tile])) != _split(above)[tile[1] % 256]:
                raise BuildFails("downloaded inconsistent tile")
        self.cache.update((tile_name(tile), data[tile]) for tile in order)
        return [_hash_in(data[_tile_of(coordinate, size)], coordinate) for coordinate in wanted]

    async def _read(self, tile: TileName) -> bytes:
        level, index, width = tile
        exact, full = tile_name(tile), tile_name((level, index, 256))
        if exact in self.cache:
            return self.cache[exact]
        if full in self.cache:
            return self.cache[full][: 32 * width]
        try:
            data = await self.remote(exact)
        except BuildFails as first:
            if exact == full:
                raise
            try:
                data = (await self.remote(full))[: 32 * width]
            except BuildFails:
                raise first from None  # go tells the error of the tile that it wanted
        if len(data) != 32 * width:
            raise BuildFails("TileReader returned bad result slice")
        return data


def _subtrees(size: int) -> Iterable[Coordinate]:
    start = 0
    for level in reversed(range(size.bit_length())):
        if size >> level & 1:
            yield level, start >> level
            start += 1 << level


def _tile_of(coordinate: Coordinate, size: int) -> TileName:
    level, index = coordinate
    return _wide(level // 8, (index << level % 8) >> 8, size)


def _parent(tile: TileName, size: int) -> TileName:
    return _wide(tile[0] + 1, tile[1] >> 8, size)


def _wide(level: int, index: int, size: int) -> TileName:
    return level, index, min(256, (size >> 8 * level) - 256 * index)


def _split(data: bytes) -> list[bytes]:
    return [data[i : i + 32] for i in range(0, len(data), 32)]


def _hash_in(data: bytes, coordinate: Coordinate) -> bytes:
    level, index = coordinate
    start = (index << level % 8) & 255
    return root(_split(data)[start : start + (1 << level % 8)])
