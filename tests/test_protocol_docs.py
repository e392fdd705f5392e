"""The examples in docs/protocol are what nodes send: each decodes to what it claims to be, and encodes to itself."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path
from typing import NamedTuple

import pytest

import p2pmods
from p2pmods.wire.codec import decode, encode, registered
from p2pmods.wire.frames import PREFACE, FrameDecoder, Kind, encode_frame

PAGES = sorted((Path(__file__).parents[1] / "docs" / "protocol").glob("*.md"))
FENCE = re.compile(r"^```(hex|frame) (\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PACKAGES = ("wire", "membership", "directory", "swarm", "mesh")  # those that define messages


class Example(NamedTuple):
    what: str
    name: str
    data: bytes


def examples() -> list[Example]:
    texts = [page.read_text("utf-8") for page in PAGES]
    return [Example(what, name, bytes.fromhex(data)) for text in texts for what, name, data in FENCE.findall(text)]


def messages() -> dict[str, type]:
    """Every message of the product by name; those of tests and benchmarks are nobody's business."""
    for package in PACKAGES:
        parent = importlib.import_module(f"p2pmods.{package}") if _exists(package) else None
        for module in pkgutil.walk_packages(parent.__path__, f"p2pmods.{package}.") if parent else ():
            importlib.import_module(module.name)
    return {cls.__name__: cls for cls in registered().values() if cls.__module__.startswith("p2pmods.")}


def _exists(package: str) -> bool:
    return package in {module.name for module in pkgutil.iter_modules(p2pmods.__path__)}


EXAMPLES = examples()
MESSAGES = messages()


@pytest.mark.parametrize("example", [e for e in EXAMPLES if e.what == "hex"], ids=lambda e: e.name)
def test_a_message_in_the_documents_is_what_it_says(example: Example) -> None:
    message = decode(example.data)
    assert type(message) is MESSAGES[example.name]
    assert encode(message) == example.data


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_every_message_has_an_example(name: str) -> None:
    assert name in {example.name for example in EXAMPLES if example.what == "hex"}


@pytest.mark.parametrize("example", [e for e in EXAMPLES if e.what == "frame"], ids=lambda e: e.name)
def test_a_frame_in_the_documents_is_what_it_says(example: Example) -> None:
    (frame,) = FrameDecoder().receive(PREFACE + example.data)
    assert frame.kind is Kind[example.name]
    assert encode_frame(*frame) == example.data


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_of_frame_has_an_example(kind: Kind) -> None:
    assert kind.name in {example.name for example in EXAMPLES if example.what == "frame"}


def test_no_two_messages_have_one_name() -> None:
    """The documents name them by class alone."""
    names = [cls.__name__ for cls in registered().values() if cls.__module__.startswith("p2pmods.")]
    assert len(names) == len(set(names))
