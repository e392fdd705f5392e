from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pmods.errors import MalformedData
from p2pmods.gomod.modfile import MAX_GO_MOD, Interval, ModFile, Replace, parse_go_mod
from p2pmods.gomod.module import ModuleVersion
from tests.gomod.vectors import rows

MAIN = b"""\
// The module of this test.
module "example.com/main" // itself

go 1.23.4
toolchain go1.24.1

require (
\texample.com/direct v1.2.3
\texample.com/Indirect/v2 v2.0.0-rc.1 // indirect

\t// served by nobody
\tourtool v0.0.0
)

require gopkg.in/yaml.v3 v3.0.1

replace (
\tourtool => ./tools
\texample.com/direct v1.2.3 => example.com/fork v1.2.4
\texample.com/direct => "../direct dir"
)

exclude example.com/direct v1.2.2
retract [v1.0.0, v1.1.0] // broken
tool example.com/direct/cmd
"""
DIRECT = ModuleVersion("example.com/direct", "v1.2.3")


def answer(text: str) -> ModFile | None:
    try:
        return parse_go_mod(text.encode())
    except MalformedData:
        return None


def test_a_go_mod_is_read_or_refused_as_go_reads_that_of_a_dependency() -> None:
    for text, path, go, requires in rows("modfiles"):
        ours = answer(text)
        assert (ours is not None) == (requires is not None), text
        if ours is not None:
            assert ours.module_path == (path or ""), text
            assert ours.go == go, text
            listed = [f"{m.path} {m.version}" for m in ours.requires] + [" ".join(other) for other in ours.nameless]
            assert sorted(listed) == sorted(requires), text


def test_what_is_retracted_is_found() -> None:
    block = "retract (\n[v2.0.0, v2.0.0-rc.1]\n[v1.9.9,\n'x'\n)\n"
    mod = parse_go_mod(f'retract v1.0.0 // once\nretract [v1.2.0, "v1.3.0"]\n{block}'.encode())
    assert mod.retracts == (
        Interval("v1.0.0", "v1.0.0"),
        Interval("v1.2.0", "v1.3.0"),
        Interval("v2.0.0", "v2.0.0-rc.1"),
    )
    versions = ("v1.0.0-rc.1", "v1.0.0", "v1.0.1", "v1.2.0", "v1.2.1-rc.1", "v1.3.0", "v1.3.1")
    retracted = [version for version in versions if any(version in interval for interval in mod.retracts)]
    assert retracted == ["v1.0.0", "v1.2.0", "v1.2.1-rc.1", "v1.3.0"]


def test_everything_that_get_and_check_need_is_found() -> None:
    assert parse_go_mod(MAIN) == ModFile(
        module_path="example.com/main",
        go="1.23.4",
        toolchain="go1.24.1",
        requires=(
            DIRECT,
            ModuleVersion("example.com/Indirect/v2", "v2.0.0-rc.1"),
            ModuleVersion("gopkg.in/yaml.v3", "v3.0.1"),
        ),
        nameless=(("ourtool", "v0.0.0"),),
        replaces=(
            Replace("ourtool", None, "./tools", None),
            Replace("example.com/direct", "v1.2.3", "example.com/fork", "v1.2.4"),
            Replace("example.com/direct", None, "../direct dir", None),
        ),
        retracts=(Interval("v1.0.0", "v1.1.0"),),
    )


def test_a_replace_of_the_version_goes_before_one_of_every_version() -> None:
    file = parse_go_mod(MAIN)
    exact = file.replacement(DIRECT)
    assert exact is not None
    assert (exact.new_path, exact.is_local) == ("example.com/fork", False)
    other = file.replacement(ModuleVersion("example.com/direct", "v1.2.4"))
    assert other is not None
    assert other.is_local
    assert file.replacement(ModuleVersion("gopkg.in/yaml.v3", "v3.0.1")) is None


@pytest.mark.parametrize("target", ["./x", "../x", ".", "..", "/x", "C:\\x", ".\\x", "\\x", '"./with space"'])
def test_every_systems_directories_are_local(target: str) -> None:
    [replace] = parse_go_mod(f"replace a.b/c => {target}\n".encode()).replaces
    assert replace.is_local


@pytest.mark.parametrize(
    "line",
    [
        "a.b/c => d.e/f",
        "a.b/c => ./x v1.0.0",
        "a.b/c",
        "=> ./x",
        "a.b/c v1 v2 => ./x",
        "a.b/c => d.e/f master",
        "a.b/c => 'x'",
    ],
)
def test_a_replace_that_go_would_not_take_replaces_nothing(line: str) -> None:
    assert parse_go_mod(f"replace {line}\n".encode()).replaces == ()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("module m\n\nrequire a.b/c master\n", 3),
        ("require (\na.b/c v1.0.0\n", 1),
        ("\n/* */\n", 2),
        ("go 1\n", 1),
        ('module "\\ud800"', 1),
    ],
)
def test_an_error_names_its_line(text: str, line: int) -> None:
    with pytest.raises(MalformedData, match=f"line {line}:"):
        parse_go_mod(text.encode())


def test_a_login_page_or_a_flood_is_no_go_mod() -> None:
    for data in (b"<html>\n<body>(\n</body>", b"\n" * (MAX_GO_MOD + 1), b"require (\n" * 3):
        with pytest.raises(MalformedData):
            parse_go_mod(data)


@given(st.binary(max_size=120) | st.text("require(\n)\t \"\\/x v1.0a'`,=>", max_size=60).map(str.encode))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    try:
        file = parse_go_mod(data)
    except MalformedData:
        return
    assert isinstance(file, ModFile)
