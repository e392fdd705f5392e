"""Members of the swarm that answer badly: the request fails, its room is free, and the node goes on."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import trio

from p2pmods.errors import PeerError
from p2pmods.identity.key import node_id
from p2pmods.identity.records import Endpoint
from p2pmods.mesh.tls import contexts
from p2pmods.wire.codec import encode
from p2pmods.wire.frames import LENGTH, PREFACE, FrameDecoder, Kind, encode_frame, encode_head
from tests.mesh.world import KEYS, SWARM, Echo, Want, ask, soon, world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from tests.mesh.world import World

EVE = KEYS[7]
HEAD = encode(Want(100))


class Wire:
    """The frames of one connection, said and heard by hand."""

    def __init__(self, stream: trio.SSLStream[trio.SocketStream]) -> None:
        self.stream = stream
        self._decoder = FrameDecoder()

    async def hear(self, kind: Kind) -> int:
        """The id of the next frame of this kind; nothing else is answered."""
        while data := await self.stream.receive_some():
            for frame in self._decoder.receive(bytes(data)):
                if frame.kind is kind:
                    return frame.id
        raise AssertionError("the node hung up")

    async def say(self, *frames: bytes) -> None:
        await self.stream.send_all(b"".join(frames))


@asynccontextmanager
async def eve_who(w: World, acts: Callable[[Wire], Awaitable[None]]) -> AsyncIterator[str]:
    """Eve's node id; each connection to her is handed to `acts`, and closed when that returns."""
    context = contexts(SWARM, EVE, w.directory).server

    async def serve(stream: trio.SocketStream) -> None:
        secure = trio.SSLStream(stream, context, server_side=True, https_compatible=True)
        try:
            await secure.do_handshake()
            wire = Wire(secure)
            await wire.say(PREFACE)
            await acts(wire)
        finally:
            await trio.aclose_forcefully(secure)

    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    name = node_id(EVE)
    w.places[name] = [Endpoint("127.0.0.1", listener.socket.getsockname()[1])]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, serve, [listener])
        yield name
        nursery.cancel_scope.cancel()


async def test_death_at_99_per_cent(tmp_path: Path) -> None:
    async def die(wire: Wire) -> None:
        request = await wire.hear(Kind.REQUEST)
        await wire.say(
            encode_frame(Kind.STREAM, request, LENGTH.pack(100) + HEAD), encode_frame(Kind.DATA, request, bytes(99))
        )

    async with world(tmp_path) as w, eve_who(w, die) as eve:
        ann = await w.start()
        answer = await ann.request(eve, Want(100), deadline=soon())
        assert await anext(answer) == bytes(99)
        with pytest.raises(PeerError, match="closed the connection"):
            await anext(answer)
        assert ann.statistics().held == 0
        assert ann.linked() == frozenset()


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (encode_head(Kind.DATA, 1, 1 << 20), "frame of 1048576 bytes"),
        (encode_frame(Kind.ANSWER, 5, b"x"), "not under way"),
        (encode_head(99, 1, 4), "kind 99"),  # type: ignore[arg-type]
        (encode_frame(Kind.STREAM, 1, LENGTH.pack(9) + HEAD) + encode_frame(Kind.END, 1), "announced as 9"),
    ],
)
async def test_who_breaks_the_protocol_loses_the_link_with_the_reason(
    tmp_path: Path, said: bytes, reason: str
) -> None:
    heard = bytearray()
    done = trio.Event()

    async def break_it(wire: Wire) -> None:
        await wire.hear(Kind.REQUEST)
        await wire.say(said)
        try:
            while data := await wire.stream.receive_some():
                heard.extend(data)
        except trio.BrokenResourceError:
            pass
        done.set()

    async with world(tmp_path) as w, eve_who(w, break_it) as eve:
        ann, bob = await w.start(), await w.start()
        with pytest.raises(PeerError, match=reason):
            async for _ in await ann.request(eve, Want(100), deadline=soon()):
                pass
        await done.wait()
        assert reason.encode() in heard
        assert ann.statistics().held == 0
        assert await ask(ann, bob) == Echo("hello")


@pytest.mark.parametrize("answer", [b"\xc1", b"\x91\xcd\x03\xe7", bytes([0x91] * 1000), b"\xdd\xff\xff\xff\xff"])
async def test_an_answer_that_is_no_message_fails_its_request_alone(tmp_path: Path, answer: bytes) -> None:
    async def babble(wire: Wire) -> None:
        for _ in range(2):
            request = await wire.hear(Kind.REQUEST)
            await wire.say(encode_frame(Kind.ANSWER, request, answer))

    async with world(tmp_path) as w, eve_who(w, babble) as eve:
        ann = await w.start()
        for _ in range(2):
            with pytest.raises(PeerError, match="malformed message"):
                await ann.request(eve, Want(100), deadline=soon())
        assert ann.statistics().dialled == 1


async def test_a_link_that_always_goes_away_is_not_asked_for_ever(tmp_path: Path) -> None:
    async def leave(wire: Wire) -> None:
        await wire.hear(Kind.REQUEST)
        await wire.say(encode_frame(Kind.GOAWAY, 0, bytes(4) + b"bye"))
        while await wire.stream.receive_some():
            pass

    async with world(tmp_path) as w, eve_who(w, leave) as eve:
        ann = await w.start()
        with pytest.raises(PeerError, match="its links do not last"):
            await ann.request(eve, Want(100), deadline=soon())
        assert ann.statistics().held == 0


async def test_going_away_in_the_middle_of_an_answer_is_an_error_of_the_peer(tmp_path: Path) -> None:
    async def leave(wire: Wire) -> None:
        request = await wire.hear(Kind.REQUEST)
        await wire.say(
            encode_frame(Kind.STREAM, request, LENGTH.pack(100) + HEAD),
            encode_frame(Kind.GOAWAY, 0, bytes(4) + b"bye"),
        )
        while await wire.stream.receive_some():
            pass

    async with world(tmp_path) as w, eve_who(w, leave) as eve:
        ann = await w.start()
        answer = await ann.request(eve, Want(100), deadline=soon())
        with pytest.raises(PeerError, match="gave the link up in the middle"):
            await anext(answer)


async def test_a_node_that_dies_before_it_answers_is_an_error_of_the_peer(tmp_path: Path) -> None:
    async def die(wire: Wire) -> None:
        await wire.hear(Kind.REQUEST)

    async with world(tmp_path) as w, eve_who(w, die) as eve:
        ann = await w.start()
        with pytest.raises(PeerError, match="closed the connection"):
            await ann.request(eve, Want(100), deadline=soon())
