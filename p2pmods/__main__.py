"""The `p2pmods` command, also as `python -m p2pmods`."""

import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run it and exit. Ctrl-C has no stack trace to show, not even while the command is still being loaded."""
    try:
        from p2pmods.cli.main import main as run
    except KeyboardInterrupt:
        sys.exit(130)  # as p2pmods.cli.ending says it, which is not there yet
    run()


if __name__ == "__main__":
    main()
