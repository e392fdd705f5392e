"""The pieces of the commands that need no node: what go would read, need and print."""

from __future__ import annotations

import json
import math
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pmods.cli.client import NODE_FILE, RunningNode, find_node, read_node_file
from p2pmods.cli.getplan import Query, plan_targets
from p2pmods.cli.gofiles import find_go_files, load_go_sum, read_sums
from p2pmods.cli.lease import Lease, _wait_ready, is_leased, node_command
from p2pmods.cli.needs import needs_of
from p2pmods.cli.portholder import process_on
from p2pmods.cli.process import NoSuchProgram, NotExecutable, execute, find_program
from p2pmods.cli.runcmd import last_line, remove_tree
from p2pmods.cli.sessions import missing_text, summary
from p2pmods.cli.statuscmd import human as status_human
from p2pmods.cli.toolchain import LocalGo, needed_toolchain, toolchain_module
from p2pmods.errors import UsageError, UserError
from p2pmods.fetch.report import status_report
from p2pmods.gomod.modfile import parse_go_mod
from p2pmods.gomod.module import FileKind
from p2pmods.store.stored import StoreStatistics, Traffic

H1 = "h1:" + "A" * 43 + "="


def report(**changes: Any) -> dict[str, Any]:
    """A session's report, as the node gives it."""
    counts = {"modules": 1, "files": 3, "bytes": 1000}
    return {
        "requests": 9,
        "modules": 3,
        "bytes": 181_000_000,
        "sources": {"upstream": counts, "store": counts, "module-cache": counts},
        "unproven": 0,
        "missing": [],
        "elapsed_s": 9.1,
    } | changes


def test_the_last_line_of_a_run() -> None:
    assert summary(report()) == "3 modules, 181 MB, 9 s: 2 here · 1 upstream · all proven"
    assert summary(report(unproven=2)).endswith("2 files not proven")
    peers = {"peer": {"modules": 201, "files": 1, "bytes": 1}, "vcs": {"modules": 1, "files": 1, "bytes": 1}}
    assert "201 peers · 1 version control" in summary(report(sources=peers, modules=202))


def test_the_last_line_names_what_is_missing_only_when_the_command_failed() -> None:
    missing: list[dict[str, Any]] = [
        {
            "name": "a.example/b@v1.0.0.zip",
            "reason": "not found",
            "tried": [["one", "404"], ["two", "refused\x1b[2J"]],
        },
        {"name": "a.example/c@v1.0.0.zip", "reason": "not found", "tried": []},
    ]
    text = missing_text(missing)
    assert text.startswith(
        "missing a.example/b@v1.0.0.zip: not found (asked one: 404; two: refused\\x1b[2J), and 1 more"
    )
    same = [missing[0] | {"name": f"a.example/b@v1.0.0.{kind}"} for kind in ("info", "mod")]
    assert missing_text([*missing, *same, missing[0] | {"name": "sumdb lookup/a.example/b@v1.0.0"}]) == text
    assert "more" not in missing_text([missing[0], *same])
    named = missing[1] | {"reason": "a.example/c@v1.0.0.zip: hash is h1:a, but go.sum says h1:b"}
    assert missing_text([named]) == "missing a.example/c@v1.0.0.zip: hash is h1:a, but go.sum says h1:b"
    probes = [{"name": f"{name}@latest", "reason": "not found", "tried": []} for name in ("a.example", "a.example/b")]
    assert missing_text(probes).startswith("missing a.example/b@latest")
    assert missing_text([*probes, *missing]).startswith("missing a.example/b@v1.0.0.zip")
    names = ("a.example@v1.0.0.info", "sumdb lookup/a.example/b@v1.0.0")
    unproven = [{"name": name, "reason": "not found", "tried": []} for name in names]
    assert missing_text(unproven).startswith("missing sumdb lookup/a.example/b@v1.0.0")
    assert "missing" not in last_line(report(missing=missing), 0, fresh=False)
    assert "missing" in last_line(report(missing=missing), 1, fresh=False)
    nothing = report(modules=0, bytes=0, sources={})
    assert last_line(nothing | {"missing": missing}, 1, fresh=False) == text
    assert "--fresh" in last_line(nothing, 0, fresh=False)
    assert "--fresh" not in last_line(nothing, 0, fresh=True)
    assert "failed" in last_line(nothing, 3, fresh=False)


