"""`p2pmods setup` with the real go command: in front, alone, and taken away exactly."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from typing import TYPE_CHECKING

import pytest

from p2pmods.cli import setupcmd
from p2pmods.cli.client import RunningNode
from p2pmods.cli.gosetup import read_env_file
from p2pmods.config import load_config
from p2pmods.errors import UserError
from tests.cli.runner import p2pmods

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.go

NODE = "http://127.0.0.1:3070"
COMPANY = "https://corp.example/proxy,direct"


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, go_command: Path) -> Path:
    monkeypatch.setenv("P2PMODS_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("GOENV", str(tmp_path / "goenv"))
    monkeypatch.setenv("GOFLAGS", "")
    return tmp_path / "data"


@pytest.fixture
def env_file(tmp_path: Path) -> Path:
    return tmp_path / "goenv"


def go_env(go: Path, *arguments: str) -> str:
    return subprocess.run([go, "env", *arguments], check=True, capture_output=True, text=True).stdout.strip()


def test_setup_puts_the_node_before_what_was_there_and_undo_takes_it_away(go_command: Path, env_file: Path) -> None:
    go_env(go_command, "-w", f"GOPROXY={COMPANY}")
    done = p2pmods("setup")
    assert done.status == 0, done.err
    assert go_env(go_command, "GOPROXY") == f"{NODE}|{COMPANY}"
    assert f"go env -w GOPROXY={COMPANY}" in done.out
    undone = p2pmods("setup", "--undo")
    assert undone.status == 0, undone.err
    assert f"go env -w GOPROXY={COMPANY}" in undone.out
    assert read_env_file(env_file)["GOPROXY"] == COMPANY


def test_setup_says_in_two_lines_what_is_asked_of_peers_and_offered_to_them(monkeypatch: pytest.MonkeyPatch) -> None:
    said = p2pmods("setup", "--private", "corp.example").out
    assert "asked        of peers: whatever no private pattern matches: corp.example\n" in said
    assert "offered      to peers: only what sum.golang.org proves" in said
    monkeypatch.setenv("P2PMODS_MESH", "off")
    assert "peers        none: switched off" in p2pmods("setup").out


def test_what_was_unset_is_unset_again(go_command: Path, env_file: Path) -> None:
    default = go_env(go_command, "GOPROXY")
    assert p2pmods("setup").status == 0
    assert go_env(go_command, "GOPROXY") == f"{NODE}|{default}"
    undone = p2pmods("setup", "--undo")
    assert "go env -u GOPROXY" in undone.out
    assert "GOPROXY" not in read_env_file(env_file)
    assert go_env(go_command, "GOPROXY") == default


def test_strict_is_the_node_alone_under_a_token_of_its_own(go_command: Path, data: Path, env_file: Path) -> None:
    go_env(go_command, "-w", f"GOPROXY={COMPANY}")
    assert p2pmods("setup", "--strict").status == 0
    written = go_env(go_command, "GOPROXY")
    token = json.loads((data / "setup.json").read_text())["token"]
    assert written == f"{NODE}/{token}"
    assert len(token) >= 32
    config = json.loads(p2pmods("config", "--json").out)
    assert config["upstream"] == {"value": COMPANY, "origin": "setup record"}
    assert p2pmods("setup", "--undo").status == 0
    assert read_env_file(env_file)["GOPROXY"] == COMPANY


def test_a_second_setup_changes_nothing(go_command: Path, data: Path) -> None:
    go_env(go_command, "-w", f"GOPROXY={COMPANY}")
    assert p2pmods("setup").status == 0
    record, written = (data / "setup.json").read_text(), go_env(go_command, "GOPROXY")
    again = p2pmods("setup")
    assert again.status == 0
    assert "already" in again.out
    assert (data / "setup.json").read_text() == record
    assert go_env(go_command, "GOPROXY") == written


def test_from_strict_to_plain_and_to_another_port_the_way_back_stays(go_command: Path, env_file: Path) -> None:
    for arguments in (["--strict"], [], ["--listen", "127.0.0.1:4444"], ["--strict", "--listen", "127.0.0.1:4444"]):
        assert p2pmods("setup", *arguments).status == 0
    assert go_env(go_command, "GOPROXY").startswith("http://127.0.0.1:4444/")
    assert p2pmods("setup", "--undo").status == 0
    assert "GOPROXY" not in read_env_file(env_file)


def test_a_variable_that_wins_is_refused_before_anything_is_written(env_file: Path, data: Path) -> None:
    done = p2pmods("setup", env={"GOPROXY": "https://other.example"})
    assert done.status == 1
    assert len(done.err.splitlines()) == 1
    assert "environment variable GOPROXY=https://other.example wins" in done.err
    assert read_env_file(env_file) == {}
    assert not (data / "setup.json").exists()


def test_undo_says_so_when_a_variable_wins_over_what_it_restored(env_file: Path) -> None:
    assert p2pmods("setup").status == 0
    done = p2pmods("setup", "--undo", env={"GOPROXY": NODE})
    assert done.status == 1
    assert "wins" in done.err
    assert "GOPROXY" not in read_env_file(env_file)


def test_print_changes_nothing(go_command: Path, env_file: Path, data: Path) -> None:
    done = p2pmods("setup", "--print")
    assert done.status == 0
    assert f"{NODE}|{go_env(go_command, 'GOPROXY')}" in done.out
    assert "go env -u GOPROXY" in done.out
    strict = json.loads(p2pmods("setup", "--print", "--strict", "--json").out)
    assert strict["would_be"] == f"{NODE}/TOKEN"
    assert read_env_file(env_file) == {}
    assert not data.exists()


def test_print_says_that_a_variable_would_win_and_that_there_is_nothing_left_to_do() -> None:
    assert "but  " not in p2pmods("setup", "--print").out
    held_up = p2pmods("setup", "--print", env={"GOPROXY": "https://other.example"})
    assert (held_up.status, held_up.err) == (0, "")
    assert "but               GOPROXY=https://other.example in the environment wins: setup refuses" in held_up.out
    assert p2pmods("setup").status == 0
    assert "setup would run   nothing: that is done" in p2pmods("setup", "--print").out
    assert "setup would run   go env -w" in p2pmods("setup", "--print", "--strict").out


@pytest.fixture
def address() -> Iterator[tuple[str, socket.socket]]:
    """An address at which nobody listens until a test does."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}", taken


