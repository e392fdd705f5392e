"""Modules straight from their repositories: only what was asked for, nothing of the user's, nothing left behind."""

from __future__ import annotations

import json
import os
import shutil
import stat
import sys
from typing import TYPE_CHECKING

import pytest
import trio

from p2pmods.errors import InvalidPath, NotFound, Refused, Unavailable
from p2pmods.gomod.h1 import hash_go_mod
from p2pmods.gomod.module import FileKey, FileKind, ModuleVersion
from p2pmods.gomod.patterns import Patterns
from p2pmods.testing import upstream_faults as faults
from p2pmods.testing.repos import Host, git
from p2pmods.trust.evidence import SourceKind
from p2pmods.upstream.failure import ProxiesLackIt, Unreachable
from p2pmods.upstream.offline import OfflineState
from p2pmods.upstream.sink import BytesSink
from p2pmods.upstream.vcs import VcsLimits, VersionControl
from p2pmods.upstream.vcs_errors import NeedsNewerGo
from p2pmods.upstream.vcs_hosts import HostRule
from tests.upstream.world import delivered, upstream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from p2pmods.testing.upstream import FakeUpstream
    from p2pmods.upstream.proxy import ProxyClient

WIDGET = "github.com/acme/widget"
V1 = ModuleVersion(WIDGET, "v1.0.0")


async def nowhere(host: str) -> list[str]:
    return []


@pytest.fixture
def host(tmp_path: Path) -> Host:
    host = Host(tmp_path / "host")
    files = {"go.mod": f"module {WIDGET}\n", "widget.go": "package widget\n"}
    files |= {"sub/go.mod": f"module {WIDGET}/sub\n", "sub/sub.go": "package sub\n"}
    host.commit(WIDGET, files, "v1.0.0", "sub/v0.1.0")
    return host


@pytest.fixture
def temp(tmp_path: Path) -> Path:
    return tmp_path / "checkouts"


@pytest.fixture
async def vcs(host: Host, temp: Path) -> AsyncIterator[VersionControl]:
    control = control_with(temp, host.extra_env)
    yield control
    await control.aclose()
    assert list(temp.glob("*")) == []


def control_with(
    temp: Path,
    extra_env: Mapping[str, str],
    *,
    go: str | None = None,
    limits: VcsLimits | None = None,
    hosts: HostRule | None = None,
) -> VersionControl:
    found = go or shutil.which("go")
    if found is None:
        pytest.skip("no go command")
    rule = hosts or HostRule(environ={}, resolve=nowhere)
    return VersionControl(
        temp.__class__(found), temp, offline=OfflineState(), limits=limits, hosts=rule, extra_env=extra_env
    )


async def fetch(vcs: VersionControl, kind: FileKind, module: ModuleVersion = V1) -> bytes:
    sink = BytesSink()
    await vcs.fetch_file(FileKey(module, kind), sink)
    return sink.getvalue()


@pytest.mark.go
async def test_the_three_files_of_a_tag_cost_two_runs_and_the_mod_no_zip(vcs: VersionControl, temp: Path) -> None:
    assert await fetch(vcs, FileKind.MOD) == f"module {WIDGET}\n".encode()
    assert json.loads(await fetch(vcs, FileKind.INFO))["Version"] == "v1.0.0"
    assert vcs.statistics().runs == 1
    assert list(temp.rglob("*.zip")) == []
    assert (await fetch(vcs, FileKind.ZIP)).startswith(b"PK\x03\x04")
    assert vcs.statistics().runs == 2


@pytest.mark.go
async def test_many_who_want_the_same_share_one_run(vcs: VersionControl) -> None:
    async with trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(fetch, vcs, FileKind.MOD)
    assert vcs.statistics().runs == 1


