"""The `p2pmods` command: every failure becomes one line on stderr and an exit status."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Final, NoReturn

import typer

from p2pmods.cli.ending import end_as_on_ctrl_c, interrupted, was_told_to_end
from p2pmods.cli.streams import flush_or_give_up, give_up_stdout, prepare
from p2pmods.errors import P2pmodsError, UserError, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

FAILED: Final = 1
USAGE: Final = 2
CTRL_C: Final = 130  # what typer makes of it

# The usage error of the click inside typer, whichever of its versions: BadParameter's base class.
_UsageProblem: Final[type[Exception]] = typer.BadParameter.__mro__[1]


def main() -> NoReturn:
    """Run the command line of this process and exit."""
    prepare()
    end_as_on_ctrl_c()
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit status."""
    try:
        from p2pmods.cli.app import app  # takes long enough for a Ctrl-C

        status = app(arguments, standalone_mode=False, prog_name="p2pmods")
        sys.stdout.flush()
    except (KeyboardInterrupt, typer.Abort):
        return interrupted()
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else FAILED
    except (_UsageProblem, P2pmodsError, OSError, BaseExceptionGroup) as error:
        return _explain(error)
    if status == CTRL_C and was_told_to_end():  # typer knows no other signal
        return interrupted()
    return status if isinstance(status, int) else 0


def _explain(error: BaseException) -> int:
    """Say what went wrong in one line; raises what is neither a P2pmodsError nor the system's, for that is a mistake
    of ours."""
    found = list(leaves(error))
    if any(isinstance(leaf, KeyboardInterrupt) for leaf in found):
        return interrupted()
    for leaf in found:
        if isinstance(leaf, _UsageProblem):
            return _complain(leaf.format_message(), USAGE)  # type: ignore[attr-defined]
        if isinstance(leaf, P2pmodsError):
            return _complain(str(leaf), leaf.exit_code if isinstance(leaf, UserError) else FAILED)
        if isinstance(leaf, OSError):
            return _explain_system(error, leaf)
    raise error


def _explain_system(error: BaseException, leaf: OSError) -> int:
    """The system refused something that nobody foresaw; where in the program, only the log of `up` wants to know."""
    from p2pmods.config.settings import LOG_VARIABLE

    if isinstance(leaf, BrokenPipeError):  # the reader went away: no reason to complain
        give_up_stdout()
        return FAILED
    if os.environ.get(LOG_VARIABLE) == "debug":
        raise error
    flush_or_give_up()
    name = f" ({printable(str(leaf.filename))})" if leaf.filename is not None else ""
    return _complain(f"{leaf.strerror or leaf}{name}", FAILED)


def _complain(text: str, status: int) -> int:
    with contextlib.suppress(OSError):  # a stderr that takes nothing
        print(f"p2pmods: {' '.join(text.split())}", file=sys.stderr)
    return status


def leaves(error: BaseException) -> Iterator[BaseException]:
    """The exceptions in a group and its groups; an exception that is no group is its only leaf."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from leaves(inner)
    else:
        yield error