def test_setup_says_that_no_node_runs_and_whom_go_would_ask_instead(address: tuple[str, socket.socket]) -> None:
    name, taken = address
    assert "node         not running: p2pmods up starts it\n" in p2pmods("setup", "--listen", name).out
    taken.listen()
    said = p2pmods("setup", "--listen", name).out
    assert f"node         not running, and {name} is taken by " in said
    assert p2pmods("setup", "--undo", "--listen", name).status == 0


@pytest.mark.parametrize(("port", "said"), [(4444, []), (4445, ["runs at http://127.0.0.1:4445 until"])])
def test_setup_says_when_the_node_runs_elsewhere_than_go_looks(
    monkeypatch: pytest.MonkeyPatch, port: int, said: list[str]
) -> None:
    node = RunningNode(1, f"http://127.0.0.1:{port}", "token", None, "id")
    monkeypatch.setattr(setupcmd, "find_node", lambda _data: node)
    lines = setupcmd.node_lines(load_config({"listen": "127.0.0.1:4444", "upstream": "off"}, {}, lambda: None))
    assert len(lines) == len(said)
    assert all(part in line for part, line in zip(said, lines, strict=True))


def test_of_a_node_that_hangs_setup_says_that(monkeypatch: pytest.MonkeyPatch) -> None:
    def hangs(_data: Path) -> None:
        raise UserError("the node (process 7) does not answer")

    monkeypatch.setattr(setupcmd, "find_node", hangs)
    config = load_config({"upstream": "off"}, {}, lambda: None)
    assert setupcmd.node_lines(config) == ["node         the node (process 7) does not answer"]


def test_undo_leaves_alone_what_somebody_wrote_since(go_command: Path, data: Path) -> None:
    assert p2pmods("setup").status == 0
    go_env(go_command, "-w", "GOPROXY=https://mine.example")
    done = p2pmods("setup", "--undo")
    assert done.status == 0
    assert "nothing to undo" in done.out
    assert go_env(go_command, "GOPROXY") == "https://mine.example"
    assert not (data / "setup.json").exists()


