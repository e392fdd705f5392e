"""`python -m tests.reachable`: exit status 0 when the module proxy of `go env GOPROXY` answers from here."""

from __future__ import annotations

import os
import sys
from urllib.error import URLError
from urllib.request import Request, urlopen

from p2pmods.errors import P2pmodsError
from p2pmods.goenv import find_go, read_go_env
from p2pmods.gomod.goproxy import parse_goproxy

WELL_KNOWN = "golang.org/x/text/@v/v0.14.0.info"


def is_reachable() -> bool:
    go = find_go(os.environ)
    if go is None:
        return False
    try:
        steps = parse_goproxy(read_go_env(go, ["GOPROXY"], os.environ)["GOPROXY"])
        urls = [step.url for step in steps if step.url is not None and step.url.startswith("http")]
        with urlopen(Request(f"{urls[0]}/{WELL_KNOWN}"), timeout=10) as answer:
            return bool(answer.status == 200)
    except (P2pmodsError, URLError, OSError, IndexError):
        return False


if __name__ == "__main__":
    sys.exit(0 if is_reachable() else 1)
