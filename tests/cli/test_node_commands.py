"""Every command against a real node in a process of its own, and on disk when there is none."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
import urllib.request
from typing import TYPE_CHECKING

import pytest
import trio

from p2pmods.config.setup_record import SetupRecord, write_setup_record
from p2pmods.trust.evidence import SourceKind
from tests.cli.world import COLOUR, GREET, World, read_until, wait_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def world(home: Path) -> AsyncIterator[World]:
    world = World(home)
    async with world.upstream.running():
        yield world


@pytest.fixture
async def up(world: World) -> AsyncIterator[subprocess.Popen[str]]:
    """A node that runs on the world's data."""
    with world.started("up") as process:
        await trio.to_thread.run_sync(read_until, process, "ready ")
        yield process


async def test_up_says_what_it_found_and_that_it_is_ready(world: World) -> None:
    with world.started("up") as process:
        lines = await trio.to_thread.run_sync(read_until, process, "ready ")
        url = lines[-1].removeprefix("ready ")
        assert url.startswith("http://127.0.0.1:")
        said = "\n".join(lines)
        assert "p2pmods run -- go build ./..." in said
        assert "always        p2pmods setup " in said
        assert world.upstream.url in said
        node = json.loads((world.data / "node.json").read_text())
        assert node["api"] == url
        assert node["pid"] == process.pid
        if os.name != "nt":
            assert stat.S_IMODE((world.data / "node.json").stat().st_mode) == 0o600
        with urllib.request.urlopen(f"{url}/-/healthz") as answer:  # noqa: ASYNC210
            assert answer.status == 200
        process.terminate()
        assert process.wait(20) == 0
        assert not (world.data / "node.json").exists()


async def test_up_does_not_ask_for_a_set_up_that_was_done(world: World) -> None:
    write_setup_record(world.data, SetupRecord("http://127.0.0.1:3070", "", None, world.upstream.url, None))
    with world.started("up") as process:
        lines = await trio.to_thread.run_sync(read_until, process, "ready ")
    [said] = [line for line in lines if line.startswith("always ")]
    assert said == "always        set up, go asks this node first    (p2pmods setup --undo takes it away)"


@pytest.mark.skipif(os.name == "nt", reason="signals")
async def test_up_ends_cleanly_on_ctrl_c(world: World, up: subprocess.Popen[str]) -> None:
    import signal

    up.send_signal(signal.SIGINT)
    assert up.wait(20) == 0
    assert up.stderr is not None
    assert "Traceback" not in up.stderr.read()


async def test_a_second_node_on_the_same_data_is_refused_in_one_line(world: World, up: subprocess.Popen[str]) -> None:
    ended = await world.p2pmods("up")
    assert ended.status == 1
    assert len(ended.err.splitlines()) == 1
    assert str(up.pid) in ended.err