def test_undo_takes_the_node_out_of_a_list_that_was_edited_or_whose_record_is_lost(
    go_command: Path, data: Path
) -> None:
    assert p2pmods("setup").status == 0
    go_env(go_command, "-w", f"GOPROXY={NODE}|https://mine.example,direct")
    (data / "setup.json").unlink()
    assert p2pmods("setup", "--undo").status == 0
    assert go_env(go_command, "GOPROXY") == "https://mine.example,direct"


def test_undo_without_setup_is_nothing_to_do() -> None:
    done = p2pmods("setup", "--undo")
    assert (done.status, done.err) == (0, "")
    assert "nothing to undo: go's settings do not name this node" in done.out
    by_hand = p2pmods("setup", "--undo", env={"GOPROXY": f"{NODE},direct"})
    assert f"go's settings do not name this node; go env GOPROXY is {NODE},direct" in by_hand.out


def test_a_port_that_changes_at_every_start_cannot_be_set_up() -> None:
    done = p2pmods("setup", "--listen", "127.0.0.1:0")
    assert done.status == 2
    assert "port" in done.err


def test_without_settings_of_go_there_is_nothing_to_write_to() -> None:
    done = p2pmods("setup", env={"GOENV": "off"})
    assert done.status == 1
    assert "GOENV=off" in done.err


def test_a_go_that_does_not_work_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "bin"
    broken.mkdir()
    (broken / "go").write_text("#!/bin/sh\necho 'go: no GOROOT here' >&2\nexit 3\n")
    (broken / "go").chmod(0o755)
    done = p2pmods("setup", env={"PATH": str(broken)})
    assert done.status == 1
    assert "no GOROOT here" in done.err
    assert len(done.err.splitlines()) == 1


def test_go_env_files_are_read_as_go_reads_them(tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.write_text("# GOPROXY=no\nGOPROXY=one\r\nlower=x\nGOPROXY=two,direct\nGOFLAGS=-a=b\nrubbish\n")
    assert read_env_file(file) == {"GOPROXY": "two,direct", "GOFLAGS": "-a=b"}
    assert read_env_file(tmp_path / "none") == {}


@pytest.fixture
def path_of_a_go_that_cannot_write(go_command: Path, tmp_path: Path) -> str:
    go = tmp_path / "bin" / "go"
    go.parent.mkdir()
    go.write_text(f'#!/bin/sh\n[ "$2" = -w ] && exit 1\nexec "{go_command}" "$@"\n')
    go.chmod(0o755)
    return f"{go.parent}:{os.environ['PATH']}"


def test_a_set_up_that_go_could_not_write_is_not_remembered(path_of_a_go_that_cannot_write: str, data: Path) -> None:
    done = p2pmods("setup", env={"PATH": path_of_a_go_that_cannot_write})
    assert done.status == 1
    assert "failed" in done.err
    assert not (data / "setup.json").exists()


def test_what_was_set_up_is_still_remembered_when_go_can_write_no_more(
    path_of_a_go_that_cannot_write: str, data: Path
) -> None:
    assert p2pmods("setup").status == 0
    before = (data / "setup.json").read_text()
    assert p2pmods("setup", "--strict", env={"PATH": path_of_a_go_that_cannot_write}).status == 1
    assert (data / "setup.json").read_text() == before


def test_a_data_directory_that_cannot_be_written_is_named_before_go_is_changed(data: Path, env_file: Path) -> None:
    data.write_text("")
    done = p2pmods("setup")
    assert done.status == 1
    assert done.err == f"p2pmods: cannot write {data}/setup.json: File exists; choose another directory with --data\n"
    assert not env_file.exists()


@pytest.mark.parametrize("flags", [(), ("--strict",), ("--undo",)])
def test_what_is_no_data_is_not_printed_where_json_is_asked_for(flags: tuple[str, ...], env_file: Path) -> None:
    done = p2pmods("setup", "--json", *flags)
    assert (done.status, done.out) == (2, "")
    assert not env_file.exists()
