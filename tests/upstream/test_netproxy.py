"""Web proxies of the environment are used as the go command uses them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from p2pmods.errors import Refused
from p2pmods.testing import upstream_faults as faults
from p2pmods.testing.upstream import FakeUpstream
from p2pmods.upstream.limits import Want
from p2pmods.upstream.netproxy import net_proxies
from p2pmods.upstream.offline import OfflineState
from p2pmods.upstream.proxy import ProxyClient
from tests.upstream.world import QUICK

if TYPE_CHECKING:
    from collections.abc import Mapping


def via(environ: Mapping[str, str], host: str, scheme: str = "https", port: int | None = None) -> str | None:
    return net_proxies(environ).proxy_for(scheme, host, port)


def test_each_scheme_has_its_own() -> None:
    environ = {"HTTP_PROXY": "http://a:1", "https_proxy": "b:2"}
    assert via(environ, "x.example.com", "http") == "http://a:1"
    assert via(environ, "x.example.com") == "http://b:2"
    assert via({}, "x.example.com") is None


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.8.8", "::1"])
def test_loopback_never_goes_through_one(host: str) -> None:
    assert via({"HTTPS_PROXY": "http://a:1"}, host) is None


@pytest.mark.parametrize(
    ("exception", "direct", "proxied"),
    [
        ("*", ["x.example.com", "1.2.3.4"], []),
        ("example.com", ["example.com", "x.example.com"], ["notexample.com", "example.com.evil"]),
        (".example.com", ["x.example.com"], ["example.com"]),
        ("10.0.0.0/8, x.org", ["10.1.2.3", "x.org"], ["11.1.2.3"]),
        ("1.2.3.4", ["1.2.3.4"], ["1.2.3.5"]),
        ("[2001:db8::1]:443", ["2001:db8::1"], ["2001:db8::2"]),
        ("x.org:443", ["x.org"], ["y.org"]),
        ("x.org:80", [], ["x.org"]),
        ("10.0.0.0/99,,", [], ["10.1.2.3"]),
    ],
)
def test_exceptions(exception: str, direct: list[str], proxied: list[str]) -> None:
    environ = {"HTTPS_PROXY": "http://a:1", "NO_PROXY": exception}
    assert [host for host in direct + proxied if via(environ, host)] == proxied


async def test_a_plain_request_goes_through_it_with_its_whole_url() -> None:
    server = FakeUpstream()
    server.fault("/", faults.body(b"module x\n"))
    async with server.running():
        environ = {"HTTP_PROXY": server.url.replace("://", "://user:pw@")}
        client = ProxyClient(OfflineState(), limits=QUICK, environ=environ, netrc={})
        assert await client.get("http://proxy.example.com/go", "x/@v/v1.0.0.mod", Want.MOD) == b"module x\n"
        await client.aclose()
    assert server.requests == ["http://proxy.example.com/go/x/@v/v1.0.0.mod"]
    assert server.log[0].headers["proxy-authorization"].startswith("Basic ")


async def test_a_proxy_we_cannot_speak_to_is_named() -> None:
    client = ProxyClient(OfflineState(), limits=QUICK, environ={"HTTPS_PROXY": "socks5://a:1"}, netrc={})
    with pytest.raises(Refused, match="HTTPS_PROXY"):
        await client.get("https://proxy.example.com", "x/@v/list", Want.LIST)
