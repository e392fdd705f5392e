"""Settings: who wins over whom, where a value came from, and what a person is told about a wrong one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pmods.config import Address, Config, load_config
from p2pmods.config.settings import BY_KEY, SETTINGS
from p2pmods.config.setup_record import SetupRecord, read_setup_record, write_setup_record
from p2pmods.config.sources import Given, parse_given
from p2pmods.config.values import DiskLimit, UploadLimit
from p2pmods.errors import UsageError, UserError

if TYPE_CHECKING:
    from collections.abc import Mapping

GO = {
    "GOPROXY": "https://goproxy.example,direct",
    "GOSUMDB": "sum.golang.org",
    "GOPRIVATE": "",
    "GONOPROXY": "",
    "GONOSUMDB": "",
    "GOMODCACHE": str(Path("/go/pkg/mod").absolute()),
    "GOPATH": str(Path("/go").absolute()),
}
EVERYTHING_FROM_GO = {
    "P2PMODS_UPSTREAM": "off",
    "P2PMODS_SUMDB": "off",
    "P2PMODS_PRIVATE": "",
    "P2PMODS_MODULE_CACHE": "off",
    "P2PMODS_GOPATH": "/go",
}


@pytest.fixture(autouse=True)
def config_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The platform's config file, in a place of this test's own."""
    home = tmp_path / "config"
    home.mkdir()
    monkeypatch.setattr("p2pmods.config.sources.user_config_file", lambda: home / "config.toml")
    monkeypatch.setattr("p2pmods.config.sources.default_data", lambda: tmp_path / "data")
    return home


def load(
    flags: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
    go: Mapping[str, str] | None = GO,
) -> Config:
    return load_config(flags or {}, environ or {}, lambda: go)


def upstream_of(config: Config) -> list[str]:
    return [step.redacted for step in config.upstream]


def test_without_anything_set_the_defaults_and_go_env_are_in_force(tmp_path: Path) -> None:
    config = load()
    assert config.listen == Address("127.0.0.1", 3070)
    assert config.data == tmp_path / "data"
    assert upstream_of(config) == ["https://goproxy.example", "direct"]
    assert config.sumdb is not None
    assert config.sumdb.name == "sum.golang.org"
    assert (config.offline, config.mesh, config.mdns, config.allow_remote) == (False, True, True, False)
    assert config.module_cache == Path(GO["GOMODCACHE"])
    assert config.gopath == Path(GO["GOPATH"])
    assert config.swarm.name == "public"
    assert config.origins["upstream"] == "go env GOPROXY"
    assert config.origins["listen"] == "default"
    assert config.notices == ()
    assert set(config.origins) == set(config.texts) == {setting.key for setting in SETTINGS}


def test_a_flag_wins_over_the_environment_which_wins_over_the_file(config_home: Path) -> None:
    (config_home / "config.toml").write_text('listen = "127.0.0.1:1"\nupstream = "off"\nsumdb = "off"\n')
    config = load({"listen": "127.0.0.1:3"}, {"P2PMODS_LISTEN": "127.0.0.1:2", "P2PMODS_UPSTREAM": "direct"})
    assert config.listen.port == 3
    assert upstream_of(config) == ["direct"]
    assert config.sumdb is None
    assert config.origins["listen"] == "flag --listen"
    assert config.origins["upstream"] == "environment P2PMODS_UPSTREAM"
    assert config.origins["sumdb"] == str(config_home / "config.toml")


def test_the_data_directorys_own_file_is_read_instead_of_the_platforms(config_home: Path, tmp_path: Path) -> None:
    (config_home / "config.toml").write_text('listen = "127.0.0.1:1"\noffline = true\n')
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "config.toml").write_text('listen = "127.0.0.1:2"\n')
    config = load()
    assert config.listen.port == 2
    assert not config.offline


