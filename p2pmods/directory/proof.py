"""The terms of a lease are signed by the home that grants it, for one key and one fetcher: no other can use them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from p2pmods.directory.messages import Terms
from p2pmods.errors import MalformedData
from p2pmods.identity.key import node_id, public_of_id
from p2pmods.identity.signing import check_signature, sign
from p2pmods.wire.codec import encode_part, part

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_DOMAIN: Final = "lease"


@part
class _Signed:
    key: bytes
    fetcher: str
    token: bytes


def grant_terms(home: Ed25519PrivateKey, key: bytes, fetcher: str, token: bytes) -> Terms:
    """Terms under which `fetcher` may fetch `key`, signed by `home`."""
    data = encode_part(_Signed(key, fetcher, token))
    return Terms(fetcher, token, node_id(home), sign(home, _DOMAIN, data))


def is_genuine(terms: Terms, key: bytes) -> bool:
    """Whether the home that the terms name granted them for `key`."""
    try:
        data = encode_part(_Signed(key, terms.fetcher, terms.token))
        check_signature(public_of_id(terms.home), _DOMAIN, data, terms.proof)
    except MalformedData:
        return False
    return True