def test_go_files_are_found_from_below(tmp_path: Path) -> None:
    (tmp_path / "go.mod").write_text("module example.com/a\n")
    (tmp_path / "go.sum").write_text("")
    (tmp_path / "x" / "y").mkdir(parents=True)
    files = find_go_files(tmp_path / "x" / "y", {})
    assert files is not None
    assert files.mods == (tmp_path / "go.mod",)
    assert files.sums == (tmp_path / "go.sum",)
    assert files.root == tmp_path / "go.mod"


def test_a_workspace_has_the_sums_of_all_its_modules(tmp_path: Path) -> None:
    (tmp_path / "go.work").write_text('go 1.21\nuse (\n\t./a\n\t"./b"\n)\nuse ./gone\n')
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "go.mod").write_text(f"module example.com/{name}\n")
        (tmp_path / name / "go.sum").write_text(f"example.com/x v1.0.0 {H1}\nexample.com/{name}x v1.0.0 {H1}\n")
    (tmp_path / "go.work.sum").write_text(f"example.com/w v1.0.0 {H1}\n")
    files = find_go_files(tmp_path / "a", {})
    assert files is not None
    assert files.work == tmp_path / "go.work"
    assert len(files.mods) == 2
    sums = load_go_sum(read_sums(files.sums), "all")
    assert {m.path for m, _ in sums.modules} == {f"example.com/{name}" for name in ("w", "x", "ax", "bx")}
    alone = find_go_files(tmp_path / "a", {"GOWORK": "off"})
    assert alone is not None
    assert alone.work is None
    named = find_go_files(tmp_path, {"GOWORK": str(tmp_path / "go.work")})
    assert named == files


@pytest.mark.parametrize(
    ("work", "mod", "needed"),
    [
        ("go 1.21\ntoolchain go1.99.1\n", "go 1.21\n", "go1.99.1"),
        ("go 1.99\n", "go 1.21\n", "go1.99.0"),
        ("go 1.21\n", "go 1.21\ntoolchain go1.99.1\n", None),  # go looks at the one in go.work
    ],
)
def test_in_a_workspace_go_work_says_which_toolchain(tmp_path: Path, work: str, mod: str, needed: str | None) -> None:
    (tmp_path / "go.work").write_text(f"{work}use ./a\n")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "go.mod").write_text(f"module example.com/a\n{mod}")
    files = find_go_files(tmp_path, {})
    assert files is not None
    assert needs_of(files, {"PATH": ""}).toolchain == needed
    assert [key.module.path for key in plan_targets([str(tmp_path)]).files] == ["golang.org/toolchain"] * bool(needed)


def test_modules_of_one_workspace_are_not_needed_from_anywhere(tmp_path: Path) -> None:
    (tmp_path / "go.work").write_text("use ./a\nuse ./b\n")
    for name, more in (("a", "require example.com/b v0.1.0\n"), ("b", "")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "go.mod").write_text(f"module example.com/{name}\n{more}")
    files = find_go_files(tmp_path, {})
    assert files is not None
    assert needs_of(files, {"PATH": ""}).all == ()
    assert plan_targets([str(tmp_path)]).modules == []
    alone = find_go_files(tmp_path / "a", {"GOWORK": "off"})
    assert alone is not None
    with pytest.raises(UserError, match=r"there is no go\.sum"):
        needs_of(alone, {"PATH": ""})


def test_files_that_cannot_be_read_are_one_error(tmp_path: Path) -> None:
    (tmp_path / "go.sum").write_text("three words are not enough here\n")
    with pytest.raises(UserError, match="wrong number of fields"):
        load_go_sum(read_sums((tmp_path / "go.sum",)), "go.sum")
    with pytest.raises(UserError, match="cannot read"):
        read_sums((tmp_path / "none",))