async def test_a_taken_port_says_by_whom_and_what_to_do(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = await world.p2pmods("up", "--listen", f"127.0.0.1:{port}")
    assert ended.status == 1
    assert len(ended.err.splitlines()) == 1
    assert f"127.0.0.1:{port} is taken by" in ended.err
    assert "--listen" in ended.err
    if sys.platform == "linux":
        assert f"process {os.getpid()}" in ended.err


async def test_a_port_taken_by_another_node_says_so(world: World, up: subprocess.Popen[str]) -> None:
    port = json.loads((world.data / "node.json").read_text())["api"].rpartition(":")[2]
    ended = await world.p2pmods("up", "--listen", f"127.0.0.1:{port}", "--data", world.home / "second")
    assert ended.status == 1
    assert "another p2pmods node" in ended.err


async def test_get_fetches_and_status_why_verify_and_rm_tell_of_it(world: World, up: subprocess.Popen[str]) -> None:
    got = await world.p2pmods("get", str(GREET), "example.com/Colour/v2@latest")
    assert got.status == 0, got.err
    assert got.out.startswith("2 modules, ")
    assert "2 upstream · all proven" in got.out
    report = json.loads((await world.p2pmods("status", "--json")).out)
    assert report["held"]["modules"] == 2
    assert report["held"]["unproven"] == 0
    assert report["traffic"]["upstream"]["files"] == 6
    assert report["upstream"]["state"] == "online"
    human = (await world.p2pmods("status")).out
    assert "2 modules" in human
    assert 0 < report["held"]["bytes"] < report["held"]["limit"] <= 10 * 10**9
    why = json.loads((await world.p2pmods("why", str(COLOUR), "--json")).out)
    assert [file["name"] for file in why["files"]] == ["info", "mod", "zip"]
    said = (await world.p2pmods("why", str(COLOUR))).out
    assert "proven by sum.test.example: record 1 of tree 6" in said
    assert world.upstream.url in said
    verified = await world.p2pmods("verify", "--all")
    assert verified.status == 0
    assert "6 files read again" in verified.out
    removed = await world.p2pmods("rm", str(GREET))
    assert removed.status == 0
    assert (await world.p2pmods("rm", "example.com/other@v1.0.0")).status == 1
    assert json.loads((await world.p2pmods("status", "--json")).out)["held"]["modules"] == 1
    again = await world.p2pmods("get", str(GREET))
    assert again.status == 0, "an explicit get lifts the tombstone"


async def test_the_same_from_disk_when_no_node_runs(world: World) -> None:
    assert (await world.p2pmods("get", str(GREET))).status == 0
    assert not (world.data / "node.json").exists()
    report = json.loads((await world.p2pmods("status", "--json")).out)
    assert report["api"] is None
    assert report["node_id"]
    assert report["held"]["modules"] == 1
    assert report["traffic"]["upstream"]["files"] == 3
    assert 0 < report["held"]["bytes"] < report["held"]["limit"] <= 10 * 10**9
    assert "this is from disk" in (await world.p2pmods("status")).out
    assert "proven by" in (await world.p2pmods("why", str(GREET))).out
    assert (await world.p2pmods("why", str(COLOUR))).status == 1
    assert (await world.p2pmods("verify", str(GREET))).status == 0
    [zip_file] = (world.data / "modules").rglob("*.zip")
    zip_file.chmod(0o600)
    zip_file.write_bytes(zip_file.read_bytes()[:-1] + b"x")
    damaged = await world.p2pmods("verify", "--all")
    assert damaged.status == 1
    assert f"BAD  {GREET}.zip" in damaged.out
    assert (await world.p2pmods("rm", str(GREET))).status == 0
    assert json.loads((await world.p2pmods("status", "--json")).out)["held"]["files"] == 0


async def test_where_no_node_ever_ran_nothing_is_made_by_looking(world: World) -> None:
    status = json.loads((await world.p2pmods("status", "--json")).out)
    assert status["held"]["modules"] == 0
    assert status["traffic"] == {str(kind): {"files": 0, "bytes": 0} for kind in SourceKind}
    for command in (["why", str(GREET)], ["verify", "--all"], ["rm", str(GREET)]):
        ended = await world.p2pmods(*command)
        assert ended.status == 1
        assert len(ended.err.splitlines()) == 1
    assert not world.data.exists()


async def test_get_of_a_go_sum_a_go_mod_and_a_directory(world: World, up: subprocess.Popen[str]) -> None:
    project = world.project(GREET, COLOUR)
    for target in ("go.sum", "go.mod", "."):
        got = await world.p2pmods("get", target, "--json", cwd=project)
        assert got.status == 0, got.err
        assert json.loads(got.out)["modules"] == 2


async def test_get_says_what_it_could_not_have(world: World, up: subprocess.Popen[str]) -> None:
    got = await world.p2pmods("get", str(GREET), "example.com/greet@v1.9.9", "example.com/none@latest")
    assert got.status == 1
    assert "1 module" in got.out
    assert "example.com/greet@v1.9.9.zip" in got.err
    assert "example.com/none@latest" in got.err
    for wrong in (
        "example.com/greet",
        "example.com/greet/v2@v9.9.9",
        "@latest",
        "nodots@v1.0.0",
        "example.com/a@b/../c",
    ):
        ended = await world.p2pmods("get", wrong)
        assert (ended.status, len(ended.err.splitlines())) == (2, 1), wrong


async def test_check_is_yes_only_when_everything_is_here(world: World) -> None:
    project = world.project(GREET, COLOUR)
    before = await world.p2pmods("check", project)
    assert before.status == 1
    assert "may NOT build" in before.out
    assert f"nowhere  {GREET}.zip" in before.out
    assert before.out.splitlines()[-1] == f"p2pmods get {project} fetches what is missing"
    assert "p2pmods get . fetches" in (await world.p2pmods("check", cwd=project)).out
    assert (await world.p2pmods("get", str(GREET))).status == 0
    half = json.loads((await world.p2pmods("check", project, "--json")).out)
    assert half["here"] == [f"{GREET}.mod", f"{GREET}.zip"]
    assert half["nowhere"] == [f"{COLOUR}.mod", f"{COLOUR}.zip"]
    assert (await world.p2pmods("get", ".", cwd=project)).status == 0
    after = await world.p2pmods("check", cwd=project)
    assert after.status == 0, after.out
    assert "would build" in after.out
    with world.started("up") as node:
        await trio.to_thread.run_sync(read_until, node, "ready ")
        assert (await world.p2pmods("check", project)).status == 0


async def test_check_names_a_toolchain_that_is_nowhere(world: World) -> None:
    project = world.project(GREET)
    assert (await world.p2pmods("get", str(GREET))).status == 0
    (project / "go.mod").write_text(
        (project / "go.mod").read_text().replace("go 1.21", "go 1.21\ntoolchain go1.99.1")
    )
    ended = await world.p2pmods("check", project)
    assert ended.status == 1
    assert "golang.org/toolchain@v0.0.1-go1.99.1." in ended.out


async def test_check_without_a_module_or_without_a_go_sum_is_an_error(world: World) -> None:
    (world.home / "empty").mkdir()
    assert "no go.mod" in (await world.p2pmods("check", world.home / "empty")).err
    ended = await world.p2pmods("check", world.project(GREET, sums=False))
    assert ended.status == 1
    assert "go mod tidy" in ended.err


@pytest.mark.go
async def test_run_tells_what_came_from_where(world: World) -> None:
    project = world.project(GREET, COLOUR)
    first = await world.p2pmods("run", "--", "go", "mod", "download", "-json", cwd=project)
    assert first.status == 0, first.err
    assert first.err.splitlines()[-1].endswith("2 upstream · all proven")
    assert json.loads(first.out[: first.out.index("\n}") + 2])["Path"] == "example.com/greet" or first.out
    again = await world.p2pmods("run", "go", "mod", "download", cwd=project)
    assert "go asked for nothing" in again.err
    assert "--fresh" in again.err
    fresh = await world.p2pmods("run", "--fresh", "go", "mod", "download", cwd=project)
    assert fresh.err.splitlines()[-1].endswith("2 here · all proven")


@pytest.mark.go
async def test_run_uses_the_node_that_runs(world: World, up: subprocess.Popen[str]) -> None:
    project = world.project(GREET)
    ended = await world.p2pmods("run", "--offline", "go", "mod", "download", cwd=project)
    assert ended.status == 0
    assert "a node is running already; --offline changes nothing" in ended.err
    assert json.loads((await world.p2pmods("status", "--json")).out)["held"]["modules"] == 1
    assert up.poll() is None


@pytest.mark.go
async def test_run_names_what_is_missing_and_who_was_asked(world: World) -> None:
    project = world.project(GREET)
    world.upstream.remove(GREET)
    ended = await world.p2pmods("run", "go", "mod", "download", cwd=project)
    assert ended.status == 1
    line = ended.err.splitlines()[-1]
    assert f"missing {GREET}." in line
    assert world.upstream.url in line


@pytest.mark.go
async def test_the_go_sum_beside_it_is_a_pin(world: World) -> None:
    project = world.project(GREET)
    (project / "go.sum").write_text((project / "go.sum").read_text().replace("h1:", "h1:AAAA"))
    ended = await world.p2pmods("run", "go", "mod", "download", cwd=project)
    assert ended.status == 1
    assert "go.sum" in ended.err.splitlines()[-1]


async def test_run_has_the_commands_status_and_stdout(world: World) -> None:
    code = "import os, sys; print(os.environ['GOPROXY']); sys.exit(7)"
    ended = await world.p2pmods("run", sys.executable, "-c", code)
    assert ended.status == 7
    assert ended.out.startswith("http://127.0.0.1:")
    assert len(ended.out.splitlines()) == 1
    assert not (world.data / "node.json").exists()


async def test_a_command_that_does_not_exist_is_127_and_starts_nothing(world: World) -> None:
    ended = await world.p2pmods("run", "no-such-command-anywhere")
    assert ended.status == 127
    assert len(ended.err.splitlines()) == 1
    assert not world.data.exists()


async def test_a_node_that_cannot_start_is_one_line(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = f"127.0.0.1:{server.getsockname()[1]}"
        ended = await world.p2pmods("run", "--listen", taken, sys.executable, "-c", "")
    assert ended.status == 1
    assert f"the node did not start: {taken} is taken by" in ended.err
    assert len(ended.err.splitlines()) == 1


@pytest.mark.parametrize("command", [("run", sys.executable, "-c", ""), ("get", str(GREET))])
async def test_a_wrong_setting_is_wrong_usage_of_whatever_starts_the_node(
    world: World, command: tuple[str, ...]
) -> None:
    ended = await world.p2pmods(command[0], "--sumdb", "rubbish", *command[1:])
    assert ended.status == 2
    assert "the node did not start: sumdb" in ended.err
    assert len(ended.err.splitlines()) == 1


WAITING = "import sys; print('waiting', flush=True); sys.stdin.read(); import time; time.sleep(60)"


@pytest.mark.skipif(os.name == "nt", reason="signals")
async def test_signals_reach_the_command_and_its_end_is_ours(world: World) -> None:
    code = (
        "import signal, sys, threading\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(41))\n"
        "print('waiting', flush=True)\n"
        "threading.Event().wait(60)\n"
    )
    with world.started("run", sys.executable, "-c", code) as process:
        await trio.to_thread.run_sync(read_until, process, "waiting")
        process.terminate()
        assert await trio.to_thread.run_sync(process.wait, 30) == 41
        assert process.stderr is not None
        assert "p2pmods: " in process.stderr.read(), "the last line is there all the same"
    assert not (world.data / "node.json").exists()


@pytest.mark.skipif(os.name == "nt", reason="signals")
async def test_the_node_of_a_killed_run_ends(world: World) -> None:
    code = "import threading; print('waiting', flush=True); threading.Event().wait(3)"
    with world.started("run", sys.executable, "-c", code) as process:
        await trio.to_thread.run_sync(read_until, process, "waiting")
        node = json.loads((world.data / "node.json").read_text())
        process.kill()
        await trio.to_thread.run_sync(wait_for, lambda: not _is_alive(node["pid"]))
    assert not (world.data / "node.json").exists()


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_node_stays_for_a_second_run_that_uses_it(world: World) -> None:
    code = "import sys; print('waiting', flush=True); input()"
    with_input = {"stdin": subprocess.PIPE}
    first = _run_with_input(world, code, with_input)
    await trio.to_thread.run_sync(read_until, first, "waiting")
    second = _run_with_input(
        world,
        code + "; import os, urllib.request as u;"
        "print(u.urlopen(os.environ['GOPROXY'] + '/example.com/greet/@v/list').status)",
        with_input,
    )
    await trio.to_thread.run_sync(read_until, second, "waiting")
    assert _finish(first) == 0
    node = json.loads((world.data / "node.json").read_text())
    assert await trio.to_thread.run_sync(_finish, second) == 0, "the first one's node is still there for it"
    await trio.to_thread.run_sync(wait_for, lambda: not (world.data / "node.json").exists())
    assert node["api"]


def _run_with_input(world: World, code: str, extra: dict[str, int]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "p2pmods", "run", sys.executable, "-c", code],
        env={**os.environ, **world.env},
        cwd=world.home,
        stdin=extra["stdin"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _finish(process: subprocess.Popen[str]) -> int:
    process.communicate("go on\n", timeout=40)
    return process.returncode


async def test_two_runs_that_start_at_once_share_a_node(world: World) -> None:
    async with trio.open_nursery() as nursery:
        results = []

        async def one() -> None:
            code = "import os, urllib.request as u; u.urlopen(os.environ['GOPROXY'] + '/example.com/greet/@v/list')"
            results.append(await world.p2pmods("run", sys.executable, "-c", code))

        for _ in range(3):
            nursery.start_soon(one)
    assert [ended.err for ended in results if ended.status] == []


@pytest.mark.parametrize("with_go", [pytest.param(True, marks=pytest.mark.go), False])
def test_the_demo_tells_a_true_story(
    with_go: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from p2pmods.cli import democmd

    if not with_go:
        monkeypatch.setattr(democmd, "find_go", lambda _environ: None)
    assert democmd.demo() == 0
    said = capsys.readouterr().out
    assert "3 upstream · all proven" in said
    assert said.count("3 peers · all proven") == 2
    assert "refused with 403" in said
    assert "Errno" not in said
    assert "1.00 copies, for 3 nodes" in said
    assert ("GOPROXY=file://" in said) is with_go


def test_the_demo_joins_no_swarm_but_its_own(tmp_path: Path) -> None:
    from p2pmods.cli.democmd import _config
    from p2pmods.cli.demoworld import make_world

    config = _config(tmp_path, make_world(), f"demo:{'5a' * 32}", ())
    assert (config.swarm.name, config.swarm.secret) == ("demo", b"\x5a" * 32)
    assert config.mdns is False
    assert config.peer_listen is not None
    assert config.peer_listen.is_loopback
