"""What this node gives to peers: proven files, files that it is receiving, and small files that it is a home of."""

from __future__ import annotations

import os
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, Self

import structlog
import trio

from p2pmods.errors import P2pmodsError, StoreError
from p2pmods.gomod.module import FileKey, FileKind
from p2pmods.mesh.growing import WINDOW, GrowingFiles, GrowthStopped, Uploads
from p2pmods.mesh.tallies import Tallies
from p2pmods.store import fs
from p2pmods.swarm.messages import (
    BUSY,
    FETCHING,
    IN_PIECES,
    NOT_HELD,
    READY,
    STOPPED,
    YOURSELF,
    FileHead,
    GetFile,
    GetSmall,
    Small,
    SmallHead,
    pack_small,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from p2pmods.gomod.module import ModuleVersion
    from p2pmods.mesh.call import Call
    from p2pmods.mesh.links import Links
    from p2pmods.mesh.policy import SharingPolicy

MAX_UPLOADS: Final = 32  # bodies on their way at once; whoever comes then is sent elsewhere
MAX_OF_PEER: Final = 16  # of them to one peer, who may take them as slowly as it likes; go asks for ten files at once
SMALL_DEADLINE: Final = 20.0  # seconds that a peer waits at most for small files that are fetched for it

log = structlog.get_logger()


class OpenFile:
    """Bytes to give away: of an open file, or in memory. Close it after use."""

    __slots__ = ("_body", "_descriptor", "sha256", "size")

    def __init__(self, size: int, sha256: str, descriptor: int | None, body: bytes = b"") -> None:
        """`sha256` is hex."""
        self.size = size
        self.sha256 = sha256
        self._descriptor = descriptor
        self._body = body

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Once."""
        if self._descriptor is not None:
            os.close(self._descriptor)

    def read(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes. Raises OSError."""
        if self._descriptor is None:
            return self._body[offset : offset + length]
        piece = fs.pread(self._descriptor, offset, length)
        if len(piece) != length:
            raise OSError("the file was cut")
        return piece


class Shelf(Protocol):
    """What this node has for peers: all of it proven, and of paths that are not private."""

    def open_file(self, key: FileKey, sha256: str | None) -> OpenFile | None:
        """A whole file, of any bytes when `sha256` (hex) is None; the caller closes it."""

    async def look_again(self, module: ModuleVersion) -> bool:
        """Verify anew what was changed (copied, restored) since it was verified; whether there was any such file."""

    def versions(self, path: str) -> list[str]:
        """The versions of a module whose `.mod` and zip can be given."""

    def held_small(self, question: GetSmall) -> Small | None:
        """What is held and may be given of the version that is asked for; None when the kind asked for is not."""

    async def fetch_small(self, question: GetSmall) -> Small | None:
        """The same, after asking upstream proxies as anybody could: never with this user's credentials, never
        version control. None when that brought nothing."""


@dataclass(frozen=True, slots=True)
class GivenStatistics:
    """Since the start, to all peers together. `now` are bodies on their way."""

    files: int
    bytes: int
    now: int


class Giving:
    """Handlers of GetFile and GetSmall. `on_given(peer, key, size)` is told of every whole file."""

    def __init__(
        self,
        growing: GrowingFiles,
        shelf: Shelf,
        policy: SharingPolicy,
        uploads: Uploads,
        on_given: Callable[[str, FileKey, int], None],
    ) -> None:
        self.growing = growing
        self.shelf = shelf
        self.policy = policy
        self.uploads = uploads
        self.on_given = on_given
        self.by_peer = Tallies()
        self._now: Counter[str] = Counter()  # bodies on their way, by peer
        self._busy = 0  # peers that are being given something, each as often as it is
        self._idle = trio.lowlevel.ParkingLot()

    def serve(self, links: Links) -> None:
        """Answer what comes over these links."""
        links.on(GetFile, self.file)
        links.on(GetSmall, self.small)

    def statistics(self) -> GivenStatistics:
        total = self.by_peer.total
        return GivenStatistics(total.files, total.bytes, self._now.total())

    @contextmanager
    def busy(self) -> Iterator[None]:
        """While the block runs a peer is being given something."""
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1
            if not self._busy:
                self._idle.unpark_all()

    async def wait_idle(self) -> None:
        """Until nobody is being given anything."""
        while self._busy:
            await self._idle.park()

    async def declines(self, call: Call) -> bool:
        """Whether this was refused, because nothing is given at the moment, or not over this link."""
        if not self.policy.gives:
            await call.refuse(BUSY, "does not give at the moment")
        elif not self.policy.gives_over(call.here):
            await call.refuse(NOT_HELD, "gives nothing over a VPN")  # at once: patience would be in vain
        else:
            return False
        return True

    async def file(self, call: Call) -> None:
        """Answer a GetFile."""
        wanted: GetFile = call.message
        try:
            key = wanted.key
        except P2pmodsError as error:
            await call.refuse(NOT_HELD, str(error))
            return
        if await self.declines(call):
            return
        if self._now.total() >= MAX_UPLOADS or self._now[call.peer] >= MAX_OF_PEER:
            await call.refuse(BUSY, "gives enough already")
            return
        self._now[call.peer] += 1
        try:
            with self.busy():
                await (self._whole if wanted.token is None else self._relay)(call, key, wanted)
        finally:
            self._now[call.peer] -= 1
            self._now += Counter()  # nobody is kept for nothing

    async def _whole(self, call: Call, key: FileKey, wanted: GetFile) -> None:
        file = await open_again(self.shelf, key, wanted.sha256)
        if file is None:
            await call.refuse(NOT_HELD, "not held")
            return
        with file:
            if wanted.offset > file.size:
                await call.refuse(NOT_HELD, "not so long")
                return
            await call.reply_stream(FileHead(file.size, bytes.fromhex(file.sha256)), file.size - wanted.offset)
            for offset in range(wanted.offset, file.size, WINDOW):
                await self._send(call, file.read(offset, min(WINDOW, file.size - offset)))
            await call.end()
        self.by_peer.add(call.peer, 0, files=1)
        self.on_given(call.peer, key, file.size - wanted.offset)

    async def _relay(self, call: Call, key: FileKey, wanted: GetFile) -> None:
        assert wanted.token is not None
        growing = await self.growing.find(key, wanted.token)
        try:
            if growing is None:
                raise GrowthStopped("not fetched here")
            if wanted.in_pieces and await growing.is_large():
                await call.refuse(IN_PIECES, "large: follow it")
                return
            with growing.reader(wanted.offset) as reader:
                await call.reply_stream(FileHead(None, None))
                async for piece in reader:
                    await self._send(call, piece)
                await call.end()
        except (GrowthStopped, StoreError) as error:
            await call.refuse(STOPPED, str(error))
            return
        self.by_peer.add(call.peer, 0, files=1)
        self.on_given(call.peer, key, growing.size - wanted.offset)

    async def _send(self, call: Call, piece: bytes) -> None:
        await self.uploads.take(len(piece))
        await call.send(piece)
        self.by_peer.add(call.peer, len(piece))

    async def small(self, call: Call) -> None:
        """Answer a GetSmall: at once when the files are held, else as soon as it is known who will fetch them."""
        question: GetSmall = call.message
        try:
            path = question.key.module.path
        except P2pmodsError as error:
            await call.refuse(NOT_HELD, str(error))
            return
        may = self.policy.may_ask(path) and self.policy.gives_over(call.here)
        small = self.shelf.held_small(question) if may else None
        if may and small is None and await self.shelf.look_again(question.key.module):
            small = self.shelf.held_small(question)
        if small is not None:
            await self._send_small(call, SmallHead(READY), small)
        elif question.held_only or not may:
            await call.reply(SmallHead(YOURSELF))
        else:
            await call.reply_stream(SmallHead(FETCHING))
            with trio.move_on_after(SMALL_DEADLINE):
                small = await self.shelf.fetch_small(question)
            if small is None:
                await call.refuse(NOT_HELD, "its upstream did not deliver")
            else:
                await self._send_small(call, None, small)

    async def _send_small(self, call: Call, head: SmallHead | None, small: Small) -> None:
        body = pack_small(small)
        if head is not None:
            await call.reply_stream(head, len(body))
        await self.uploads.take(len(body))
        await call.send(body)
        await call.end()
        module = call.message.key.module
        for kind, data in ((FileKind.INFO, small.files.info), (FileKind.MOD, small.files.mod)):
            if data is not None:
                self.by_peer.add(call.peer, len(data), files=1)
                self.on_given(call.peer, FileKey(module, kind), len(data))


async def open_again(shelf: Shelf, key: FileKey, sha256: bytes | None) -> OpenFile | None:
    """A whole file; when it was changed since it was verified, after another look at it."""
    wanted = sha256.hex() if sha256 is not None else None
    file = shelf.open_file(key, wanted)
    if file is None and await shelf.look_again(key.module):
        file = shelf.open_file(key, wanted)
    return file
