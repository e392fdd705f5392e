"""The port for peers: one number for both protocols, the same from run to run, and a clear word when it is taken."""

from __future__ import annotations

import socket
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from p2pmods.config.values import Address
from p2pmods.mesh.ports import KEPT, CannotListenForPeers, open_sockets

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOOPBACK = Address("127.0.0.1", 0)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "tmp").mkdir()
    return tmp_path


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_both_protocols_have_one_port(data: Path) -> None:
    with closing(open_sockets(LOOPBACK, data)) as sockets:
        assert {sock.getsockname() for sock in (*sockets.tcp, *sockets.udp)} == {("127.0.0.1", sockets.port)}
        assert {sock.type for sock in (*sockets.tcp, *sockets.udp)} == {socket.SOCK_STREAM, socket.SOCK_DGRAM}
        assert not any(sock.getblocking() for sock in (*sockets.tcp, *sockets.udp))
        with socket.create_connection(("127.0.0.1", sockets.port)):
            pass


def test_the_port_is_kept_from_run_to_run(data: Path) -> None:
    with closing(open_sockets(LOOPBACK, data)) as sockets:
        first = sockets.port
    with closing(open_sockets(LOOPBACK, data)) as sockets:
        assert sockets.port == first
    assert (data / KEPT).read_text() == f"{first}\n"


def test_a_kept_port_that_somebody_else_has_is_given_up_for_another(data: Path, taken: int) -> None:
    (data / KEPT).write_text(f"{taken}\n")
    with closing(open_sockets(LOOPBACK, data)) as sockets:
        assert sockets.port != taken
        assert (data / KEPT).read_text() == f"{sockets.port}\n"


@pytest.mark.parametrize("kept", [b"", b"x", b"0\n", b"-1\n", b"65536\n", b"9" * 100, b"\xff\xfe"])
def test_a_kept_port_that_is_none_is_forgotten(data: Path, kept: bytes) -> None:
    (data / KEPT).write_bytes(kept)
    with closing(open_sockets(LOOPBACK, data)) as sockets:
        assert 0 < sockets.port < 65536


def test_a_port_of_the_settings_is_taken_or_nothing(data: Path, taken: int) -> None:
    with pytest.raises(CannotListenForPeers, match=rf"127.0.0.1:{taken}.*--peer-listen"):
        open_sockets(Address("127.0.0.1", taken), data)
    assert not (data / KEPT).exists()


def test_a_port_that_only_the_other_protocol_has_is_taken_too(data: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        with pytest.raises(CannotListenForPeers):
            open_sockets(Address("127.0.0.1", other.getsockname()[1]), data)


def test_an_address_of_another_machine_is_said_to_be_none(data: Path) -> None:
    with pytest.raises(CannotListenForPeers, match="cannot listen on"):
        open_sockets(Address("127.0.0.1.example.invalid", 7000), data)


def test_a_data_directory_that_cannot_be_written_costs_the_number_only(data: Path) -> None:
    (data / "tmp").rmdir()
    with closing(open_sockets(LOOPBACK, data)) as sockets:
        assert sockets.port
    assert not (data / KEPT).exists()
