"""The shape of the command line: one line on stderr when it fails, and a quick answer."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, NoReturn

import pytest
import typer

from p2pmods import __version__
from p2pmods.cli import ending
from p2pmods.cli.main import run
from p2pmods.cli.output import duration, plural, size, table
from tests.cli.runner import p2pmods
from tests.cli.world import wait_for

if TYPE_CHECKING:
    from pathlib import Path


def test_help_names_every_command_and_is_quick() -> None:
    started = time.perf_counter()
    done = p2pmods("--help")
    took = time.perf_counter() - started
    assert done.status == 0
    for command in (
        "up",
        "run",
        "check",
        "get",
        "status",
        "why",
        "verify",
        "rm",
        "hash",
        "setup",
        "demo",
        "config",
        "peers",
        "offered",
        "pause",
        "resume",
    ):
        assert f"\n  {command} " in done.out
    assert took < 2, "0.13 s alone; this machine may be busy"


def test_help_imports_none_of_the_heavy_packages() -> None:
    code = (
        "import sys; from p2pmods.cli.main import run; run(['--help']);"
        "print([m for m in ('trio', 'httpx', 'rich', 'cryptography', 'attrs', 'p2pmods.config') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_version() -> None:
    assert p2pmods("--version").out == f"p2pmods {__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("no-such-command",),
        ("status", "--no-such-flag"),
        ("why",),
        ("why", "not a module"),
        ("run",),
        ("config", "--listen", "rubbish"),
        ("config", "--listen", "0.0.0.0:1"),
        ("config", "--data", ""),
        ("status", "--data", ""),
        ("setup", "--undo", "--strict"),
        ("hash", "x.zip", "m@v"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(arguments: tuple[str, ...]) -> None:
    done = p2pmods(*arguments)
    assert done.status == 2
    assert done.out == ""
    assert done.err.startswith("p2pmods: ")
    assert len(done.err.splitlines()) == 1


def test_config_says_where_each_value_came_from(tmp_path: Path) -> None:
    env = {"P2PMODS_DATA": str(tmp_path), "P2PMODS_UPSTREAM": "off", "P2PMODS_OFFLNE": "1"}
    done = p2pmods("config", "--no-mdns", env=env)
    assert done.status == 0
    rows = {line.split()[0]: line.split(maxsplit=2)[1:] for line in done.out.splitlines()}
    assert rows["upstream"] == ["off", "environment P2PMODS_UPSTREAM"]
    assert rows["mdns"] == ["false", "flag --no-mdns"]
    assert rows["listen"] == ["127.0.0.1:3070", "default"]
    assert "did you mean P2PMODS_OFFLINE?" in done.err


def test_a_reader_that_goes_away_is_no_complaint(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "p2pmods", "--help"], stdout=write, stderr=subprocess.PIPE, check=False
    )
    os.close(write)
    assert done.stderr == b""
    assert done.returncode == 1


def test_a_reader_that_goes_away_before_the_node_is_ready_is_no_complaint_either(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    node = [sys.executable, "-m", "p2pmods", "up", "--data", str(tmp_path), "--listen", "127.0.0.1:0", "--no-mesh"]
    done = subprocess.run([*node, "--upstream", "off"], stdout=write, stderr=subprocess.PIPE, check=False, timeout=30)
    os.close(write)
    assert (done.stderr, done.returncode) == (b"", 1)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no full device")
@pytest.mark.parametrize("command", ["config", "--help", "status"])
def test_what_stdout_does_not_take_is_one_line(command: str) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "p2pmods", command], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert (done.stderr, done.returncode) == (b"p2pmods: No space left on device\n", 1)


@pytest.mark.skipif(os.name == "nt", reason="closes a descriptor as a Unix shell does")
@pytest.mark.parametrize(("closed", "command"), [(1, "config"), (1, "no-such-command"), (2, "no-such-command")])
def test_a_closed_stream_is_no_mistake_and_nothing_of_it_gets_into_the_other(closed: int, command: str) -> None:
    shell = f'exec "$0" -m p2pmods {command} {closed}>&-'
    done = subprocess.run(["sh", "-c", shell, sys.executable], capture_output=True, text=True, check=False)
    complaint = "p2pmods: No such command 'no-such-command'.\n"
    assert done.returncode == (0 if command == "config" else 2)
    assert done.stdout == ""
    assert done.stderr == (complaint if (closed, command) == (1, "no-such-command") else "")


def test_ctrl_c_while_the_command_is_still_loaded_shows_no_stack_trace(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("raise KeyboardInterrupt")
    done = p2pmods("status", env={"PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ['PYTHONPATH']}"})
    assert (done.status, done.err) == (130, "")


@pytest.mark.parametrize(("told", "status"), [([], 130), ([int(signal.SIGTERM)], 143)])
@pytest.mark.parametrize("is_loaded", [False, True])
def test_a_command_that_was_told_to_end_says_by_which_signal(
    monkeypatch: pytest.MonkeyPatch, told: list[int], status: int, *, is_loaded: bool
) -> None:
    def end() -> NoReturn:
        raise KeyboardInterrupt

    class Loading(ModuleType):
        def __getattr__(self, name: str) -> object:
            if name == "app":
                end()
            return super().__getattribute__(name)

    commands = typer.Typer()
    commands.command()(lambda: end())
    loaded = SimpleNamespace(app=commands)
    monkeypatch.setattr(ending, "_told", told)
    monkeypatch.setitem(sys.modules, "p2pmods.cli.app", loaded if is_loaded else Loading("p2pmods.cli.app"))
    assert run([]) == status


@pytest.mark.skipif(os.name == "nt", reason="no signal of Windows asks a process to end")
@pytest.mark.parametrize("told", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_whichever_way_a_command_is_told_to_end_it_leaves_nothing_behind(told: str, tmp_path: Path) -> None:
    number = getattr(signal, told)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    env = {**os.environ, "TMPDIR": str(scratch)}
    # What runs the tests may ignore some of these itself, as nohup does.
    code = (
        "import signal, sys; from p2pmods.__main__ import main;"
        "signal.signal(signal.SIGHUP, signal.SIG_DFL); signal.signal(signal.SIGINT, signal.default_int_handler);"
        "sys.argv = ['p2pmods', 'demo']; main()"
    )
    demo = subprocess.Popen([sys.executable, "-c", code], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_for(lambda: list(scratch.glob("p2pmods-demo-*/*")))
    demo.send_signal(number)
    _, complaint = demo.communicate(timeout=30)
    assert (complaint, demo.returncode) == (b"", 128 + number)
    assert list(scratch.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="no signal of Windows asks a process to end")
def test_a_background_job_for_which_ctrl_c_is_ignored_can_be_told_to_end() -> None:
    code = (
        "import signal; from p2pmods.cli.ending import end_as_on_ctrl_c;"
        "signal.signal(signal.SIGINT, signal.SIG_IGN); end_as_on_ctrl_c(); signal.raise_signal(signal.SIGTERM)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False)
    assert done.returncode == -signal.SIGTERM


def test_text_that_the_encoding_of_stdout_lacks_is_escaped() -> None:
    done = p2pmods("config", "--private", "b\u00fccher.example", env={"PYTHONIOENCODING": "ascii"})
    assert done.status == 0
    assert "b\\xfccher.example" in done.out


def test_what_the_system_refuses_is_one_line_that_names_it() -> None:
    done = p2pmods("check", "x" * 5000)
    assert done.status == 1
    assert done.err.startswith("p2pmods: File name too long (xxx")
    assert len(done.err) < 300
    assert "Traceback" in p2pmods("check", "x" * 5000, env={"P2PMODS_LOG": "debug"}).err


def test_figures_are_short() -> None:
    assert [size(n) for n in (0, 812, 3400, 99_960, 999_600, 181_000_000, 2e13)] == [
        "0 B", "812 B", "3.4 kB", "100 kB", "1.0 MB", "181 MB", "20 TB",
    ]  # fmt: skip
    assert [duration(s) for s in (0.42, 9.2, 119, 125, 11_400, 360_000)] == [
        "0.4 s", "9 s", "119 s", "2 min 5 s", "3 h 10 min", "4 d 4 h",
    ]  # fmt: skip
    assert (plural(1, "module"), plural(1234, "module"), plural(0, "copy", "copies")) == (
        "1 module", "1,234 modules", "0 copies",
    )  # fmt: skip
    assert table([("a", "bb", "c"), ("aaa", "b", "c")]) == ["a    bb  c", "aaa  b   c"]
    assert table([]) == []
