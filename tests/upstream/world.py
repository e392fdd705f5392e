"""What the tests of upstreams share."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from p2pmods.gomod.goproxy import parse_goproxy
from p2pmods.gomod.module import FileKey, FileKind, ModuleVersion
from p2pmods.gomod.patterns import Patterns
from p2pmods.upstream.limits import Limits
from p2pmods.upstream.route import Upstream

if TYPE_CHECKING:
    from p2pmods.trust.evidence import Source
    from p2pmods.upstream.proxy import ProxyClient
    from p2pmods.upstream.vcs import VersionControl

# Patience in hundredths of a second, so that every way to be too slow is soon over.
QUICK = Limits(
    connect=5.0,
    answer=0.3,
    silence=0.1,
    window=0.1,
    small_total=5.0,
    zip_total=5.0,
    backoff=0.001,
    retry_after=0.05,
)
WIDGET = ModuleVersion("example.com/Widget", "v1.2.3")
INFO, MOD, ZIP_KEY = (FileKey(WIDGET, kind) for kind in FileKind)
# Not a zip that anyone could open, but it begins like one, and that is all an upstream's client looks at.
ZIP = b"PK\x03\x04" + random.Random(7).randbytes(300_000)


def upstream(goproxy: str, client: ProxyClient, *, no_proxy: str = "", vcs: VersionControl | None = None) -> Upstream:
    """The walk over a GOPROXY list."""
    return Upstream(
        parse_goproxy(goproxy), no_proxy=Patterns(no_proxy), client=client, vcs=vcs, offline=client.offline
    )


async def delivered(source: Source) -> Source:
    """The `accept` of a test that takes whatever comes."""
    return source
