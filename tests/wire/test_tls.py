"""No cut is taken for an end, whatever the Python and OpenSSL of this machine think of it."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from p2pmods.identity.swarm import PUBLIC
from p2pmods.mesh import tls as mesh_tls
from p2pmods.upstream import tls as upstream_tls
from p2pmods.wire.tls import TlsMachine

if TYPE_CHECKING:
    from pathlib import Path

CUT_IS_END = getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)

pytestmark = pytest.mark.skipif(not CUT_IS_END, reason="an OpenSSL that never takes a cut for an end")


class LenientSsl:
    """The module, in a Python whose contexts take a cut for an end, as that of Debian 12 does."""

    def __getattr__(self, name: str) -> Any:
        return getattr(ssl, name)

    def SSLContext(self, protocol: int) -> ssl.SSLContext:
        made = ssl.SSLContext(protocol)
        made.options |= CUT_IS_END
        return made


@pytest.fixture(autouse=True)
def lenient_python(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (mesh_tls, upstream_tls):
        monkeypatch.setattr(module, "ssl", LenientSsl())


def test_links_take_no_cut_for_an_end(tmp_path: Path) -> None:
    made = mesh_tls.contexts(PUBLIC, Ed25519PrivateKey.generate(), tmp_path)
    assert not made.server.options & CUT_IS_END
    assert not made.client.options & CUT_IS_END


def test_upstreams_answers_are_not_taken_for_whole_when_they_are_cut(tmp_path: Path) -> None:
    context = upstream_tls.client_context({"SSL_CERT_DIR": str(tmp_path)}, ["http/1.1"])
    assert not context.options & CUT_IS_END


def test_nor_are_they_where_the_system_s_authorities_are_trusted() -> None:
    assert not upstream_tls.client_context({}, ["http/1.1"]).options & CUT_IS_END


class CutObject:
    """A connection that was cut, in a Python that has no exception of its own for that."""

    def _cut(self, *_: object) -> None:
        error = ssl.SSLError(1, "unexpected eof while reading")
        error.reason = "UNEXPECTED_EOF_WHILE_READING"
        raise error

    do_handshake = read = _cut


def test_a_cut_has_one_name_in_every_python() -> None:
    machine = TlsMachine(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), server_hostname="example.org")
    machine.object = CutObject()  # type: ignore[assignment]
    with pytest.raises(ssl.SSLEOFError):
        machine.handshake()
    with pytest.raises(ssl.SSLEOFError):
        machine.decrypt_into(memoryview(bytearray(10)))