LOCAL = LocalGo("1.25.3", "linux", "amd64")


@pytest.mark.parametrize(
    ("lines", "needed"),
    [
        ("go 1.21", None),
        ("go 1.25.3", None),
        ("go 1.25.4", "go1.25.4"),
        ("go 1.26", "go1.26.0"),
        ("go 1.26rc1", "go1.26rc1"),
        ("go 1.25rc2", None),
        ("go 1.21\ntoolchain go1.25.9", "go1.25.9"),
        ("go 1.21\ntoolchain go1.25.1", None),
        ("go 1.26.2\ntoolchain go1.26.1", "go1.26.2"),
        ("go 1.26.2\ntoolchain default", "go1.26.2"),
        ("", None),
    ],
)
def test_the_toolchain_that_go_would_switch_to(lines: str, needed: str | None) -> None:
    mod = parse_go_mod(f"module example.com/a\n{lines}\n".encode())
    assert needed_toolchain([mod], LOCAL) == needed


def test_a_toolchain_is_a_module_version_for_this_machine() -> None:
    assert str(toolchain_module("go1.26.0", LOCAL)) == "golang.org/toolchain@v0.0.1-go1.26.0.linux-amd64"


def test_targets_of_get(tmp_path: Path) -> None:
    (tmp_path / "go.mod").write_text(
        "module example.com/a\nrequire (\n example.com/b v1.0.0\n example.com/c v1.0.0\n example.com/d v1.0.0\n)\n"
        "replace example.com/c => ../c\nreplace example.com/d => example.com/e v1.2.3\n"
    )
    plan = plan_targets(
        [str(tmp_path / "go.mod"), "example.com/b@v1.0.0", "example.com/B@main", "example.com/b@latest"]
    )
    assert [str(m) for m in plan.modules] == ["example.com/b@v1.0.0", "example.com/e@v1.2.3"]
    assert len(plan.files) == 6, "each file once"
    assert plan.queries == [Query("example.com/B", "main"), Query("example.com/b", "latest")]
    assert plan.queries[0].url_path == "example.com/!b/@v/main.info"
    (tmp_path / "go.sum").write_text(f"example.com/b v1.0.0 {H1}\nexample.com/x v1.0.0/go.mod {H1}\n")
    kinds = {str(key): key.kind for key in plan_targets([str(tmp_path / "go.sum")]).files}
    assert sorted(kinds.values()) == [FileKind.INFO, FileKind.MOD, FileKind.MOD, FileKind.ZIP]


def test_a_tag_of_a_module_from_before_modules_is_looked_up_as_go_get_does() -> None:
    assert plan_targets(["example.com/old@v28.5.2"]).queries == [Query("example.com/old", "v28.5.2")]
    with pytest.raises(UsageError, match="should be v2, not v1"):
        plan_targets(["example.com/new/v2@v1.0.0"])


@given(st.text(max_size=40))
def test_any_target_is_a_plan_or_one_clear_error(text: str) -> None:
    if "\0" in text or text in ("", ".", "..") or "/" in text:
        return
    try:
        plan_targets([f"{text}@v1.0.0"])
    except (UsageError, UserError) as error:
        assert len(str(error).splitlines()) == 1  # noqa: PT017


@pytest.mark.parametrize("setting", ["", "off"])
def test_a_go_work_is_all_modules_of_the_workspace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    monkeypatch.setenv("GOWORK", setting)
    (tmp_path / "go.work").write_text("go 1.21\nuse ./a\nuse ./b\n")
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "go.mod").write_text(f"module m/{name}\nrequire example.com/{name} v1.0.0\n")
    modules = [str(module) for module in plan_targets([str(tmp_path / "go.work")]).modules]
    assert modules == ["example.com/a@v1.0.0", "example.com/b@v1.0.0"]
    with pytest.raises(UserError, match="cannot read"):
        plan_targets([str(tmp_path / "a" / "go.work")])


