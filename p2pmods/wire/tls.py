"""TLS as a machine: bytes of the socket go in, text comes out, and the other way round.

A socket's TLS of the standard library hands out one record (16 KiB) a time. Here one read of the socket is decrypted
whole, however many records it holds.
"""

from __future__ import annotations

import ssl
from typing import Final, cast

# Python 3.10 and early releases of 3.11 set it by default where OpenSSL is 3: Debian 12 has one of them.
_CUT_IS_END: Final = getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)


def refuse_cuts(context: ssl.SSLContext) -> None:
    """Let no connection of `context` take a cut for the end: whoever can cut it could shorten what is received."""
    context.options &= ~_CUT_IS_END


def _raise_cut(error: ssl.SSLError) -> None:
    """The same releases of Python have no exception of its own for a cut."""
    if error.reason == "UNEXPECTED_EOF_WHILE_READING" and not isinstance(error, ssl.SSLEOFError):
        raise ssl.SSLEOFError(*error.args) from error


class TlsMachine:
    """One side of a TLS connection; `object` tells of the other side once the handshake is done."""

    def __init__(
        self, context: ssl.SSLContext, *, server_side: bool = False, server_hostname: str | None = None
    ) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self.object = context.wrap_bio(
            self._incoming, self._outgoing, server_side=server_side, server_hostname=server_hostname
        )
        self.has_ended = False  # the other side said that nothing follows

    def handshake(self) -> bool:
        """True when it is done; else more must be sent and received.

        Raises ssl.SSLError, SSLEOFError if it ended without being said.
        """
        try:
            self.object.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLError as error:
            _raise_cut(error)
            raise
        return True

    def receive(self, data: bytes | memoryview) -> None:
        """What the socket gave; nothing when it ended."""
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def decrypt_into(self, buffer: memoryview) -> int:
        """Text of what was received, as much as there is and fits; how many bytes. 0 when more must be received.

        Raises ssl.SSLError, SSLEOFError if it ended without being said.
        """
        count = 0
        try:
            while count < len(buffer):
                got = cast("int", self.object.read(len(buffer) - count, buffer[count:]))
                if not got:
                    self.has_ended = True
                    break
                count += got
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.has_ended = True
        except ssl.SSLError as error:
            if not count:  # else it comes again when this has been used
                _raise_cut(error)
                raise
        return count

    @property
    def has_input(self) -> bool:
        """Whether something was received that is not decrypted."""
        return self._incoming.pending > 0

    def write(self, text: bytes) -> None:
        """Encrypt what is not empty. Raises ssl.SSLError."""
        self.object.write(text)

    @property
    def has_output(self) -> bool:
        return self._outgoing.pending > 0

    def to_send(self) -> bytes:
        """What belongs on the socket."""
        return self._outgoing.read()