def test_the_platforms_file_may_say_where_the_data_is(config_home: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (config_home / "config.toml").write_text(f"data = {str(elsewhere)!r}\n")
    assert load().data == elsewhere
    assert load(environ={"P2PMODS_DATA": str(tmp_path / "third")}).data == tmp_path / "third"


def test_the_data_directorys_own_file_cannot_move_it(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('data = "/elsewhere"\n')
    with pytest.raises(UsageError, match="cannot be set"):
        load({"data": str(tmp_path)})


def test_go_is_never_asked_when_everything_that_it_would_give_is_set() -> None:
    def go() -> None:
        raise AssertionError("go env was run")

    config = load_config({}, EVERYTHING_FROM_GO, go)
    assert config.sumdb is None
    assert config.module_cache is None


@pytest.mark.parametrize("missing", sorted(EVERYTHING_FROM_GO))
def test_go_is_asked_once_when_a_single_value_is_missing(missing: str) -> None:
    asked = []
    environ = {name: text for name, text in EVERYTHING_FROM_GO.items() if name != missing}

    def go() -> Mapping[str, str]:
        asked.append(1)
        return GO

    load_config({}, environ, go)
    assert asked == [1]


@pytest.mark.parametrize(
    ("text", "value"),
    [("on", True), ("1", True), ("YES", True), ("true", True), ("off", False), ("0", False), ("no", False)],
)
def test_true_and_false_have_four_forms(text: str, value: bool) -> None:
    assert load(environ={"P2PMODS_OFFLINE": text}).offline is value


@pytest.mark.parametrize(
    ("text", "rate"),
    [("50Mbit", 6.25e6), ("6 MB/s", 6e6), ("1.5mb", 1.5e6), ("64kb", 64e3), ("10Gbit", 1.25e9), ("off", None)],
)
def test_an_upload_limit_is_in_bits_or_bytes_a_second(text: str, rate: float | None) -> None:
    assert load(environ={"P2PMODS_UPLOAD_LIMIT": text}).upload_limit == UploadLimit(rate, is_automatic=False)


def test_an_upload_limit_is_automatic_unless_it_is_set() -> None:
    config = load()
    assert config.upload_limit == UploadLimit(None, is_automatic=True)
    assert config.texts["upload_limit"] == "auto"


def test_flags_that_switch_something_off_are_named_as_typed() -> None:
    config = load({"mesh": False, "mdns": None})
    assert not config.mesh
    assert config.origins["mesh"] == "flag --no-mesh"
    assert config.origins["mdns"] == "default"


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("LISTEN", "3070"),
        ("LISTEN", "127.0.0.1:99999"),
        ("LISTEN", "127.0.0.1:٣"),
        ("LISTEN", ":3070"),
        ("LISTEN", "[::x]:1"),
        ("UPSTREAM", "ftp://h.example"),
        ("UPSTREAM", "rubbish"),
        ("SUMDB", "no key at all"),
        ("OFFLINE", "maybe"),
        ("PEERS", "host"),
        ("PEERS", "host:0"),
        ("SWARM", "corp"),
        ("SWARM", "corp:1234"),
        ("SWARM", "public:" + "0" * 64),
        ("API_TOKEN", "a/b/c/d/e/f"),
        ("API_TOKEN", "short"),
        ("ALLOWED_HOSTS", "a b"),
        ("PEER_LISTEN", "x"),
        ("UPLOAD_LIMIT", "5"),
        ("UPLOAD_LIMIT", "fast"),
        ("UPLOAD_LIMIT", "-5MB"),
        ("UPLOAD_LIMIT", "0MB"),
        ("UPLOAD_LIMIT", "63kB"),
        ("DATA", "~nobody-of-this-name/x"),
    ],
)
def test_a_wrong_value_names_the_key_the_value_and_what_is_allowed(key: str, text: str) -> None:
    with pytest.raises(UsageError) as caught:
        load(environ={f"P2PMODS_{key}": text})
    message = str(caught.value)
    assert key.lower() in message
    assert f"P2PMODS_{key}" in message
    assert "allowed: " in message
    assert key in ("API_TOKEN", "SWARM") or text in message or not text.isascii()


def test_a_token_that_means_something_else_in_a_path_is_none() -> None:
    with pytest.raises(UsageError, match="api_token"):
        load(environ={"P2PMODS_API_TOKEN": "cached-only"})


def test_a_wrong_secret_is_not_repeated() -> None:
    with pytest.raises(UsageError) as caught:
        load(environ={"P2PMODS_SWARM": "corp:deadbeef"})
    assert "deadbeef" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("upstream", "https://good.example,ftp://ann:pass@h.example"),
        ("upstream", "https://ann:pass@h.example:99999|direct"),
        ("sumdb", "sum.golang.org ftp://ann:pass@h.example"),
    ],
)
def test_credentials_in_a_wrong_value_are_not_repeated(key: str, text: str) -> None:
    with pytest.raises(UsageError) as raised:
        load({key: text})
    assert "pass" not in str(raised.value)
    assert "h.example" in str(raised.value)


