"""A checksum database in memory that grows, forks and misbehaves on demand; the demo's real little one too."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

from p2pmods.errors import MalformedData
from p2pmods.gomod.module import ModuleVersion
from p2pmods.sumdb.note import Signer, make_signer
from p2pmods.sumdb.records import Record, format_lookup, lookup_path
from p2pmods.sumdb.tiles import Tile, parse_tile_path, width_in
from p2pmods.sumdb.tlog import EMPTY_ROOT, HASH_SIZE, Tree, format_tree, node_hash

if TYPE_CHECKING:
    from collections.abc import Callable

Answer = tuple[int, bytes]  # HTTP status and body

_FOUND = 200
_NOT_FOUND = 404


class ForkableLog:
    """The log of the database `name`, signed with a key made of `seed`.

    `answer` is what the real one says over HTTP; the verbs below `fork` make it lie. `requests` lists every path
    asked for, in order.
    """

    def __init__(self, name: str = "sum.example.org", seed: bytes | str = b"") -> None:
        text = seed.encode() if isinstance(seed, str) else seed
        self._signer = make_signer(name, hashlib.sha256(b"forkable log\0" + name.encode() + b"\0" + text).digest())
        self._signing = self._signer
        self._levels: list[bytearray] = [bytearray()]  # the hashes of all complete subtrees of 2**i records
        self._texts: list[bytes] = []
        self._ids: dict[str, int] = {}
        self._forks = 0
        self._shown: int | None = None
        self._changes: dict[str, Callable[[Answer], Answer]] = {}
        self.requests: list[str] = []

    @property
    def name(self) -> str:
        return self._signer.verifier.name

    @property
    def verifier_key(self) -> str:
        """`name+hash+key`, as GOSUMDB takes it."""
        return str(self._signer.verifier)

    @property
    def size(self) -> int:
        """How many records there are."""
        return len(self._texts)

    def add(self, module: ModuleVersion, zip_h1: str | None, mod_h1: str | None) -> int:
        """Append the record of `module` and return its id; the one it has when it is there already."""
        lines = []
        if zip_h1 is not None:
            lines.append(f"{module.path} {module.version} {zip_h1}\n")
        if mod_h1 is not None:
            lines.append(f"{module.path} {module.version}/go.mod {mod_h1}\n")
        return self.add_text(module, "".join(lines).encode())

    def add_text(self, module: ModuleVersion, text: bytes) -> int:
        """Append a record with exactly this text, which may be nonsense."""
        name = lookup_path(module)
        if name not in self._ids:
            self._ids[name] = self.size
            self._append(text)
        return self._ids[name]

    def grow(self, count: int) -> list[ModuleVersion]:
        """Append `count` records of invented modules, and return those. A fork invents other hashes for them."""
        modules = [ModuleVersion("example.com/filler", f"v0.{self.size + i}.0") for i in range(count)]
        for module in modules:
            text = f"{module} {self._forks}"
            self.add(module, _invented_h1(f"{text} zip"), _invented_h1(f"{text} mod"))
        return modules

    def tree(self, size: int | None = None) -> Tree:
        """The tree of the first `size` records, of all by default."""
        size = self.size if size is None else size
        root, end = b"", size
        for level, hashes in enumerate(self._levels):
            if size >> level & 1:
                end -= 1 << level
                subtree = bytes(hashes[(end >> level) * HASH_SIZE :][:HASH_SIZE])
                root = node_hash(subtree, root) if root else subtree
        return Tree(size, root or EMPTY_ROOT)

    def head(self, size: int | None = None) -> bytes:
        """The signed note for `tree(size)`."""
        return self._signing.sign(format_tree(self.tree(size)))

    def tile(self, tile: Tile) -> bytes:
        """The bytes of `tile`, fewer when the log is not that far yet."""
        start = tile.index * 256 * HASH_SIZE
        level = self._levels[8 * tile.level] if 8 * tile.level < len(self._levels) else b""
        return bytes(level[start : start + tile.size])

    def answer(self, path: str) -> Answer:
        """Status and body for `path`: `supported`, `latest`, `lookup/…` or `tile/…`; `/sumdb/<name>/` may precede."""
        path = path.removeprefix(f"/sumdb/{self.name}").lstrip("/")
        self.requests.append(path)
        answer = self._honest_answer(path)
        for prefix, change in self._changes.items():
            if path.startswith(prefix):
                answer = change(answer)
        return answer

    def fork(self, at: int | None = None) -> ForkableLog:
        """Another log with the same key whose first `at` records are ours, and whose next ones are its own."""
        size = self.size if at is None else at
        other = ForkableLog(self.name)
        other._signer = other._signing = self._signer
        other._forks = self._forks + 1
        other._levels = [hashes[: (size >> level) * HASH_SIZE] for level, hashes in enumerate(self._levels)]
        other._texts = self._texts[:size]
        other._ids = {name: number for name, number in self._ids.items() if number < size}
        return other

    def roll_back(self, size: int | None) -> None:
        """Show only the first `size` records from now on; None shows all again."""
        self._shown = size

    def sign_with(self, signer: Signer | None) -> None:
        """Sign with another key from now on; None is our own again."""
        self._signing = signer or self._signer

    def flip(self, prefix: str, bit: int = 0) -> None:
        """Flip one bit in every answer to a path that begins with `prefix`."""
        self.change(prefix, lambda answer: (answer[0], _flipped(answer[1], bit)))

    def omit(self, prefix: str) -> None:
        """Answer 404 to every path that begins with `prefix`."""
        self.change(prefix, lambda _: (_NOT_FOUND, b"not found\n"))

    def fail(self, prefix: str, status: int) -> None:
        """Answer `status` to every path that begins with `prefix`."""
        self.change(prefix, lambda _: (status, b"out of order\n"))

    def replace(self, prefix: str, body: bytes) -> None:
        """Answer 200 with `body` (empty, too long, a login page) to every path that begins with `prefix`."""
        self.change(prefix, lambda _: (_FOUND, body))

    def change(self, prefix: str, change: Callable[[Answer], Answer]) -> None:
        """Put every answer to a path that begins with `prefix` through `change`."""
        self._changes[prefix] = change

    def behave(self) -> None:
        """Undo every verb above."""
        self._changes.clear()
        self._shown = None
        self._signing = self._signer

    def _append(self, text: bytes) -> None:
        number = len(self._texts)
        self._texts.append(text)
        new = hashlib.sha256(b"\x00" + text).digest()
        for level in range(64):
            if level == len(self._levels):
                self._levels.append(bytearray())
            hashes = self._levels[level]
            hashes += new
            if not number >> level & 1:
                return
            new = node_hash(bytes(hashes[-2 * HASH_SIZE : -HASH_SIZE]), new)

    def _honest_answer(self, path: str) -> Answer:
        size = self.size if self._shown is None else min(self._shown, self.size)
        kind, _, rest = path.partition("/")
        if path == "supported":
            return _FOUND, b""
        if path == "latest":
            return _FOUND, self.head(size)
        if kind == "lookup" and self._ids.get(rest, size) < size:
            number = self._ids[rest]
            return _FOUND, format_lookup(Record(number, self._texts[number]), self.head(size))
        if kind == "tile":
            return self._tile_answer(rest, size)
        return _NOT_FOUND, b"not found: no such module version\n"

    def _tile_answer(self, path: str, size: int) -> Answer:
        is_data = path.startswith("8/data/")
        try:
            tile = parse_tile_path(path.replace("8/data/", "8/0/", 1) if is_data else path)
        except MalformedData as error:
            return 400, str(error).encode()
        if width_in(tile.position, size) < tile.width:
            return _NOT_FOUND, b"not found: no such tile yet\n"
        if is_data:
            start = tile.index * 256
            return _FOUND, b"".join(text + b"\n" for text in self._texts[start : start + tile.width])
        return _FOUND, self.tile(tile)


def _invented_h1(text: str) -> str:
    return f"h1:{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _flipped(body: bytes, bit: int) -> bytes:
    changed = bytearray(body)
    if changed:
        changed[bit // 8 % len(changed)] ^= 1 << bit % 8
    return bytes(changed)
