"""Web proxies of the environment are used as the go command uses them."""

from __future__ import annotations

import contextlib
import ssl
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio
import trustme

from p2pmods.errors import Refused, Unavailable
from p2pmods.testing import upstream_faults as faults
from p2pmods.testing.upstream import FakeUpstream
from p2pmods.upstream.failure import Unreachable
from p2pmods.upstream.limits import Want
from p2pmods.upstream.netproxy import NetProxies, net_proxies
from p2pmods.upstream.offline import OfflineState
from p2pmods.upstream.proxy import ProxyClient
from tests.upstream.world import QUICK, ZIP

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path


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
        client.close()
    assert server.requests == ["http://proxy.example.com/go/x/@v/v1.0.0.mod"]
    assert server.log[0].headers["proxy-authorization"].startswith("Basic ")


@pytest.mark.parametrize(
    ("host", "sent"),
    [("a" * 63, "a" * 63), ("BÜCHER.example", "xn--bcher-kva.example"), ("[2001:DB8::1]", "[2001:db8::1]")],
)
async def test_a_name_is_sent_in_ascii_and_may_be_as_long_as_a_name_may_be(host: str, sent: str) -> None:
    server = FakeUpstream()
    server.fault("/", faults.body(b"v1.0.0\n"))
    async with server.running():
        environ = {"HTTP_PROXY": server.url, "HTTPS_PROXY": server.url}
        client = ProxyClient(OfflineState(), limits=QUICK, environ=environ, netrc={})
        assert await client.get(f"http://{host}:8080", "x/@v/list", Want.LIST) == b"v1.0.0\n"
        with pytest.raises(Unavailable):
            await client.get(f"https://{host}:8443", "x/@v/list", Want.LIST)
        client.close()
    assert server.requests[:2] == [f"http://{sent}:8080/x/@v/list", f"{sent}:8443"]


async def test_a_proxy_we_cannot_speak_to_is_named() -> None:
    client = ProxyClient(OfflineState(), limits=QUICK, environ={"HTTPS_PROXY": "socks5://a:1"}, netrc={})
    with pytest.raises(Refused, match="HTTPS_PROXY"):
        await client.get("https://proxy.example.com", "x/@v/list", Want.LIST)


class WebProxy:
    """Connects to wherever it is asked, or answers `refusal`."""

    def __init__(self, refusal: bytes = b"") -> None:
        self.asked: list[bytes] = []
        self._refusal = refusal

    async def serve(self, stream: trio.abc.Stream) -> None:
        asked = bytes(await stream.receive_some())
        self.asked.append(asked)
        if self._refusal:
            await stream.send_all(self._refusal)
            return
        host, _, port = asked.split()[1].rpartition(b":")
        async with await trio.open_tcp_stream(host.decode(), int(port)) as upstream, trio.open_nursery() as nursery:
            await stream.send_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
            nursery.start_soon(pump, stream, upstream)
            await pump(upstream, stream)
            nursery.cancel_scope.cancel()


async def pump(source: trio.abc.ReceiveStream, target: trio.abc.SendStream) -> None:
    with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        async for data in source:
            await target.send_all(data)


@asynccontextmanager
async def web_proxy(proxy: WebProxy, tls: ssl.SSLContext | None) -> AsyncIterator[str]:
    """Its URL with a login, over TLS if there is a context."""

    async def serve(tcp: trio.SocketStream) -> None:
        stream = tcp if tls is None else trio.SSLStream(tcp, tls, server_side=True, https_compatible=True)
        with contextlib.suppress(trio.BrokenResourceError):
            await proxy.serve(stream)
        await trio.aclose_forcefully(tcp)

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        port = listeners[0].socket.getsockname()[1]
        yield f"{'http' if tls is None else 'https'}://me:s3%63ret@127.0.0.1:{port}"
        nursery.cancel_scope.cancel()


@pytest.fixture
def server_context(tmp_path: Path) -> ssl.SSLContext:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.mark.parametrize("proxy_over_tls", [False, True])
async def test_https_goes_through_a_tunnel_of_it_end_to_end(
    tmp_path: Path, server_context: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, *, proxy_over_tls: bool
) -> None:
    monkeypatch.setattr(NetProxies, "_is_direct", lambda *_: False)  # loopback too
    proxy, upstream = WebProxy(), FakeUpstream(tls=server_context)
    upstream.files = {"/x/@v/v1.0.0.zip": ZIP, "/x/@v/v1.0.0.mod": b"module x\n"}
    async with upstream.running(), web_proxy(proxy, server_context if proxy_over_tls else None) as url:
        environ = {"HTTPS_PROXY": url, "SSL_CERT_FILE": str(tmp_path / "ca.pem")}
        client = ProxyClient(OfflineState(), limits=QUICK, environ=environ, netrc={})
        assert await client.get(upstream.url, "x/@v/v1.0.0.zip", Want.ZIP) == ZIP
        assert await client.get(upstream.url, "x/@v/v1.0.0.mod", Want.MOD) == b"module x\n"
        client.close()
    (asked,) = proxy.asked  # the second request used the tunnel again
    assert asked.startswith(b"CONNECT 127.0.0.1:%d HTTP/1.1\r\n" % upstream.port)
    assert b"Proxy-Authorization: Basic bWU6czNjcmV0\r\n" in asked
    assert all("proxy-authorization" not in entry.headers for entry in upstream.log)


async def test_a_tunnel_that_is_refused_is_no_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NetProxies, "_is_direct", lambda *_: False)
    proxy = WebProxy(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
    async with web_proxy(proxy, None) as url:
        client = ProxyClient(OfflineState(), limits=QUICK, environ={"HTTPS_PROXY": url}, netrc={})
        with pytest.raises(Unreachable, match="web proxy answers 407"):
            await client.get("https://127.0.0.1:9", "x/@v/v1.0.0.mod", Want.MOD)
