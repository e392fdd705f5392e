"""A swarm: a name and a secret, and the keys that follow from them."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

if TYPE_CHECKING:
    from p2pmods.gomod.module import ModuleVersion

SECRET_SIZE: Final = 32  # bytes
OBJECT_KEY_SIZE: Final = 16  # bytes
_TAG_SIZE: Final = 10  # bytes
PUBLIC_NAME: Final = "public"


@dataclass(frozen=True, slots=True)
class Swarm:
    """Who knows the secret is a member. The three keys have 32 bytes each, and tell nothing of one another.

    `ca_seed` makes the key that signs the members' certificates, `datagram_key` seals membership datagrams,
    `naming_key` names what is looked for.
    """

    name: str
    secret: bytes = field(repr=False)
    ca_seed: bytes = field(init=False, repr=False, compare=False)
    datagram_key: bytes = field(init=False, repr=False, compare=False)
    naming_key: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.secret) != SECRET_SIZE:
            raise ValueError(f"a swarm's secret has {SECRET_SIZE} bytes, not {len(self.secret)}")
        for name in ("ca_seed", "datagram_key", "naming_key"):
            object.__setattr__(self, name, self._derive(name))

    def _derive(self, purpose: str) -> bytes:
        # The name is part of it: two swarms that were given one secret by mistake stay apart.
        info = f"p2pmods swarm v1 {purpose} {self.name}".encode()
        return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(self.secret)

    @property
    def discovery_tag(self) -> str:
        """By what members find their own swarm on a network: 16 letters and digits, which tell no name."""
        return base64.b32encode(self._derive("discovery_tag")[:_TAG_SIZE]).decode("ascii").lower()

    def object_key(self, module: ModuleVersion) -> bytes:
        """What the zip of a module version is called where its name is nobody's business: 16 bytes."""
        return self.key_of(str(module))

    def key_of(self, name: str) -> bytes:
        """The same for any name."""
        return hmac.digest(self.naming_key, name.encode(), hashlib.sha256)[:OBJECT_KEY_SIZE]


# Its secret is known to everyone: it gives privacy on the wire and a stable label, and no trust.
PUBLIC: Final = Swarm(PUBLIC_NAME, hashlib.sha256(b"p2pmods public swarm v1").digest())
