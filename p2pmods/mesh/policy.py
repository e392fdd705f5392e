"""What may be asked of peers, and what may be given to them: the one place that knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2pmods.gomod.module import FileKind
from p2pmods.trust.evidence import SumdbProof

if TYPE_CHECKING:
    from collections.abc import Callable

    from p2pmods.store.stored import StoredFile


class SharingPolicy:
    """Asked: whatever no private pattern matches. Given: only what the swarm's own checksum database proves.

    `database` is that database's name, as it stands in proofs. `is_private` matches module paths. `is_public`:
    everyone may be a member of the swarm.
    """

    def __init__(self, database: str, is_private: Callable[[str], bool], *, is_public: bool) -> None:
        self.is_public = is_public
        self.database = database
        self._is_private = is_private
        self.paused = False  # by the user
        self.is_metered = False  # the connection is paid by the byte
        self.tunnels: frozenset[str] = frozenset()  # addresses of this machine over which nothing is given
        self.reluctance: str | None = None  # why nothing is given at the moment, though the user did not say so

    @property
    def gives(self) -> bool:
        """Whether anything is given now."""
        return not self.paused and self.reluctance is None

    def gives_over(self, here: str) -> bool:
        """Whether anything is given now over links that end at this address of this machine."""
        return self.gives and here not in self.tunnels

    def may_ask(self, path: str) -> bool:
        """Whether a peer may hear the name of this module path."""
        return not self._is_private(path)

    def may_give(self, stored: StoredFile) -> bool:
        """Whether a peer may get these bytes. An `.info` has no proof: it goes along with a `.mod` that has one."""
        if not self.gives or stored.key.kind is FileKind.INFO or self._is_private(stored.key.module.path):
            return False
        return any(isinstance(item, SumdbProof) and item.database == self.database for item in stored.evidence)
