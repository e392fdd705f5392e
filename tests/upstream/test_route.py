"""The upstream list is walked as the go command walks it, and what is told is what go would tell."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from p2pmods.errors import InvalidVersion, NotFound, Refused, SourceError, Unavailable
from p2pmods.testing import upstream_faults as faults
from p2pmods.testing.sumdb import ForkableLog
from p2pmods.testing.upstream import FakeUpstream
from p2pmods.trust.evidence import SourceKind
from p2pmods.upstream.failure import UpstreamFailed
from p2pmods.upstream.files import file_path
from p2pmods.upstream.offline import OfflineState
from p2pmods.upstream.proxy import ProxyClient
from p2pmods.upstream.sink import BytesSink
from tests.upstream.world import INFO, MOD, QUICK, WIDGET, ZIP, ZIP_KEY, delivered, upstream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from p2pmods.upstream.route import Upstream

DEAD = "http://127.0.0.1:9"  # nobody listens there


@pytest.fixture
async def second() -> AsyncIterator[FakeUpstream]:
    upstream = FakeUpstream()
    upstream.add(WIDGET, ZIP)
    async with upstream.running():
        yield upstream


async def mod_through(walk: Upstream) -> str:
    return (await walk.fetch_file(MOD, BytesSink(), delivered)).id


async def test_the_first_that_has_it_is_the_source(
    fake: FakeUpstream, second: FakeUpstream, client: ProxyClient
) -> None:
    source = await upstream(f"{fake.url},{second.url}", client).fetch_file(ZIP_KEY, sink := BytesSink(), delivered)
    assert (source.kind, source.id) == (SourceKind.UPSTREAM, fake.url)
    assert sink.getvalue() == ZIP
    assert second.requests == []


@pytest.mark.parametrize(
    ("separator", "status", "goes_on"),
    [(",", 404, True), (",", 410, True), (",", 403, False), (",", 500, False), ("|", 404, True), ("|", 403, True)],
)
async def test_a_comma_is_passed_only_on_not_found_and_a_bar_on_anything(
    fake: FakeUpstream, second: FakeUpstream, client: ProxyClient, separator: str, status: int, goes_on: bool
) -> None:
    fake.fault("/", faults.status(status))
    walk = upstream(f"{fake.url}{separator}{second.url}", client)
    if goes_on:
        assert await mod_through(walk) == second.url
    else:
        with pytest.raises(UpstreamFailed) as caught:
            await mod_through(walk)
        assert [attempt.status for attempt in caught.value.attempts] == [status]


async def test_half_a_file_from_one_step_is_not_glued_to_another(
    fake: FakeUpstream, second: FakeUpstream, client: ProxyClient
) -> None:
    fake.fault(".zip", faults.truncated(200_000))
    await upstream(f"{fake.url}|{second.url}", client).fetch_file(ZIP_KEY, sink := BytesSink(), delivered)
    assert sink.getvalue() == ZIP


@pytest.mark.parametrize(
    ("statuses", "told"),
    [
        ((404, 404), NotFound),  # the last not-found
        ((500, 404), Unavailable),  # a proxy in trouble says more than one without the file
        ((500, 403), Refused),  # the last of those
        ((403, 500), Unavailable),
    ],
)
async def test_of_several_failures_the_telling_one_is_told_and_all_are_named(
    fake: FakeUpstream,
    second: FakeUpstream,
    client: ProxyClient,
    statuses: tuple[int, int],
    told: type[Exception],
) -> None:
    fake.fault("/", faults.status(statuses[0], "one"))
    second.fault("/", faults.status(statuses[1], "two"))
    with pytest.raises(told) as caught:
        await mod_through(upstream(f"{fake.url}|{second.url}", client))
    assert isinstance(caught.value, UpstreamFailed)
    assert [(a.source, a.status) for a in caught.value.attempts] == [
        (fake.url, statuses[0]),
        (second.url, statuses[1]),
    ]


async def test_off_ends_the_list_as_not_found(client: ProxyClient) -> None:
    with pytest.raises(NotFound, match="module lookup disabled by GOPROXY=off"):
        await mod_through(upstream("off", client))
    assert upstream("off", client).statistics().state == "off"


async def test_off_does_not_hide_a_proxys_trouble(fake: FakeUpstream, client: ProxyClient) -> None:
    fake.fault("/", faults.status(500))
    with pytest.raises(Unavailable):
        await mod_through(upstream(f"{fake.url}|off", client))


async def test_direct_without_a_go_command_says_so(fake: FakeUpstream, client: ProxyClient) -> None:
    fake.fault("/", faults.status(404))
    with pytest.raises(Unavailable, match="no go command"):
        await mod_through(upstream(f"{fake.url},direct", client))


async def test_paths_of_no_proxy_are_never_named_to_one(fake: FakeUpstream, client: ProxyClient) -> None:
    walk = upstream(fake.url, client, no_proxy="example.com")
    with pytest.raises(Unavailable, match="no go command"):
        await mod_through(walk)
    with pytest.raises(Unavailable):
        await walk.fetch_list(WIDGET.path)
    assert fake.requests == []


async def test_lists_latest_and_queries(fake: FakeUpstream, client: ProxyClient) -> None:
    walk = upstream(fake.url, client)
    assert (await walk.fetch_list(WIDGET.path))[0] == b"v1.2.3\n"
    assert b'"v1.2.3"' in (await walk.fetch_latest(WIDGET.path))[0]
    fake.files["/example.com/!widget/@v/main.info"] = b'{"Version":"v1.2.3"}'
    assert (await walk.fetch_query(WIDGET.path, "main"))[0] == b'{"Version":"v1.2.3"}'
    with pytest.raises(InvalidVersion):
        await walk.fetch_query(WIDGET.path, "../../x")


async def test_set_offline_the_node_asks_nobody_not_even_a_directory(fake: FakeUpstream, tmp_path: Path) -> None:
    client = ProxyClient(OfflineState(forced=True), limits=QUICK, environ={}, netrc={})
    walk = upstream(f"{fake.url}|{tmp_path.as_uri()}|direct", client)
    with pytest.raises(Unavailable, match="set to be offline"):
        await mod_through(walk)
    with pytest.raises(Unavailable, match="set to be offline"):
        await walk.fetch_sumdb("sum.example.org", "latest")
    assert fake.requests == []
    assert walk.statistics().state == "offline"


async def test_an_upstream_out_of_reach_is_waited_for_once_and_makes_the_node_offline(client: ProxyClient) -> None:
    walk = upstream(DEAD, client)
    with pytest.raises(Unavailable):
        await mod_through(walk)
    assert walk.statistics().state == "offline"
    with pytest.raises(Unavailable, match="out of reach, next try in"):
        await mod_through(walk)


async def test_a_dead_proxy_before_a_bar_costs_its_wait_once(second: FakeUpstream, client: ProxyClient) -> None:
    walk = upstream(f"{DEAD}|{second.url}", client)
    assert await mod_through(walk) == second.url
    assert await mod_through(walk) == second.url
    assert client.statistics()[0].retries == 1
    assert walk.statistics().state == "online"


class TestDirectories:
    @pytest.fixture
    def directory(self, tmp_path: Path) -> Path:
        place = tmp_path / "a b%c"
        (place / "example.com/!widget/@v").mkdir(parents=True)
        (place / ZIP_KEY.url_path).write_bytes(ZIP)
        (place / MOD.url_path).write_bytes(b"module example.com/Widget\n")
        return place

    async def test_a_directory_is_an_upstream(self, directory: Path, client: ProxyClient) -> None:
        walk = upstream(directory.as_uri(), client)
        source = await walk.fetch_file(ZIP_KEY, sink := BytesSink(), delivered)
        assert sink.getvalue() == ZIP
        assert source.id == directory.as_uri()

    async def test_what_is_not_there_is_not_found(self, directory: Path, client: ProxyClient) -> None:
        with pytest.raises(NotFound):
            await upstream(directory.as_uri(), client).fetch_file(INFO, BytesSink(), delivered)

    async def test_a_directory_in_its_place_is_not_found(self, directory: Path, client: ProxyClient) -> None:
        (directory / INFO.url_path).mkdir()
        with pytest.raises((NotFound, Refused)):  # Windows refuses to open it
            await upstream(directory.as_uri(), client).fetch_file(INFO, BytesSink(), delivered)

    @pytest.mark.skipif(os.name == "nt", reason="POSIX pipes")
    async def test_a_pipe_in_its_place_is_not_found_and_not_waited_for(
        self, directory: Path, client: ProxyClient
    ) -> None:
        os.mkfifo(directory / INFO.url_path)
        with pytest.raises(NotFound):
            await upstream(directory.as_uri(), client).fetch_file(INFO, BytesSink(), delivered)

    async def test_what_may_not_be_read_is_refused(
        self, directory: Path, client: ProxyClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def denied(path: Path, *_: object) -> None:
            raise PermissionError(errno.EACCES, "permission denied", str(path))

        monkeypatch.setattr(os, "open", denied)
        with pytest.raises(Refused, match="permission denied"):
            await upstream(f"{directory.as_uri()},off", client).fetch_file(MOD, BytesSink(), delivered)

    def test_paths_are_decoded_once_and_drives_are_found(self) -> None:
        assert file_path("file:///a%20b/%2541", "x/@v/list", windows=False) == "/a b/%41/x/@v/list"
        assert file_path("file:///C:/go/mod", "x/@v/list", windows=True) == "C:/go/mod/x/@v/list"

    async def test_nothing_leads_out_of_it(self, directory: Path, client: ProxyClient) -> None:
        (directory.parent / "secret").write_text("secret")
        with pytest.raises(NotFound):
            await upstream(directory.as_uri(), client).fetch_sumdb("x", "../../secret", url=directory.as_uri())

    async def test_a_partial_tile_is_the_beginning_of_the_full_one(self, tmp_path: Path, client: ProxyClient) -> None:
        tiles = tmp_path / "sumdb/sum.example.org/tile/8/0"
        tiles.mkdir(parents=True)
        (tmp_path / "sumdb/sum.example.org/supported").touch()
        (tiles / "000").write_bytes(bytes(range(256)) * 32)
        walk = upstream(tmp_path.as_uri(), client)
        assert await walk.fetch_sumdb("sum.example.org", "tile/8/0/000.p/3") == bytes(range(96))
        with pytest.raises(NotFound):
            await walk.fetch_sumdb("sum.example.org", "tile/8/0/001.p/3")


class TestChecksumDatabase:
    NAME = "sum.example.org"

    @pytest.fixture
    def log(self) -> ForkableLog:
        log = ForkableLog(self.NAME)
        log.grow(3)
        return log

    @pytest.fixture
    async def helper(self, log: ForkableLog) -> AsyncIterator[FakeUpstream]:
        server = FakeUpstream(sumdb=log.answer)
        async with server.running():
            yield server

    async def test_the_first_proxy_that_supports_it_is_asked_and_asked_once(
        self, fake: FakeUpstream, helper: FakeUpstream, client: ProxyClient, log: ForkableLog
    ) -> None:
        walk = upstream(f"{fake.url},{helper.url}", client)
        assert await walk.fetch_sumdb(self.NAME, "latest") == log.head()
        assert await walk.fetch_sumdb(self.NAME, "latest") == log.head()
        assert len(fake.requests) == 1
        assert [path.rpartition("/")[2] for path in helper.requests] == ["supported", "latest", "latest"]

    async def test_a_proxy_in_trouble_ends_the_search_at_a_comma(
        self, fake: FakeUpstream, helper: FakeUpstream, client: ProxyClient
    ) -> None:
        fake.fault("/supported", faults.status(403))
        with pytest.raises(Refused):
            await upstream(f"{fake.url},{helper.url}", client).fetch_sumdb(self.NAME, "latest")
        await upstream(f"{fake.url}|{helper.url}", client).fetch_sumdb(self.NAME, "latest")

    async def test_with_a_url_of_its_own_no_proxy_hears_of_it(
        self, fake: FakeUpstream, helper: FakeUpstream, client: ProxyClient, log: ForkableLog
    ) -> None:
        url = f"{helper.url}/sumdb/{self.NAME}"
        assert await upstream(fake.url, client).fetch_sumdb(self.NAME, "latest", url=url) == log.head()
        assert fake.requests == []

    async def test_an_uppercase_module_is_asked_for_with_a_bare_bang(
        self, helper: FakeUpstream, client: ProxyClient
    ) -> None:
        with pytest.raises(NotFound):
            await upstream(helper.url, client).fetch_sumdb(self.NAME, "lookup/github.com/!azure/x@v1.0.0")
        assert helper.requests[-1].endswith("/lookup/github.com/!azure/x@v1.0.0")

    async def test_a_proxy_that_fails_later_is_chosen_anew(
        self, fake: FakeUpstream, helper: FakeUpstream, client: ProxyClient, log: ForkableLog
    ) -> None:
        walk = upstream(f"{helper.url}|{fake.url}", client)
        await walk.fetch_sumdb(self.NAME, "latest")
        helper.fault("/", faults.status(403))
        with pytest.raises(Refused):
            await walk.fetch_sumdb(self.NAME, "latest")
        fake._sumdb = log.answer
        assert await walk.fetch_sumdb(self.NAME, "latest") == log.head()
        assert fake.requests[-1].endswith("/latest")


async def test_a_path_for_version_control_alone_is_looked_up_at_the_database_itself(
    fake: FakeUpstream, client: ProxyClient
) -> None:
    walk = upstream(fake.url, client, no_proxy="example.com/secret")
    with pytest.raises(SourceError) as failed:
        await walk.fetch_sumdb("sum.invalid", "lookup/example.com/secret/x@v1.0.0")
    assert failed.value.source.startswith("https://sum.invalid")
    assert not any("secret" in path for path in fake.requests)
