"""All the forms in which a module's name could be on a network, and the search for them."""

from __future__ import annotations

import base64
import mmap
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from p2pmods.gomod.escape import escape_path

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from p2pmods.gomod.module import ModuleVersion
    from p2pmods.identity.swarm import Swarm

_PHASES: Final = 3  # of base64: where in a group of three bytes the text begins


def needles(module: ModuleVersion, swarms: Iterable[Swarm]) -> dict[str, list[bytes]]:
    """By form. The text that is looked for is the last element of the path."""
    token = module.path.rpartition("/")[2]
    escaped = escape_path(module.path).rpartition("/")[2]
    found = {
        "raw": [token.encode()],
        "escaped": [escaped.encode()],
        "url": [quote(f"/{token}@", safe="").encode(), quote(f"/{escaped}", safe="").encode()],
        "base64": [text for form in (token, escaped) for text in _base64(form.encode())],
        "hex": [token.encode().hex().encode(), token.encode().hex().upper().encode()],
    }
    names = (str(module), f"{module}/go.mod", module.path, f"{module.path}@latest")
    for swarm in swarms:
        keys = [swarm.key_of(name) for name in names]
        forms = [form for key in keys for form in (key, key.hex().encode(), *_base64(key))]
        found[f"hashed in {swarm.name}"] = forms
    return found


def _base64(data: bytes) -> list[bytes]:
    """As it is somewhere in a longer text: without the characters that its neighbours take part in."""
    texts = []
    for before in range(_PHASES):
        encoded = base64.b64encode(bytes(before) + data)
        first = (0, 2, 3)[before]
        last = (before + len(data)) * 8 // 6
        texts.append(encoded[first:last])
        texts.append(base64.urlsafe_b64encode(bytes(before) + data)[first:last])
    return list(dict.fromkeys(texts))


def count(file: Path, forms: dict[str, list[bytes]]) -> dict[str, int]:
    """How often each form is in the file."""
    if not file.exists() or not file.stat().st_size:
        return dict.fromkeys(forms, 0)
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return {form: sum(_count(data, text) for text in texts) for form, texts in forms.items()}


def _count(data: mmap.mmap, text: bytes) -> int:
    total, at = 0, data.find(text)
    while at >= 0:
        total, at = total + 1, data.find(text, at + 1)
    return total
