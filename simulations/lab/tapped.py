"""`python -m simulations.lab.tapped …` is `p2pmods …` that writes down what it sends before that is sealed.

Frames and datagrams, and those that come when they were opened, go to the file that LAB_TAP names. It is no part of
the product: it wraps the functions that seal and open.
"""

from __future__ import annotations

import os
from typing import IO, TYPE_CHECKING

from p2pmods.cli.main import main
from p2pmods.membership import core
from p2pmods.mesh import sockets
from p2pmods.wire.seal import seal, unseal

if TYPE_CHECKING:
    from collections.abc import Callable

TAP_VARIABLE = "LAB_TAP"


def tap(out: IO[bytes]) -> None:
    """From now on, in this process."""
    encrypt, receive = sockets.SecureSocket.encrypt, sockets.SecureSocket.receive

    def tapped_encrypt(self: sockets.SecureSocket, text: bytes) -> None:
        out.write(text + b"\n")
        encrypt(self, text)

    async def tapped_receive(self: sockets.SecureSocket) -> bytes:
        text = await receive(self)
        out.write(text + b"\n")
        return text

    def tapped_seal(key: bytes, plain: bytes, nonce: bytes) -> bytes:
        out.write(plain + b"\n")
        return seal(key, plain, nonce)

    def tapped_unseal(key: bytes, sealed: bytes) -> bytes:
        plain = unseal(key, sealed)
        out.write(plain + b"\n")
        return plain

    _put(sockets.SecureSocket, "encrypt", tapped_encrypt)
    _put(sockets.SecureSocket, "receive", tapped_receive)
    _put(core, "seal", tapped_seal)
    _put(core, "unseal", tapped_unseal)


def _put(where: object, name: str, function: Callable[..., object]) -> None:
    if not hasattr(where, name):
        raise AttributeError(f"there is no {name} any more: nothing would be seen")
    setattr(where, name, function)


if __name__ == "__main__":
    with open(os.environ[TAP_VARIABLE], "ab", buffering=0) as file:  # noqa: PTH123 - a name, not a path of ours
        tap(file)
        main()
