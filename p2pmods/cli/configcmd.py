"""`p2pmods config`: what is in force, and where each value came from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2pmods.cli.context import load
from p2pmods.cli.output import say, say_json, table
from p2pmods.config.settings import SETTINGS
from p2pmods.errors import printable

if TYPE_CHECKING:
    from collections.abc import Mapping


def show(flags: Mapping[str, object], *, as_json: bool) -> None:
    """All settings as aligned lines, or as JSON {key: {value, origin}}. Secrets are named, not shown."""
    config = load(flags)
    shown = {
        s.key: "(secret)" if s.key == "api_token" and config.api_token else config.texts[s.key] for s in SETTINGS
    }
    if as_json:
        say_json({key: {"value": value, "origin": config.origins[key]} for key, value in shown.items()})
        return
    rows = [(key, printable(value, 1000) or "-", printable(config.origins[key])) for key, value in shown.items()]
    for line in table(rows):
        say(line)
