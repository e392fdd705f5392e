"""Listening sockets: what a loopback one does not need, and what an address of the network keeps."""

from __future__ import annotations

import errno
import os
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
import trio

from p2pmods.httpd import CannotListen, FileBody, Response, listen
from tests.httpd.world import serving

if TYPE_CHECKING:
    from pathlib import Path

    from p2pmods.httpd import Request

TCP_CONGESTION: int = getattr(socket, "TCP_CONGESTION", -1)
choosing = pytest.mark.skipif(TCP_CONGESTION < 0, reason="this system has one congestion control for all")


@dataclass
class Choices:
    made: list[bytes] = field(default_factory=list)
    forbidden: bool = False


def control(sock: socket.socket) -> bytes:
    return sock.getsockopt(socket.IPPROTO_TCP, TCP_CONGESTION, 16).rstrip(b"\0")


@choosing
@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1"])
async def test_what_a_loopback_address_accepts_is_not_paced(host: str) -> None:
    try:
        (listener,) = await listen(host, 0)
    except CannotListen:
        pytest.skip("no such address here")
    with listener, trio.fail_after(10):
        async with await trio.open_tcp_stream(host, listener.getsockname()[1]):
            await trio.lowlevel.wait_readable(listener)
            accepted, _ = listener.accept()
            with accepted:
                assert control(accepted) == b"reno"


@pytest.fixture
def choices(monkeypatch: pytest.MonkeyPatch) -> Choices:
    """Every congestion control that a socket asks for from now on."""
    choices = Choices()

    class Watched(socket.socket):
        def setsockopt(self, *arguments: Any) -> None:
            if arguments[:2] == (socket.IPPROTO_TCP, TCP_CONGESTION):
                choices.made.append(arguments[2])
                if choices.forbidden:
                    raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
            super().setsockopt(*arguments)

    monkeypatch.setattr(socket, "socket", Watched)
    return choices


@choosing
@pytest.mark.parametrize(("host", "made"), [("127.0.0.1", [b"reno"]), ("0.0.0.0", [])])
async def test_where_the_network_reaches_the_systems_choice_stands(
    host: str, made: list[bytes], choices: Choices
) -> None:
    (listener,) = await listen(host, 0)
    listener.close()
    assert choices.made == made


@choosing
async def test_where_the_choice_is_forbidden_files_are_served_all_the_same(tmp_path: Path, choices: Choices) -> None:
    choices.forbidden = True
    await check_a_large_file_arrives(tmp_path / "large")
    assert choices.made == [b"reno"]


async def test_where_there_is_no_choice_files_are_served_all_the_same(
    tmp_path: Path, choices: Choices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(socket, "TCP_CONGESTION", raising=False)
    await check_a_large_file_arrives(tmp_path / "large")
    assert choices.made == []


async def check_a_large_file_arrives(path: Path) -> None:
    content = os.urandom(1 << 20)
    path.write_bytes(content)

    async def large(_request: Request) -> Response:
        return Response(200, body=FileBody.open(path))

    async with serving(large) as world, world.client() as client:
        assert (await client.get("/")).body == content
