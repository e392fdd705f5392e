"""The page about the directory's protocol shows every message as it is."""

from __future__ import annotations

import re
from pathlib import Path

import p2pmods.directory.messages  # noqa: F401 - registers them
from p2pmods.wire.codec import decode, encode, registered

PAGE = Path(__file__).parents[2] / "docs" / "protocol" / "directory.md"


def test_every_message_is_shown_and_decodes_to_itself() -> None:
    shown = re.findall(r"```hex (\w+)\n([0-9a-f\n]+)```", PAGE.read_text(encoding="utf-8"))
    for name, text in shown:
        data = bytes.fromhex(text.replace("\n", ""))
        message = decode(data)
        assert type(message).__name__ == name
        assert encode(message) == data
    assert {name for name, _ in shown} == {cls.__name__ for n, cls in registered().items() if 40 <= n < 70}