def test_an_unknown_key_in_a_file_is_an_error_that_names_the_closest(config_home: Path) -> None:
    (config_home / "config.toml").write_text('upsteam = "off"\n')
    with pytest.raises(UsageError, match=r"unknown key upsteam \(did you mean upstream\?\)"):
        load()


def test_an_unknown_variable_is_a_notice_that_names_the_closest() -> None:
    assert load(environ={"P2PMODS_LISTN": "x"}).notices == (
        "unknown environment variable P2PMODS_LISTN (did you mean P2PMODS_LISTEN?)",
    )
    assert load(environ={"P2PMODS_LOG": "debug"}).notices == ()


@pytest.mark.parametrize(
    "text",
    [
        "listen = ",
        "listen = 3070",
        "offline = 'maybe'",
        "peers = [1]",
        "\x00",
        "a = " + "[" * 5000,
        "a = " + "9" * 5000,
    ],
)
def test_a_broken_file_is_one_error_that_names_it(config_home: Path, text: str) -> None:
    (config_home / "config.toml").write_text(text)
    with pytest.raises(UsageError, match=r"config\.toml"):
        load()


def test_lists_in_a_file_may_be_arrays_or_texts(config_home: Path) -> None:
    (config_home / "config.toml").write_text(
        'private = ["corp.example/*", "*.internal.example"]\n'
        'peers = ["a.example:1", "[::1]:2"]\nallowed_hosts = "Host.docker.internal"\n'
    )
    config = load()
    assert config.private.matches("corp.example/x")
    assert config.private.matches("git.internal.example/y")
    assert config.peers == (Address("a.example", 1), Address("::1", 2))
    assert config.allowed_hosts == ("host.docker.internal",)


def test_private_defaults_to_all_three_lists_of_go_together() -> None:
    config = load(go=GO | {"GOPRIVATE": "a.example", "GONOPROXY": "b.example", "GONOSUMDB": "c.example"})
    for path in ("a.example/x", "b.example/x", "c.example/x"):
        assert config.private.matches(path)
        assert config.is_private(path)
    assert str(config.no_proxy) == "b.example"
    assert str(config.no_sumdb) == "c.example"


def test_a_private_setting_is_the_default_of_the_two_other_lists() -> None:
    config = load({"private": "corp.example"}, go=GO | {"GONOPROXY": "b.example"})
    assert str(config.no_proxy) == str(config.no_sumdb) == "corp.example"
    assert config.origins["no_proxy"] == "private"


def test_a_list_set_for_itself_still_keeps_its_paths_from_peers() -> None:
    config = load(environ={"P2PMODS_NO_SUMDB": "only.example"})
    assert not config.private.matches("only.example/x")
    assert config.is_private("only.example/x")


def test_without_a_go_command_the_upstream_is_off_and_a_notice_says_so() -> None:
    config = load(go=None, environ={"GOPRIVATE": "corp.example"})
    assert upstream_of(config) == ["off"]
    assert config.sumdb is not None
    assert config.module_cache is None
    assert "no go command" in config.notices[0]
    assert config.is_private("corp.example/x"), "GOPRIVATE in the environment must not be lost with go"


@pytest.mark.parametrize(
    "goproxy",
    [
        "http://127.0.0.1:3070|https://goproxy.example,direct",
        "http://localhost:3070/0123456789abcdef|https://goproxy.example,direct",
        "https://goproxy.example,http://127.0.0.1:3070,direct",
    ],
)
def test_the_upstream_is_never_the_node_itself(goproxy: str) -> None:
    assert upstream_of(load(go=GO | {"GOPROXY": goproxy})) == ["https://goproxy.example", "direct"]


def test_a_list_that_names_only_the_node_itself_is_off_with_a_notice() -> None:
    config = load(go=GO | {"GOPROXY": "http://127.0.0.1:3070/0123456789abcdef"})
    assert upstream_of(config) == ["off"]
    assert "only this node itself" in config.notices[0]


def test_another_node_on_another_port_is_a_fine_upstream() -> None:
    assert upstream_of(load(go=GO | {"GOPROXY": "http://127.0.0.1:4000"})) == ["http://127.0.0.1:4000"]