@pytest.mark.go
async def test_a_module_in_a_subdirectory_has_tags_of_its_own(vcs: VersionControl) -> None:
    sub = ModuleVersion(f"{WIDGET}/sub", "v0.1.0")
    assert hash_go_mod(await fetch(vcs, FileKind.MOD, sub)) == hash_go_mod(f"module {WIDGET}/sub\n".encode())
    assert await vcs.versions(sub.path) == b"v0.1.0\n"


@pytest.mark.go
async def test_list_latest_and_branches_come_from_the_tags(vcs: VersionControl, host: Host) -> None:
    host.commit(WIDGET, {"go.mod": f"module {WIDGET}\n\nretract v1.0.0\n"}, "v1.1.0")
    assert await vcs.versions(WIDGET) == b"v1.0.0\nv1.1.0\n"
    latest = json.loads(await vcs.query(WIDGET, "latest"))
    assert latest["Version"] == "v1.1.0"
    assert latest["Time"].endswith("Z")
    host.commit(WIDGET, {"more.go": "package widget\n"})
    assert json.loads(await vcs.query(WIDGET, "main"))["Version"].startswith("v1.1.1-0.")


@pytest.mark.go
async def test_a_repository_without_tags_has_an_empty_list(vcs: VersionControl, host: Host) -> None:
    host.commit("github.com/acme/new", {"go.mod": "module github.com/acme/new\n"})
    assert await vcs.versions("github.com/acme/new") == b""


@pytest.mark.go
async def test_a_deleted_tag_is_not_found(vcs: VersionControl, host: Host) -> None:
    git(host.root / WIDGET, "tag", "-d", "v1.0.0")
    for kind in FileKind:
        with pytest.raises(NotFound, match=r"unknown revision v1\.0\.0"):
            await fetch(vcs, kind)


@pytest.mark.go
async def test_a_deleted_repository_is_not_found(vcs: VersionControl, host: Host, temp: Path) -> None:
    (host.root / WIDGET).rename(host.root / "elsewhere")
    with pytest.raises(NotFound, match="does not appear to be a git repository") as caught:
        await fetch(vcs, FileKind.ZIP)
    assert str(temp) not in str(caught.value)


@pytest.mark.go
async def test_a_host_that_is_down_is_out_of_reach_and_soon_left_alone(temp: Path, host: Host) -> None:
    env = {**host.extra_env, "GIT_CONFIG_KEY_0": "url.https://127.0.0.1:1/.insteadOf"}
    vcs = control_with(temp, env)
    with pytest.raises(Unreachable, match=r"Failed to connect|Couldn't connect|onnection refused"):
        await fetch(vcs, FileKind.MOD)
    with pytest.raises(Unreachable, match=r"github\.com is out of reach, next try in"):
        await fetch(vcs, FileKind.ZIP)
    assert vcs.statistics().runs == 1
    await vcs.aclose()


@pytest.mark.go
async def test_a_module_for_a_newer_go_says_which(vcs: VersionControl, host: Host) -> None:
    host.commit(WIDGET, {"go.mod": f"module {WIDGET}\n\ngo 1.99\n"}, "v1.5.0")
    newer = ModuleVersion(WIDGET, "v1.5.0")
    assert b"go 1.99" in await fetch(vcs, FileKind.MOD, newer)
    with pytest.raises(NeedsNewerGo) as caught:
        await fetch(vcs, FileKind.ZIP, newer)
    assert caught.value.needed == "1.99"


