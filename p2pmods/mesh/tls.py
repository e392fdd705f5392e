"""TLS between members of a swarm: 1.3 alone, certificates both ways, no authority but the swarm's own."""

from __future__ import annotations

import contextlib
import os
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from p2pmods.errors import MalformedData, PeerError, printable
from p2pmods.identity.certificate import mint, node_id_of
from p2pmods.wire.tls import refuse_cuts

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from p2pmods.identity.certificate import Certificate
    from p2pmods.identity.swarm import Swarm

ALPN: Final = "p2pmods/1"
_PREFIX: Final = ".link-"
_SUFFIX: Final = ".pem"


@dataclass(frozen=True, slots=True)
class Contexts:
    """For the side that is dialled, and for the side that dials."""

    server: ssl.SSLContext
    client: ssl.SSLContext


def contexts(swarm: Swarm, key: Ed25519PrivateKey, directory: Path) -> Contexts:
    """What the node of `key` needs to talk to members of `swarm`.

    OpenSSL reads keys from files only: one is in `directory`, for its owner alone, while this runs. Raises OSError.
    """
    certificate = mint(swarm, key)
    for left_over in directory.glob(f"{_PREFIX}*{_SUFFIX}"):  # of a process that was killed here
        left_over.unlink(missing_ok=True)
    descriptor, name = tempfile.mkstemp(_SUFFIX, _PREFIX, directory)  # 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(certificate.chain_pem + certificate.key_pem)
        server = _context(ssl.PROTOCOL_TLS_SERVER, certificate, name)
        client = _context(ssl.PROTOCOL_TLS_CLIENT, certificate, name)
    finally:
        with contextlib.suppress(FileNotFoundError):
            Path(name).unlink()
    server.num_tickets = 0  # nothing is resumed: every link proves both keys
    return Contexts(server, client)


def _context(protocol: ssl._SSLMethod, certificate: Certificate, file: str) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)  # trusts nobody yet, unlike create_default_context
    refuse_cuts(context)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False  # names and addresses say nothing here, the leaf's key does
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=certificate.ca_pem.decode("ascii"))
    context.load_cert_chain(file)
    context.set_alpn_protocols([ALPN])
    return context


def peer_of(tls: ssl.SSLObject, address: str) -> str:
    """The node id at the other end, at `address`, after the handshake. Raises PeerError when it is no peer."""
    if tls.selected_alpn_protocol() != ALPN:
        raise PeerError(address, "a member of the swarm, but what it speaks is not this protocol")
    try:
        return node_id_of(tls.getpeercert(binary_form=True) or b"")
    except MalformedData as error:
        raise PeerError(address, str(error)) from error


def reason_of(error: OSError) -> str:
    """Why there was no link, in words for a person."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not of this swarm ({error.verify_message})"
    if isinstance(error, ssl.SSLEOFError | ConnectionError):
        return "it closed the connection"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed ({printable(error.reason or 'no reason given')})"
    return error.strerror or str(error)