def test_what_setup_recorded_is_the_upstream_and_its_address_is_never_asked(tmp_path: Path) -> None:
    record = SetupRecord(
        "http://127.0.0.1:5000",
        "http://127.0.0.1:5000|direct",
        None,
        "http://127.0.0.1:5000,https://corp.example,direct",
        None,
    )
    write_setup_record(tmp_path / "data", record)
    assert read_setup_record(tmp_path / "data") == record
    config = load()
    assert upstream_of(config) == ["https://corp.example", "direct"]
    assert config.origins["upstream"] == "setup record"


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"node": 1, "written": 2, "before": 3, "upstream": 4, "token": 5}']
)
def test_a_damaged_setup_record_says_the_cure(tmp_path: Path, text: str) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "setup.json").write_text(text)
    with pytest.raises(UserError, match="go env -w"):
        load()


@pytest.mark.parametrize("listen", ["0.0.0.0:3070", "192.0.2.1:3070", "[::]:3070", "laptop.example:3070"])
def test_another_address_than_loopback_needs_a_token_and_a_word(listen: str) -> None:
    with pytest.raises(UsageError, match=r"allow_remote = true and an api_token"):
        load({"listen": listen})
    with pytest.raises(UsageError, match="listen"):
        load({"listen": listen}, {"P2PMODS_ALLOW_REMOTE": "on"})
    with pytest.raises(UsageError, match="listen"):
        load({"listen": listen}, {"P2PMODS_API_TOKEN": "0123456789"})
    config = load({"listen": listen}, {"P2PMODS_ALLOW_REMOTE": "on", "P2PMODS_API_TOKEN": "0123456789"})
    assert not config.listen.is_loopback


def test_credentials_and_secrets_are_not_in_the_texts() -> None:
    config = load(
        {"upstream": "https://ann:pass@h.example/p|direct", "swarm": "corp:" + "ab" * 32},
        {"P2PMODS_API_TOKEN": "0123456789"},
    )
    assert config.upstream[0].url == "https://ann:pass@h.example/p"
    shown = " ".join(config.texts[key] for key in ("upstream", "swarm")) + repr(config.swarm)
    assert "pass" not in shown
    assert "abab" not in shown
    assert config.swarm.secret == bytes.fromhex("ab" * 32)


def test_credentials_of_the_checksum_database_are_not_in_the_texts_either() -> None:
    config = load({"sumdb": "sum.golang.org https://ann:pass@h.example/p?key=pass"})
    assert config.sumdb is not None
    assert config.sumdb.url == "https://ann:pass@h.example/p?key=pass"
    assert config.texts["sumdb"] == "sum.golang.org https://h.example/p"


@pytest.mark.parametrize(
    ("environ", "mdns", "origin"),
    [({"CI": "true"}, False, "environment CI"), ({"CI": ""}, True, "default"),
     ({"CI": "1", "P2PMODS_MDNS": "on"}, True, "environment P2PMODS_MDNS")],
)  # fmt: skip
def test_in_ci_the_default_of_mdns_is_another_and_says_so(
    environ: dict[str, str], origin: str, *, mdns: bool
) -> None:
    config = load(environ=environ)
    assert (config.mdns, config.origins["mdns"]) == (mdns, origin)


def test_a_directory_may_have_any_name_but_one_with_control_characters(tmp_path: Path) -> None:
    for name in ("マイ\u3000データ", "non\u00a0breaking", "no\udcffutf8"):
        assert load({"data": str(tmp_path / name)}).data == tmp_path / name
    for name in ("two\nlines", "\x1b[2J", "nul\0", "c1\x9b"):
        with pytest.raises(UsageError, match="control character"):
            load({"data": str(tmp_path / name)})


def test_a_byte_order_mark_is_no_part_of_a_file(config_home: Path) -> None:
    (config_home / "config.toml").write_text('\ufefflisten = "127.0.0.1:9"', encoding="utf-8")
    assert load().listen.port == 9


def test_an_empty_variable_is_not_set_except_where_empty_is_a_value() -> None:
    config = load(environ={"P2PMODS_UPSTREAM": "", "P2PMODS_PRIVATE": ""}, go=GO | {"GOPRIVATE": "a.example"})
    assert upstream_of(config) == ["https://goproxy.example", "direct"]
    assert not config.private


def test_relative_paths_in_a_file_are_meant_from_that_file(config_home: Path) -> None:
    (config_home / "config.toml").write_text('module_cache = "cache"\n')
    assert load().module_cache == config_home / "cache"


