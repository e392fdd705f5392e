"""An upstream on loopback that serves one module, and a client with little patience."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from p2pmods.testing.upstream import FakeUpstream
from p2pmods.upstream.offline import OfflineState
from p2pmods.upstream.proxy import ProxyClient
from tests.upstream.world import QUICK, WIDGET, ZIP

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def fake() -> AsyncIterator[FakeUpstream]:
    upstream = FakeUpstream()
    upstream.add(WIDGET, ZIP, mod=b"module example.com/Widget\n")
    async with upstream.running():
        yield upstream


@pytest.fixture
def offline() -> OfflineState:
    return OfflineState()


@pytest.fixture
async def client(offline: OfflineState) -> AsyncIterator[ProxyClient]:
    client = ProxyClient(offline, limits=QUICK, environ={}, netrc={}, random_fraction=random.Random(1).random)
    yield client
    client.close()
