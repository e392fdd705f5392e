"""What was set, and where: flags over the environment over one config.toml."""

from __future__ import annotations

import difflib
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import platformdirs

from p2pmods.config.settings import BY_KEY, LOG_VARIABLE, PREFIX, SETTINGS, Setting
from p2pmods.errors import UsageError, UserError, printable

if TYPE_CHECKING:
    from collections.abc import Mapping

APP: Final = "p2pmods"
MAX_CONFIG_FILE: Final = 1 << 20
_CREDENTIALS: Final = re.compile(r"//[^/,|\s]*@")  # of a URL, in a list of them or not


@dataclass(frozen=True, slots=True)
class Given:
    """A raw value and its origin, as `p2pmods config` names it."""

    raw: object
    origin: str


def default_data() -> Path:
    """The platform's user data directory for p2pmods."""
    return platformdirs.user_data_path(APP, appauthor=False)


def user_config_file() -> Path:
    """config.toml in the platform's config directory."""
    return platformdirs.user_config_path(APP, appauthor=False) / "config.toml"


def closest(name: str, known: list[str]) -> str:
    """` (did you mean …?)`, or nothing when no known name is near."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f" (did you mean {near[0]}?)" if near else ""


def from_flags(flags: Mapping[str, object]) -> dict[str, Given]:
    """Flags that were given; None and an empty list mean that the flag was not."""
    found = {}
    for key, raw in flags.items():
        if raw is None or raw in ([], ()):
            continue
        flag = BY_KEY[key].flag
        if raw is False:
            flag = f"--no-{flag.removeprefix('--')}"
        found[key] = Given(raw, f"flag {flag}")
    return found


def from_environment(environ: Mapping[str, str]) -> tuple[dict[str, Given], list[str]]:
    """Settings from `P2PMODS_*`, and a notice for each such variable that is none."""
    found: dict[str, Given] = {}
    for setting in SETTINGS:
        text = environ.get(setting.variable)
        if text is not None and (text or setting.may_be_empty):
            found[setting.key] = Given(text, f"environment {setting.variable}")
    known = [LOG_VARIABLE, *(setting.variable for setting in SETTINGS)]
    notices = [
        f"unknown environment variable {printable(name)}{closest(name, known)}"
        for name in sorted(environ)
        if name.startswith(PREFIX) and name not in known
    ]
    return found, notices


def read_config_file(path: Path) -> dict[str, Given] | None:
    """The settings in config.toml at `path`; None when there is no such file. UsageError for anything wrong in it."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_CONFIG_FILE + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    if len(data) > MAX_CONFIG_FILE:
        raise UsageError(f"{path}: larger than {MAX_CONFIG_FILE} bytes")
    try:
        table = tomllib.loads(data.decode("utf-8-sig"))  # some editors begin a file with a mark
    except (ValueError, RecursionError) as error:  # of its text, its TOML, or a number with thousands of digits
        raise UsageError(f"{path}: {printable(str(error))}") from error
    for key in table:
        if key not in BY_KEY:
            raise UsageError(f"{path}: unknown key {printable(key)}{closest(key, list(BY_KEY))}")
    return {key: Given(raw, str(path)) for key, raw in table.items()}


def collect(flags: Mapping[str, object], environ: Mapping[str, str]) -> tuple[dict[str, Given], list[str]]:
    """Everything that was set by the three sources, the first that has a key wins; `data` is always among it."""
    upper, notices = from_environment(environ)
    upper.update(from_flags(flags))
    shared_file = None
    if "data" not in upper:
        shared_file = read_config_file(user_config_file())
        upper["data"] = (shared_file or {}).get("data", Given(str(default_data()), "default"))
    own_path = data_path(upper["data"])
    own_file = read_config_file(own_path / "config.toml")
    if own_file is not None and "data" in own_file:
        raise UsageError(f"{own_path / 'config.toml'}: data cannot be set in the data directory's own config.toml")
    if own_file is None and shared_file is None:
        shared_file = read_config_file(user_config_file())
    lower = own_file if own_file is not None else shared_file or {}
    return {**lower, **upper}, notices


def data_directory_of(flags: Mapping[str, object], environ: Mapping[str, str]) -> Path:
    """The data directory, found as `collect` finds it, with no other setting looked at."""
    only_data = {name: text for name, text in environ.items() if name == BY_KEY["data"].variable}
    upper, _ = from_environment(only_data)
    upper.update(from_flags(flags))
    given = upper.get("data") or (read_config_file(user_config_file()) or {}).get("data")
    return default_data() if given is None else data_path(given)


def data_path(given: Given) -> Path:
    """The `data` setting as a path."""
    path = parse_given(BY_KEY["data"], given)
    if not isinstance(path, Path):
        raise TypeError("the data setting parses to a path")
    return path


def parse_given(setting: Setting, given: Given) -> object:
    """The parsed value. UsageError names the key, the value and what is allowed."""
    try:
        if given.origin.endswith("config.toml"):
            return setting.parse(_from_file(setting, given))
        return setting.parse(given.raw)
    except ValueError as error:
        shown = "the secret value" if setting.secret else repr(printable(_CREDENTIALS.sub("//…@", str(given.raw))))
        raise UsageError(
            f"{setting.key} ({given.origin}): {shown} will not do, {printable(str(error))}; "
            f"allowed: {setting.allowed}"
        ) from error


def _from_file(setting: Setting, given: Given) -> object:
    """A relative path in a file is meant from that file's directory."""
    is_path = setting.key in ("data", "gopath", "module_cache")
    if not is_path or not isinstance(given.raw, str) or given.raw in ("", "off") or given.raw.startswith("~"):
        return given.raw
    return str(Path(given.origin).parent / given.raw)
