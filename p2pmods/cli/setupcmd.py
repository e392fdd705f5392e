"""`p2pmods setup`, `setup --undo` and `setup --print`."""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from p2pmods.cli.client import find_node
from p2pmods.cli.context import load
from p2pmods.cli.gosetup import (
    go_arguments,
    plan,
    read_setting,
    shown_command,
    value_to_restore,
    winning_variable,
    write,
)
from p2pmods.cli.output import say, say_json
from p2pmods.cli.portholder import find_listener
from p2pmods.config.ownself import OwnAddresses
from p2pmods.config.setup_record import delete_setup_record, read_setup_record, write_setup_record
from p2pmods.errors import UsageError, UserError, printable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from p2pmods.cli.gosetup import GoProxySetting
    from p2pmods.config import Config
    from p2pmods.config.setup_record import SetupRecord


def setup(flags: Mapping[str, object], *, strict: bool) -> None:
    """Put the node in front of GOPROXY and remember what was there."""
    config = load(flags, show_notices=False)
    setting, record = read_setting(os.environ), read_setup_record(config.data)
    wanted = _plan(config, setting, record, strict=strict)
    if (variable := winning_variable(wanted.written, os.environ)) is not None:
        raise UserError(
            f"the environment variable GOPROXY={variable} wins over go's settings: unset it (look in your shell's "
            "start-up files), then run this again"
        )
    if _is_done(setting, record, wanted):
        say(f"already set up: GOPROXY={wanted.written}")
    else:
        write_setup_record(config.data, wanted)
        try:
            _write_and_check(setting, wanted)
        except UserError:
            _take_back(config.data, setting, record)
            raise
        say(f"GOPROXY was  {setting.in_force}")
        say(f"GOPROXY is   {wanted.written}")
    say(f"to undo      p2pmods setup --undo   or, without p2pmods:  {shown_command(wanted.before)}")
    for line in [*node_lines(config), *sharing_lines(config)]:
        say(line)


def node_lines(config: Config) -> list[str]:
    """What keeps go from finding the node where it was just told to look; nothing when it is there."""
    try:
        node = find_node(config.data)
    except UserError as error:
        return [f"node         {error}"]
    address = urlsplit(node_url(config))
    if node is not None:
        elsewhere = f"node         runs at {node.api} until it is started again: go does not find it there"
        return [] if urlsplit(node.api).port == address.port else [elsewhere]
    assert address.hostname is not None
    assert address.port is not None
    holder = find_listener(address.hostname, address.port)
    if holder is not None:
        return [f"node         not running, and {address.netloc} is taken by {holder}: that is what go asks now"]
    return ["node         not running: p2pmods up starts it"]


def sharing_lines(config: Config) -> list[str]:
    """What the node asks other nodes for, and what it offers them; or why it does neither."""
    from p2pmods.node.meshing import why_no_mesh

    problem = why_no_mesh(config)
    if problem is not None or config.sumdb is None:
        return [f"peers        none: {problem}"]
    private = f": {printable(str(config.private))}" if str(config.private) else ", and there is none"
    return [
        f"asked        of peers: whatever no private pattern matches{private}",
        f"offered      to peers: only what {config.sumdb.name} proves   (mesh = false turns both off)",
    ]


def _write_and_check(setting: GoProxySetting, wanted: SetupRecord) -> None:
    now = write(setting, wanted.written, os.environ)
    if now != wanted.written:
        raise UserError(
            f"go env GOPROXY still says {now}: something wins over go's settings; "
            f"to undo: {shown_command(wanted.before)}"
        )


def _take_back(data: Path, setting: GoProxySetting, record: SetupRecord | None) -> None:
    """Remember what was remembered before, when go wrote nothing; when that cannot be seen, the way back is kept."""
    with contextlib.suppress(UserError):
        if read_setting(os.environ).in_file != setting.in_file:
            return
        if record is None:
            delete_setup_record(data)
        else:
            write_setup_record(data, record)


def undo(flags: Mapping[str, object]) -> None:
    """Take the node out of GOPROXY again."""
    config = load(flags, show_notices=False)
    setting, record = read_setting(os.environ), read_setup_record(config.data)
    value = value_to_restore(setting, record, _own(config, record))
    if value == setting.in_file:
        delete_setup_record(config.data)
        say(f"nothing to undo: go's settings do not name this node; go env GOPROXY is {setting.in_force}")
        return
    say(shown_command(value))
    now = write(setting, value, os.environ)
    delete_setup_record(config.data)
    say(f"GOPROXY is   {now}")
    if (variable := winning_variable(value or "", os.environ)) is not None:
        raise UserError(
            f"go's settings are as they were, but the environment variable GOPROXY={variable} wins: unset it"
        )
    if value and now != value:
        raise UserError(f"go env GOPROXY still says {now} and not {value}")


def show(flags: Mapping[str, object], *, strict: bool, as_json: bool) -> None:
    """What setup would do; nothing is changed."""
    config = load(flags, show_notices=False)
    setting, record = read_setting(os.environ), read_setup_record(config.data)
    wanted = _plan(config, setting, record, strict=strict)
    if wanted.token and (record is None or record.token is None):
        wanted = replace(wanted, written=f"{wanted.node}/TOKEN")  # made anew by the real run
    if as_json:
        now = {"goproxy": setting.in_force, "in_go_env_file": setting.in_file, "set_up": record is not None}
        say_json(
            {
                **now,
                "would_be": wanted.written,
                "command": ["go", *go_arguments(wanted.written)],
                "undo": ["go", *go_arguments(wanted.before)],
            }
        )
        return
    is_done = _is_done(setting, record, wanted)
    say(f"GOPROXY is        {setting.in_force}")
    say(f"setup would run   {'nothing: that is done' if is_done else shown_command(wanted.written)}")
    say(f"and undo          {shown_command(wanted.before)}")
    if (variable := winning_variable(wanted.written, os.environ)) is not None:
        say(f"but               GOPROXY={variable} in the environment wins: setup refuses until that is unset")


def _is_done(setting: GoProxySetting, record: SetupRecord | None, wanted: SetupRecord) -> bool:
    return setting.in_file == wanted.written and record == wanted


def _plan(config: Config, setting: GoProxySetting, record: SetupRecord | None, *, strict: bool) -> SetupRecord:
    url = node_url(config)
    shared = f"{url}/{config.api_token}" if config.api_token else url
    return plan(setting, record, (url, shared), _own(config, record), strict=strict)


def node_url(config: Config) -> str:
    """The URL that go is given for this node. UsageError when it would be another one at every start."""
    if config.listen.port == 0:
        raise UsageError("setup needs a port that stays: listen is port 0 now (set listen in config.toml)")
    listen = config.listen
    host = "127.0.0.1" if listen.host in ("0.0.0.0", "::") else str(listen).rpartition(":")[0]  # noqa: S104
    return f"http://{host}:{listen.port}"


def _own(config: Config, record: SetupRecord | None) -> OwnAddresses:
    return OwnAddresses(config.listen, record.node if record else None)
