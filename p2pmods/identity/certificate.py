"""Certificates that every member of a swarm mints for itself, and what is read back from another's.

The swarm's secret gives the key of its authority, so whoever knows it can sign. That makes standard TLS refuse
everyone else; who the other one is says the key in the leaf, which nobody else can use.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from p2pmods.errors import MalformedData
from p2pmods.identity.key import id_of_public, node_id

if TYPE_CHECKING:
    from p2pmods.identity.swarm import Swarm

# Clocks are wrong on real laptops: a new secret is the only expiry. 9999-12-31 is what RFC 5280 has for "never".
_FROM: Final = datetime(1970, 1, 1, tzinfo=UTC)
_UNTIL: Final = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
MAX_CERTIFICATE: Final = 4 << 10  # bytes of a leaf; ours have some 400


@dataclass(frozen=True, slots=True)
class Certificate:
    """PEM texts: this node's certificate, its key, and the authority that it trusts (and that signed it)."""

    chain_pem: bytes
    key_pem: bytes = field(repr=False)
    ca_pem: bytes


def mint(swarm: Swarm, key: Ed25519PrivateKey) -> Certificate:
    """A certificate for the node of `key` in `swarm`."""
    ca_key = Ed25519PrivateKey.from_private_bytes(swarm.ca_seed)
    # The authority's name follows from its key, so that a chain of another swarm does not even look like one of ours.
    issuer = _name(f"p2pmods {node_id(ca_key)}")
    ca = (
        _builder(issuer, issuer, ca_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, None)
    )
    both_ways = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    leaf = (
        _builder(_name(node_id(key)), issuer, key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(both_ways, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, None)
    )
    key_pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Certificate(leaf.public_bytes(Encoding.PEM), key_pem, ca.public_bytes(Encoding.PEM))


def node_id_of(certificate: bytes) -> str:
    """The node id of the key in a DER leaf that TLS has accepted. Raises MalformedData."""
    if len(certificate) > MAX_CERTIFICATE:
        raise MalformedData("certificate", f"{len(certificate)} bytes, more than {MAX_CERTIFICATE}")
    try:
        public = x509.load_der_x509_certificate(certificate).public_key()
    except (ValueError, TypeError, x509.InvalidVersion) as error:
        raise MalformedData("certificate", "it cannot be parsed") from error
    if not isinstance(public, Ed25519PublicKey):
        raise MalformedData("certificate", "its key is not of Ed25519")
    return id_of_public(public.public_bytes(Encoding.Raw, PublicFormat.Raw))


def _builder(subject: x509.Name, issuer: x509.Name, public: Ed25519PublicKey) -> x509.CertificateBuilder:
    raw = public.public_bytes(Encoding.Raw, PublicFormat.Raw)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(int.from_bytes(raw[:8], "big") >> 1 | 1)
        .not_valid_before(_FROM)
        .not_valid_after(_UNTIL)
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
