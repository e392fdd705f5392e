"""Certificates: standard TLS lets members of the swarm in, and nobody else."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding

from p2pmods.errors import MalformedData
from p2pmods.identity.certificate import MAX_CERTIFICATE, Certificate, mint, node_id_of
from p2pmods.identity.key import node_id
from p2pmods.identity.swarm import PUBLIC, Swarm

if TYPE_CHECKING:
    from pathlib import Path

ANN = Ed25519PrivateKey.from_private_bytes(bytes(32))
BOB = Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32)
OFFICE = Swarm("office", bytes(32))


def context(kind: ssl._SSLMethod, certificate: Certificate, directory: Path) -> ssl.SSLContext:
    made = ssl.SSLContext(kind)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_REQUIRED
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.load_verify_locations(cadata=certificate.ca_pem.decode())
    path = directory / "pair.pem"
    path.write_bytes(certificate.key_pem + certificate.chain_pem)
    made.load_cert_chain(path)
    return made


def shake(client: ssl.SSLContext, server: ssl.SSLContext) -> tuple[str, str]:
    """The node ids that client and server see at the other end. Raises ssl.SSLError."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (client.wrap_bio(down, up), server.wrap_bio(up, down, server_side=True))
    waiting = list(ends)
    while waiting:
        for end in list(waiting):
            try:
                end.do_handshake()
                waiting.remove(end)
            except ssl.SSLWantReadError:
                continue
    seen = [end.getpeercert(binary_form=True) for end in ends]
    assert seen[0]
    assert seen[1]
    return node_id_of(seen[0]), node_id_of(seen[1])


def test_two_members_see_each_others_node_ids(tmp_path: Path) -> None:
    client = context(ssl.PROTOCOL_TLS_CLIENT, mint(OFFICE, ANN), tmp_path)
    server = context(ssl.PROTOCOL_TLS_SERVER, mint(OFFICE, BOB), tmp_path)
    assert shake(client, server) == (node_id(BOB), node_id(ANN))


@pytest.mark.parametrize(
    "other", [PUBLIC, Swarm("office", bytes([9]) * 32), Swarm("lab", bytes(32))], ids=lambda s: s.name
)
def test_a_member_of_another_swarm_is_refused_on_both_sides(other: Swarm, tmp_path: Path) -> None:
    ours = mint(OFFICE, ANN), mint(OFFICE, BOB)
    stranger = mint(other, BOB)
    for client, server in ((ours[0], stranger), (stranger, ours[1])):
        with pytest.raises(ssl.SSLError):
            shake(
                context(ssl.PROTOCOL_TLS_CLIENT, client, tmp_path), context(ssl.PROTOCOL_TLS_SERVER, server, tmp_path)
            )


def test_a_leaf_cannot_sign_for_others(tmp_path: Path) -> None:
    ann = mint(OFFICE, ANN)
    as_authority = Certificate(mint(OFFICE, BOB).chain_pem, mint(OFFICE, BOB).key_pem, ann.chain_pem)
    with pytest.raises(ssl.SSLError):
        shake(
            context(ssl.PROTOCOL_TLS_CLIENT, as_authority, tmp_path),
            context(ssl.PROTOCOL_TLS_SERVER, mint(OFFICE, BOB), tmp_path),
        )


@pytest.mark.parametrize("data", [b"", b"\x30\x00", bytes(100), bytes(MAX_CERTIFICATE + 1)], ids=len)
def test_what_is_no_certificate_has_no_node_id(data: bytes) -> None:
    with pytest.raises(MalformedData, match="certificate"):
        node_id_of(data)


def test_the_key_is_not_shown() -> None:
    assert "PRIVATE" not in repr(mint(OFFICE, ANN))


def test_a_certificate_of_another_kind_of_key_names_no_node() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "node")])
    other = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2036, 1, 1, tzinfo=UTC))
        .sign(key, hashes.SHA256())
    )
    with pytest.raises(MalformedData, match="Ed25519"):
        node_id_of(other.public_bytes(Encoding.DER))