def test_the_first_element_of_gopath_is_the_one() -> None:
    sep = ";" if sys.platform == "win32" else ":"
    assert load(go=GO | {"GOPATH": f"{GO['GOPATH']}{sep}/second"}).gopath == Path(GO["GOPATH"])


@given(
    key=st.sampled_from([setting.key for setting in SETTINGS]), raw=st.text(max_size=50) | st.integers() | st.none()
)
def test_any_value_either_parses_or_is_a_usage_error(key: str, raw: Any) -> None:
    setting = next(one for one in SETTINGS if one.key == key)
    try:
        parse_given(setting, Given(raw, "a test"))
    except UsageError as error:
        lines = str(error).splitlines()
        assert len(lines) == 1


@pytest.mark.parametrize(
    ("text", "size"), [("500GB", 500 * 10**9), ("1.5 tb", 1500 * 10**9), ("1GB", 10**9), ("99999MB", 99_999 * 10**6)]
)
def test_a_limit_of_the_store_is_in_bytes_whatever_the_size_of_the_disk(text: str, size: int) -> None:
    limit = load(environ={"P2PMODS_DISK_LIMIT": text}).disk_limit
    assert {limit.of(total) for total in (None, 1, 10**15)} == {size}


@pytest.mark.parametrize(("text", "part"), [("10%", 100), ("2.5 %", 25), ("1%", 10), ("100%", 1000)])
def test_a_limit_of_the_store_may_be_a_share_of_the_disk(text: str, part: int) -> None:
    limit = load(flags={"disk_limit": text}).disk_limit
    assert limit.of(1000) == part
    assert limit.of(None) is None, "of an unknown disk nothing is removed"


@pytest.mark.parametrize(
    "raw",
    [
        *("", "500", "500GiB", "-1GB", "0.9GB", "999MB", "1e9GB", "9" * 7 + "GB", "all", "0GB", "none", "10", "%"),
        *(
            "0%",
            "0.9%",
            "100.1%",
            "101%",
            "-10%",
            "1e1%",
            "10%%",
            "nan%",
            "inf%",
            "\uff11\uff10%",
            "10% 20GB",
            "1\n0%",
        ),
        *(10, 0, True, 0.5, ["10%"]),
    ],
)
def test_a_limit_of_another_form_is_refused(raw: object) -> None:
    with pytest.raises(UsageError, match="20GB"):
        parse_given(BY_KEY["disk_limit"], Given(raw, "a test"))


def test_there_is_a_limit_unless_somebody_says_that_there_is_none() -> None:
    for flags in ({}, {"disk_limit": "auto"}, {"disk_limit": "AUTO"}):
        limit = load(flags=flags).disk_limit
        assert (limit.of(10**15), limit.of(10**9), limit.of(None)) == (10 * 10**9, 10**8, 10 * 10**9)
    for off in ("off", False):
        config = load(flags={"disk_limit": off})
        assert config.disk_limit.of(10**9) is None
        assert load(flags={"disk_limit": config.texts["disk_limit"]}).disk_limit == config.disk_limit


def test_a_seed_may_hold_more_unless_somebody_says_how_much() -> None:
    limit = load(flags={"seed": True}).disk_limit
    assert (limit.of(10**15), limit.of(10**9)) == (100 * 10**9, 5 * 10**8)
    assert load(flags={"seed": True, "disk_limit": "2GB"}).disk_limit.of(10**15) == 2 * 10**9


@pytest.mark.parametrize(("size", "share"), [(0, None), (-1, None), (None, 0.0), (None, 1.1), (10**9, -0.1)])
def test_a_limit_that_would_empty_the_store_cannot_be_made(size: int | None, share: float | None) -> None:
    with pytest.raises(ValueError, match=r"are no limit|no part of a disk"):
        DiskLimit(size, share)


def test_nobody_is_a_seed_who_does_not_say_so() -> None:
    assert not load().seed
    assert load(environ={"P2PMODS_SEED": "on"}).seed


@pytest.mark.parametrize(("text", "value"), [("auto", None), ("AUTO", None), ("yes", True), ("off", False)])
def test_whether_a_connection_is_metered_is_told_by_the_machine_or_by_the_user(text: str, value: bool | None) -> None:
    assert load().metered is None
    config = load(flags={"metered": text})
    assert config.metered is value
    assert load(flags={"metered": config.texts["metered"]}).metered is value
    with pytest.raises(UsageError, match="auto, or true"):
        load(flags={"metered": "perhaps"})