def test_a_target_longer_than_a_file_name_is_one_clear_error() -> None:
    with pytest.raises(UsageError, match="is no target"):
        plan_targets(["x" * 5000])


def test_a_node_is_started_with_the_same_settings(tmp_path: Path) -> None:
    flags = {"data": "x", "upstream": "off", "offline": True, "mesh": False, "mdns": None, "peers": ["a:1", "b:2"]}
    command = node_command(tmp_path, flags)
    assert command[1:6] == ["-P", "-m", "p2pmods", "up", "--with-parent"]
    tail = " ".join(command[6:])
    assert tail == f"--data {tmp_path} --listen 127.0.0.1:0 --upstream off --offline --no-mesh --peer a:1 --peer b:2"


def test_a_lease_is_seen_while_it_is_held_and_not_after(tmp_path: Path) -> None:
    assert not is_leased(tmp_path)
    lease = Lease(tmp_path)
    assert is_leased(tmp_path)
    lease.release()
    assert not is_leased(tmp_path)


def test_a_data_directory_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(UserError, match=r"cannot use the data directory .*/data: Not a directory; choose another"):
        Lease(tmp_path / "data")


def test_a_command_that_is_told_to_end_while_its_node_starts_waits_for_no_deadline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Timer.start
    timers: list[threading.Timer] = []

    def interrupted(timer: threading.Timer) -> None:
        timers.append(timer)
        start(timer)
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Timer, "start", interrupted)
    code = "import sys; sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        with pytest.raises(KeyboardInterrupt):
            _wait_ready(tmp_path, process)
        process.communicate()
    assert timers[0].finished.is_set()


def test_what_a_dead_process_left_is_no_lease_and_is_removed(tmp_path: Path) -> None:
    (tmp_path / "leases").mkdir()
    left = tmp_path / "leases" / "123-abc"
    left.write_text("")
    os.utime(left, (1, 1))
    assert not is_leased(tmp_path)
    assert not left.exists()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"pid": "x"}', "[" * 10_000, '{"pid": 1, "api": null}'])
def test_a_damaged_node_json_is_no_node(tmp_path: Path, text: str) -> None:
    (tmp_path / NODE_FILE).write_text(text)
    assert find_node(tmp_path) is None


def write_node(data: Path, url: str, pid: int) -> None:
    facts = {"pid": pid, "api": url, "peer": None, "node_id": "n", "token": "t"}
    (data / NODE_FILE).write_text(json.dumps(facts))


@pytest.mark.parametrize(
    "facts",
    [
        {"pid": 1 << 64},
        {"pid": -1},
        {"pid": math.inf},
        {"api": "http://["},
        {"api": "http://127.0.0.1:99999"},
        {"api": "file:///etc"},
        {"api": "127.0.0.1"},
        {"api": "http://127.0.0.1:1/\u2603"},
        {"token": "t\r\nHost: x"},
        {"token": "\u2603"},
    ],
    ids=str,
)
def test_what_no_node_can_have_written_is_no_node(tmp_path: Path, facts: dict[str, Any]) -> None:
    honest = {"pid": os.getpid(), "api": "http://127.0.0.1:1", "peer": None, "node_id": "n", "token": "t"}
    (tmp_path / NODE_FILE).write_text(json.dumps(honest))
    assert read_node_file(tmp_path) is not None
    (tmp_path / NODE_FILE).write_text(json.dumps({**honest, **facts}))
    assert read_node_file(tmp_path) is None
    assert find_node(tmp_path) is None


def test_a_node_that_died_is_no_node(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    write_node(tmp_path, f"http://127.0.0.1:{port}", os.getpid())
    assert find_node(tmp_path) is None, "its process id is somebody else's now, and nobody listens"
    write_node(tmp_path, f"http://127.0.0.1:{port}", 0)
    assert find_node(tmp_path) is None
    assert read_node_file(tmp_path) == RunningNode(0, f"http://127.0.0.1:{port}", "t", None, "n")


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX pipes")
def test_a_pipe_in_the_place_of_node_json_is_no_node_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / NODE_FILE)
    assert find_node(tmp_path) is None


