"""The environment in which the go command may run for us: made from nothing, so that nothing of the user leaks in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_ALWAYS: Final = (
    "PATH",
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO"),
    *("SYSTEMROOT", "SYSTEMDRIVE", "COMSPEC", "PATHEXT", "WINDIR"),  # programs do not start on Windows without
)
# What ssh, credential helpers and netrc need, when the user lets us use them.
_CREDENTIALS: Final = (
    *("HOME", "USER", "LOGNAME", "USERPROFILE", "HOMEDRIVE", "HOMEPATH", "USERNAME", "APPDATA", "LOCALAPPDATA"),
    *("XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS", "SSH_AUTH_SOCK", "GIT_SSH_COMMAND", "NETRC"),
    *("GIT_ALLOW_PROTOCOL", "GIT_CONFIG_GLOBAL"),
)
_GIT_CONFIG: Final = (
    ("gc.auto", "0"),  # or git leaves a process behind that tidies up
    ("maintenance.auto", "false"),
    ("http.lowSpeedLimit", "1000"),  # bytes a second
    ("http.lowSpeedTime", "30"),
)


def go_environment(
    directory: Path,
    environ: Mapping[str, str],
    *,
    credentials: bool = False,
    extra: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Everything the go command and git may know, with all they write below `directory`.

    `extra` is put on top, its GIT_CONFIG_* lines beside ours.
    """
    home, extra = str(directory), dict(extra or {})
    config = [*_GIT_CONFIG, *_take_git_config(extra)]
    if credentials:
        config += _take_git_config(dict(environ))
    env = {name: environ[name] for name in _ALWAYS if name in environ}
    env |= {"HOME": home, "USERPROFILE": home, "LOCALAPPDATA": home, "APPDATA": home}
    env |= {name: str(directory / "tmp") for name in ("TMPDIR", "TMP", "TEMP", "GOTMPDIR")}
    env |= {"GOPATH": str(directory / "gp"), "GOMODCACHE": str(directory / "mod"), "GOCACHE": str(directory / "c")}
    env |= {"GOENV": "off", "GOWORK": "off", "GO111MODULE": "on", "GOTOOLCHAIN": "local", "GOFLAGS": "-modcacherw"}
    env |= {"GOPROXY": "direct", "GONOPROXY": "none", "GOSUMDB": "off", "GOAUTH": "off", "GOTELEMETRY": "off"}
    env |= {"GOVCS": "*:git", "GIT_ALLOW_PROTOCOL": "https:ssh", "GIT_CONFIG_NOSYSTEM": "1"}
    env |= {"GIT_TERMINAL_PROMPT": "0", "GIT_LFS_SKIP_SMUDGE": "1", "LC_ALL": "C"}
    if credentials:
        env |= {name: environ[name] for name in _CREDENTIALS if name in environ}
        env |= {"GOAUTH": "netrc"}
        del env["GIT_CONFIG_NOSYSTEM"]  # credential helpers are often set there
    return env | _git_config(config) | extra


def _git_config(config: Sequence[tuple[str, str]]) -> dict[str, str]:
    env = {"GIT_CONFIG_COUNT": str(len(config))}
    for index, (key, value) in enumerate(config):
        env |= {f"GIT_CONFIG_KEY_{index}": key, f"GIT_CONFIG_VALUE_{index}": value}
    return env


def _take_git_config(extra: dict[str, str]) -> list[tuple[str, str]]:
    count = int(extra.pop("GIT_CONFIG_COUNT", "0"))
    return [(extra.pop(f"GIT_CONFIG_KEY_{i}"), extra.pop(f"GIT_CONFIG_VALUE_{i}")) for i in range(count)]