@pytest.mark.go
async def test_protocols_that_run_programs_are_not_followed(temp: Path, host: Host, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    env = {**host.extra_env, "GIT_CONFIG_KEY_0": f"url.ext::touch {mark} #.insteadOf"}
    vcs = control_with(temp, env)
    with pytest.raises(Refused, match="not allowed"):
        await fetch(vcs, FileKind.MOD)
    assert not mark.exists()
    await vcs.aclose()


async def test_an_option_is_no_module_path(vcs: VersionControl) -> None:
    with pytest.raises(InvalidPath):
        await vcs.versions("-modfile=/etc/passwd")


@pytest.mark.parametrize("path", ["127.0.0.1/x", "10.1.2.3/x", "169.254.169.254/latest", "db.internal/x"])
async def test_hosts_inside_are_not_asked(temp: Path, path: str) -> None:
    vcs = control_with(temp, {}, go="go-is-not-needed")
    with pytest.raises(Refused, match="inside this network"):
        await vcs.versions(path)
    assert vcs.statistics().runs == 0


async def test_a_name_that_leads_inside_is_not_asked_unless_a_private_pattern_names_it() -> None:
    async def inside(host: str) -> list[str]:
        return ["93.184.216.34", "192.168.1.7"]

    rule = HostRule(Patterns("git.corp.example"), environ={}, resolve=inside)
    with pytest.raises(Refused, match=r"192\.168\.1\.7"):
        await rule.check("git.example.com/x")
    await rule.check("git.corp.example/x")
    with pytest.raises(Refused):
        rule.check_url("https://10.0.0.1:8443/repo", "git.example.com/x")
    with pytest.raises(Refused):
        rule.check_url("git@[::1]:repo", "git.example.com/x")
    rule.check_url("https://github.com/x/y", "git.example.com/x")


def program(tmp_path: Path, text: str) -> str:
    """A go command of our own making."""
    file = tmp_path / "go"
    file.write_text(f"#!{sys.executable}\nimport json, os, sys, time, subprocess\n{text}\n")
    file.chmod(0o700)
    return str(file)


posix = pytest.mark.skipif(os.name == "nt", reason="a script with a #! line")


@posix
async def test_a_deadline_kills_the_whole_tree_and_leaves_nothing(tmp_path: Path, temp: Path) -> None:
    pids = tmp_path / "pids"
    go = program(
        tmp_path,
        f"child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"os.mkdir(os.environ['GOMODCACHE'] + '/ro', 0o500)\n"
        f"open({str(pids)!r}, 'w').write(f'{{os.getpid()}} {{child.pid}}')\n"
        f"time.sleep(600)",
    )
    vcs = control_with(temp, {}, go=go, limits=VcsLimits(deadline=2.0))
    with pytest.raises(Unavailable, match="killed: not done after 2 s"):
        await fetch(vcs, FileKind.MOD)
    for pid in map(int, pids.read_text().split()):
        await wait_ended(pid)
    assert list(temp.iterdir()) == []


async def wait_ended(pid: int) -> None:
    """Return when the process has ended; a killed orphan may be a zombie until init looks."""
    with trio.fail_after(10):
        while True:
            try:
                state = trio.Path("/proc") / str(pid) / "stat"
                if (await state.read_text()).rpartition(")")[2].split()[0] == "Z":
                    return
            except FileNotFoundError:
                return
            await trio.lowlevel.checkpoint()


@posix
async def test_a_cancelled_request_leaves_nothing(tmp_path: Path, temp: Path) -> None:
    started = tmp_path / "started"
    os.mkfifo(started)
    vcs = control_with(temp, {}, go=program(tmp_path, f"open({str(started)!r}, 'w').close()\ntime.sleep(600)"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(fetch, vcs, FileKind.MOD)
        await trio.to_thread.run_sync(started.read_bytes)
        nursery.cancel_scope.cancel()
    assert list(temp.iterdir()) == []


@posix
async def test_a_program_that_never_stops_talking_is_killed(tmp_path: Path, temp: Path) -> None:
    go = program(tmp_path, "while True: sys.stdout.write('x' * 65536)")
    vcs = control_with(temp, {}, go=go)
    with pytest.raises(Unavailable, match="printed more than"):
        await vcs.versions(WIDGET)
    assert list(temp.iterdir()) == []


@posix
@pytest.mark.parametrize("output", ["", "[]", "{", '{"Versions": 5}', '{"Versions": [5]}'])
async def test_nonsense_from_the_go_command_is_unavailable(tmp_path: Path, temp: Path, output: str) -> None:
    vcs = control_with(temp, {}, go=program(tmp_path, f"print({output!r})"))
    with pytest.raises(Unavailable):
        await vcs.versions(WIDGET)
    await vcs.aclose()


async def test_a_missing_go_command_is_said_so(temp: Path) -> None:
    vcs = control_with(temp, {}, go="/nowhere/go")
    with pytest.raises(Unavailable, match="cannot start /nowhere/go"):
        await vcs.versions(WIDGET)
    await vcs.aclose()


@posix
async def test_the_go_command_sees_nothing_of_the_users_environment(
    tmp_path: Path, temp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GOFLAGS", "GOPRIVATE", "GITHUB_TOKEN", "SSH_AUTH_SOCK", "GOPROXY"):
        monkeypatch.setenv(name, "secret")
    go = program(
        tmp_path, "print(json.dumps({'Version': 'v1.0.0', 'Origin': {'Ref': json.dumps(dict(os.environ))}}))"
    )
    vcs = control_with(temp, {}, go=go)
    env = json.loads(json.loads(await vcs.query(WIDGET, "main"))["Origin"]["Ref"])
    assert "secret" not in env.values()
    assert env["GOPROXY"] == "direct"
    assert env["GOFLAGS"] == "-modcacherw"
    assert env["GOVCS"] == "*:git"
    assert env["HOME"].startswith(str(temp))
    await vcs.aclose()


async def test_what_a_killed_node_left_behind_is_swept(temp: Path) -> None:
    old = temp / "vcs-old" / "mod"
    old.mkdir(parents=True)
    (old / "file").write_text("x")
    old.chmod(stat.S_IRUSR | stat.S_IXUSR)
    vcs = control_with(temp, {}, go="/nowhere/go")
    with pytest.raises(Unavailable):
        await vcs.versions(WIDGET)
    assert not old.exists()
    await vcs.aclose()


@pytest.mark.go
async def test_checkouts_are_removed_when_their_time_has_come(host: Host, temp: Path) -> None:
    vcs = control_with(temp, host.extra_env, limits=VcsLimits(keep=0.0))
    await fetch(vcs, FileKind.MOD)
    assert list(temp.iterdir()) == []


@pytest.mark.go
async def test_direct_in_the_list_is_version_control(vcs: VersionControl, client: ProxyClient) -> None:
    walk = upstream("direct", client, vcs=vcs)
    sink = BytesSink()
    source = await walk.fetch_file(FileKey(V1, FileKind.MOD), sink, delivered)
    assert source.kind is SourceKind.VCS
    assert (await walk.fetch_list(WIDGET))[0] == b"v1.0.0\n"
    assert json.loads((await walk.fetch_latest(WIDGET))[0])["Version"] == "v1.0.0"
    assert json.loads((await walk.fetch_query(WIDGET, "main"))[0])["Version"] == "v1.0.0"


@pytest.mark.go
@pytest.mark.parametrize(
    ("goproxy", "status", "told"),
    [("{0},direct", 404, ProxiesLackIt), ("{0}|direct", 500, Unreachable), ("direct", 404, Unreachable)],
)
async def test_what_no_proxy_has_does_not_exist_although_its_repository_cannot_be_looked_for(
    fake: FakeUpstream, temp: Path, client: ProxyClient, goproxy: str, status: int, told: type[Exception]
) -> None:
    fake.fault("/", faults.status(status))
    vcs = control_with(temp, {"HTTPS_PROXY": "http://127.0.0.1:9"})
    walk = upstream(goproxy.format(fake.url), client, vcs=vcs)
    for _ in range(2):  # the second finds the host in an outage
        with pytest.raises(Unreachable) as caught:
            await walk.fetch_latest("vanity.example/widget")
        assert type(caught.value) is told
    await vcs.aclose()