def test_a_node_that_hangs_is_an_error_that_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2pmods.cli.client.HEALTH_DEADLINE", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as server:
        write_node(tmp_path, f"http://127.0.0.1:{server.getsockname()[1]}", os.getpid())
        with pytest.raises(UserError, match=f"process {os.getpid()}"):
            find_node(tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_who_listens_on_a_port_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert (process_on(port) or "").startswith(f"process {os.getpid()} (")
    assert process_on(port, tmp_path) is None


def test_a_program_is_found_and_its_end_is_told(tmp_path: Path) -> None:
    with pytest.raises(NoSuchProgram):
        find_program("no-such-command", {"PATH": str(tmp_path)})
    assert execute(sys.executable, ["python", "-c", "raise SystemExit(5)"], os.environ) == 5
    with pytest.raises(NotExecutable):
        execute(str(tmp_path), ["x"], os.environ)
    with pytest.raises(NotExecutable, match="is a directory"):
        find_program(str(tmp_path), {"PATH": ""})
    if os.name != "nt":
        (tmp_path / "script").write_text("echo")
        with pytest.raises(NotExecutable, match="permission denied"):
            find_program(str(tmp_path / "script"), {"PATH": ""})
        assert execute(sys.executable, ["python", "-c", "import os; os.kill(os.getpid(), 9)"], os.environ) == 137


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_under_nohup_the_command_ignores_the_hangup_too() -> None:
    code = "import signal; raise SystemExit(7 if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else 0)"
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert execute(sys.executable, ["python", "-c", code], os.environ) == 7
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_module_cache_is_removed_though_go_made_it_read_only(tmp_path: Path) -> None:
    place = tmp_path / "cache" / "m@v1"
    place.mkdir(parents=True)
    (place / "f").write_text("x")
    (place / "f").chmod(0o400)
    place.chmod(0o500)
    remove_tree(tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_status_shows_nothing_that_a_terminal_would_obey() -> None:
    evil = "\x1b]0;owned\x07"
    counts = {"files": 1, "bytes": 10}
    said = status_human(
        {
            "api": "http://127.0.0.1:1",
            "node_id": "n",
            "uptime_s": 5,
            "held": {"modules": 1, "files": 3, "bytes": 10, "unproven": 1, "limit": 100, "over": False},
            "traffic": {"upstream": counts},
            "given": counts,
            "upstream": {"state": "online"},
            "peer": evil,
            "peers": [{"state": "alive"}],
            "mesh": {"state": "on", "swarm": evil, "role": "leaf", "offered": 1, "received": counts},
            "sumdb": {"name": "s", "state": "ok", "tree": 5, "records": 1, "problem": evil},
            "trouble": evil,
            "alarms": [{"text": evil, "since": 0}],
            "failures": [{"at": 0, "name": evil, "hint": "", "verdict": "not found"}],
        },
        Path("data"),
    )
    assert "\x1b" not in "\n".join(said)
    assert any("1 ALARM" in line for line in said)


@pytest.mark.parametrize(
    ("held", "limit", "said"),
    [
        (7 * 10**9, 10**10, "disk limit   10 GB, 70% of it used"),
        (
            9 * 10**9,
            10**10,
            "disk limit   10 GB, 90% of it used: too much, so zips go that nobody asked for in the last hour",
        ),
        (9 * 10**9, None, None),
    ],
)
def test_status_says_how_much_of_the_disk_limit_is_used_and_when_that_is_too_much(
    held: int, limit: int | None, said: str | None
) -> None:
    report = status_report(StoreStatistics(1, 3, held, 0, (), {}, Traffic(), {}, Traffic(), None), None, limit)
    assert (report["held"]["bytes"], report["held"]["limit"]) == (held, limit)
    lines = [line.strip() for line in status_human(report, Path("data")) if "limit" in line]
    assert lines == ([said] if said else [])
