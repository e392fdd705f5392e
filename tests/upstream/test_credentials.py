"""Credentials reach the host they are for, over TLS, and nothing else."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trustme

from p2pmods.errors import Refused, Unavailable
from p2pmods.testing import upstream_faults as faults
from p2pmods.testing.upstream import FakeUpstream
from p2pmods.upstream.failure import Unreachable
from p2pmods.upstream.limits import Want
from p2pmods.upstream.netrc import basic_auth, find_credential, netrc_path, parse_netrc
from p2pmods.upstream.offline import OfflineState
from p2pmods.upstream.origin import parse_origin
from p2pmods.upstream.proxy import ProxyClient
from tests.upstream.world import MOD, QUICK, WIDGET, ZIP, upstream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

AUTH = basic_auth("me", "s3cret")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def environ(authority: trustme.CA, tmp_path: Path) -> dict[str, str]:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return {"SSL_CERT_FILE": str(tmp_path / "ca.pem"), "SSL_CERT_DIR": str(tmp_path)}


def server_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.fixture
async def secure(authority: trustme.CA) -> AsyncIterator[FakeUpstream]:
    server = FakeUpstream(tls=server_context(authority))
    server.add(WIDGET, ZIP)
    async with server.running():
        yield server


@pytest.fixture
async def other(authority: trustme.CA) -> AsyncIterator[FakeUpstream]:
    server = FakeUpstream(tls=server_context(authority))
    server.add(WIDGET, ZIP)
    async with server.running():
        yield server


def client_with(environ: dict[str, str], netrc: dict[str, str] | None = None) -> ProxyClient:
    return ProxyClient(OfflineState(), limits=QUICK, environ=environ, netrc=netrc or {})


async def get(client: ProxyClient, url: str, want: Want = Want.MOD) -> bytes:
    try:
        return await client.get(url, MOD.url_path, want)
    finally:
        client.close()


async def test_tls_works_with_what_ssl_cert_file_trusts(secure: FakeUpstream, environ: dict[str, str]) -> None:
    client = client_with(environ)
    zip_path = f"{MOD.url_path.removesuffix('mod')}zip"
    assert await client.get(secure.url, zip_path, Want.ZIP) == ZIP
    client.close()


async def test_a_certificate_that_nobody_trusts_is_no_connection(secure: FakeUpstream) -> None:
    with pytest.raises(Unreachable, match="certificate not trusted"):
        await get(client_with({}), secure.url)
    assert secure.requests == []


async def test_a_name_that_the_certificate_is_not_for_is_no_connection(
    secure: FakeUpstream, environ: dict[str, str]
) -> None:
    with pytest.raises(Unreachable, match="certificate not trusted"):
        await get(client_with(environ), secure.url.replace("127.0.0.1", "localhost"))


async def test_a_cert_file_that_is_not_there_is_named(secure: FakeUpstream) -> None:
    with pytest.raises(Unavailable, match="SSL_CERT_FILE"):
        await get(client_with({"SSL_CERT_FILE": "/nowhere.pem"}), secure.url)


async def test_netrc_speaks_for_its_host(secure: FakeUpstream, environ: dict[str, str]) -> None:
    netrc = {f"127.0.0.1:{secure.port}": AUTH}
    await get(client_with(environ, netrc), secure.url)
    assert secure.log[0].headers["authorization"] == AUTH


async def test_credentials_in_the_url_go_along_and_are_not_shown(
    secure: FakeUpstream, environ: dict[str, str]
) -> None:
    client = client_with(environ)
    walk = upstream(secure.url.replace("://", "://me:s3%63ret@"), client)
    source = (await walk.fetch_list(WIDGET.path))[1]
    assert secure.log[0].headers["authorization"] == AUTH
    secure.fault("/", faults.status(403))
    with pytest.raises(Refused) as caught:
        await walk.fetch_list(WIDGET.path)
    for shown in (source.id, repr(caught.value), repr(caught.value.__dict__), repr(walk.statistics())):
        assert "s3" not in shown
    client.close()


async def test_credentials_are_not_sent_without_tls(fake: FakeUpstream, client: ProxyClient) -> None:
    with pytest.raises(Refused, match="refusing to pass credentials to an insecure URL") as caught:
        await client.get(fake.url.replace("://", "://me:s3cret@"), MOD.url_path, Want.MOD)
    assert "s3cret" not in str(caught.value)
    assert fake.requests == []


def test_netrc_does_not_speak_over_plain_http() -> None:
    assert parse_origin("http://proxy.example.com", "x", {"proxy.example.com": AUTH}).authorization is None


async def test_credentials_do_not_follow_a_redirect_to_another_host(
    secure: FakeUpstream, other: FakeUpstream, environ: dict[str, str]
) -> None:
    secure.fault("/", faults.redirect(f"{other.url}/{MOD.url_path}"))
    await get(client_with(environ, {"127.0.0.1": AUTH, f"127.0.0.1:{secure.port}": AUTH}), secure.url)
    assert "authorization" in secure.log[0].headers
    assert "authorization" not in other.log[0].headers


async def test_credentials_follow_a_redirect_on_the_same_host(secure: FakeUpstream, environ: dict[str, str]) -> None:
    secure.fault(".mod", faults.redirect("/elsewhere"), times=1)
    secure.files["/elsewhere"] = b"module x\n"
    await get(client_with(environ, {f"127.0.0.1:{secure.port}": AUTH}), secure.url)
    assert secure.log[1].headers["authorization"] == AUTH


async def test_a_redirect_from_https_to_http_is_not_followed(
    secure: FakeUpstream, fake: FakeUpstream, environ: dict[str, str]
) -> None:
    secure.fault("/", faults.redirect(f"{fake.url}/{MOD.url_path}"))
    with pytest.raises(Unavailable, match="redirects from https to http: not followed"):
        await get(client_with(environ), secure.url)
    assert fake.requests == []


async def test_wrong_credentials_are_said_to_be_wrong(secure: FakeUpstream, environ: dict[str, str]) -> None:
    secure.fault("/", faults.status(401))
    with pytest.raises(Refused, match="not accepted"):
        await get(client_with(environ, {f"127.0.0.1:{secure.port}": AUTH}), secure.url)


NETRC = """
machine one.example.com login me password s3cret
machine two.example.com/team
  login me
  password s3cret
macdef init
machine evil.example.com login x password y

machine one.example.com login later password later
machine half.example.com login only
default login anyone password anything
machine three.example.com login me password s3cret
"""


def test_netrc_is_read_as_go_reads_it() -> None:
    found = parse_netrc(NETRC)
    assert found == dict.fromkeys(["one.example.com", "two.example.com/team", "three.example.com"], AUTH)


def test_a_credential_is_for_its_path_and_below_by_whole_elements() -> None:
    netrc = {"x.example.com/team": AUTH}
    assert find_credential(netrc, "x.example.com/team/a/@v/list") == AUTH
    assert find_credential(netrc, "x.example.com/teams/a") is None
    assert find_credential(netrc, "x.example.com") is None


def test_where_netrc_is(tmp_path: Path) -> None:
    assert netrc_path({"NETRC": "/x/y"}, tmp_path, windows=False) == Path("/x/y")
    assert netrc_path({}, tmp_path, windows=True) == tmp_path / ".netrc"
    (tmp_path / "_netrc").touch()
    assert netrc_path({}, tmp_path, windows=True) == tmp_path / "_netrc"
    assert netrc_path({}, tmp_path, windows=False) == tmp_path / ".netrc"
