"""What a claimant can do, by which a home decides who fetches for all."""

from __future__ import annotations

from typing import Final

import attrs

from p2pmods.wire.bounds import between
from p2pmods.wire.codec import part

# Classes of upstream, the better the higher.
NO_UPSTREAM: Final = 0
ORIGIN: Final = 1  # version control only
PROXY: Final = 2

DATABASE: Final = 1  # reaches a checksum database: what it fetches gets proven
UPLOADS: Final = 2  # will give what it has
METERED: Final = 4
CAPTIVE: Final = 8  # behind a portal that answers for everyone
FAILING: Final = 16  # its last attempt upstream failed

_NEVER: Final = 0xFFFFFFFF


@part
class Ability:
    """`success`: seconds since its upstream last delivered, None when it did not since the node started."""

    upstream: int = attrs.field(validator=between(NO_UPSTREAM, PROXY))
    flags: int = attrs.field(validator=between(0, 0xFF))
    success: int | None = attrs.field(validator=between(0, _NEVER))

    @property
    def is_capable(self) -> bool:
        """Whether it can fetch, prove and share."""
        able = self.flags & (DATABASE | UPLOADS) == DATABASE | UPLOADS
        return self.upstream > NO_UPSTREAM and able and not self.flags & (METERED | CAPTIVE | FAILING)

    @property
    def may_recover(self) -> bool:
        """Whether only a failure of late speaks against it, of an upstream that has delivered before."""
        mended = Ability(self.upstream, self.flags & ~FAILING, self.success)
        return self.success is not None and mended.is_capable

    @property
    def rank(self) -> tuple[int, int]:
        """The better claimant has the higher one: class of upstream, then how recently that worked."""
        return self.upstream, -(_NEVER if self.success is None else self.success)
