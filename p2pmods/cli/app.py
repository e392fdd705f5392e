"""Every command's signature. What a command does is imported when it runs, so that `--help` stays quick."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from p2pmods.cli.options import DataOption, JsonOption, with_settings

Flags = dict[str, Any]

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
Module = Annotated[str, typer.Argument(metavar="MODULE@VERSION", show_default=False)]
Modules = Annotated[list[str] | None, typer.Argument(metavar="MODULE@VERSION...", show_default=False)]


@app.callback(invoke_without_command=True)
def start(
    ctx: typer.Context, version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False
) -> None:
    """Go modules from the machines around you: a peer-to-peer module proxy.

    The first thing to type: p2pmods run -- go build ./...
    """
    if version:
        from p2pmods import __version__

        typer.echo(f"p2pmods {__version__}")
        raise typer.Exit
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())


@app.command()
@with_settings
def up(
    flags: Flags,
    with_parent: Annotated[bool, typer.Option("--with-parent", hidden=True)] = False,
) -> int:
    """Run a node until stopped."""
    from p2pmods.cli.loading import without_collector

    with without_collector():
        from p2pmods.cli.upcmd import up

    return up(flags, with_parent=with_parent)


@app.command(context_settings={"allow_interspersed_args": False, "ignore_unknown_options": False})
@with_settings
def run(
    flags: Flags,
    command: Annotated[list[str], typer.Argument(metavar="CMD...", show_default=False)],
    fresh: Annotated[bool, typer.Option("--fresh", help="With a throw-away module cache: shows a download.")] = False,
) -> int:
    """Run a command, such as go build ./..., with its modules from the node."""
    from p2pmods.cli.runcmd import run

    return run(flags, command, fresh=fresh)


@app.command()
def check(
    directory: Annotated[Path, typer.Argument(metavar="DIR", show_default=False)] = Path(),
    data: DataOption = None,
    as_json: JsonOption = False,
) -> int:
    """Would this build if everything outside were gone?"""
    from p2pmods.cli.checkcmd import check

    return check(directory, data, as_json=as_json)


@app.command()
@with_settings
def get(
    flags: Flags,
    targets: Annotated[list[str], typer.Argument(metavar="TARGET...", show_default=False)],
    as_json: JsonOption = False,
) -> int:
    """Prefetch: module@version, a go.mod, a go.sum, or a directory that holds them."""
    from p2pmods.cli.getcmd import get

    return get(flags, targets, as_json=as_json)


@app.command()
def status(data: DataOption = None, as_json: JsonOption = False) -> None:
    """What the node holds, and where it came from."""
    from p2pmods.cli.statuscmd import status

    status(data, as_json=as_json)


@app.command()
def peers(data: DataOption = None, as_json: JsonOption = False) -> None:
    """Who else is in the mesh, and what went to and fro."""
    from p2pmods.cli.meshcmds import peers

    peers(data, as_json=as_json)


@app.command()
def offered(data: DataOption = None, as_json: JsonOption = False) -> None:
    """What others can get from the running node."""
    from p2pmods.cli.meshcmds import offered

    offered(data, as_json=as_json)


@app.command()
def pause(data: DataOption = None, as_json: JsonOption = False) -> None:
    """Give and offer nothing for now; this node goes on asking."""
    from p2pmods.cli.meshcmds import pause

    pause(data, paused=True, as_json=as_json)


@app.command()
def resume(data: DataOption = None, as_json: JsonOption = False) -> None:
    """Give and offer again."""
    from p2pmods.cli.meshcmds import pause

    pause(data, paused=False, as_json=as_json)


@app.command()
def why(module: Module, data: DataOption = None, as_json: JsonOption = False) -> None:
    """Where a module's bytes came from, and what proves them."""
    from p2pmods.cli.whycmd import why

    why(module, data, as_json=as_json)


@app.command()
def verify(
    modules: Modules = None,
    everything: Annotated[bool, typer.Option("--all", help="Everything that is held.")] = False,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> int:
    """Read what is held again and compare its hashes."""
    from p2pmods.cli.storecmds import verify

    return verify(modules or [], data, everything=everything, as_json=as_json)


@app.command()
def rm(modules: Modules = None, data: DataOption = None, as_json: JsonOption = False) -> int:
    """Remove modules, and keep them away until `get` asks for them again."""
    from p2pmods.cli.storecmds import remove

    return remove(modules or [], data, as_json=as_json)


@app.command(name="hash")
def hash_(
    file: Annotated[Path, typer.Argument(metavar="FILE.zip", show_default=False)],
    module: Annotated[str | None, typer.Argument(metavar="MODULE@VERSION", show_default=False)] = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the h1: of a module zip, or why it is refused."""
    from p2pmods.cli.hashcmd import hash_zip

    hash_zip(file, module, as_json=as_json)


@app.command()
@with_settings
def setup(
    flags: Flags,
    strict: Annotated[bool, typer.Option("--strict", help="The node alone, nothing after it.")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Put back exactly what was there.")] = False,
    show: Annotated[bool, typer.Option("--print", help="Only show it.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Put the node in front of the go command's GOPROXY."""
    from p2pmods.cli import setupcmd
    from p2pmods.errors import UsageError

    if undo and (strict or show):
        raise UsageError("--undo goes with neither --strict nor --print")
    if as_json and not show:
        raise UsageError("--json goes with --print: nothing else of setup is data")
    if show:
        setupcmd.show(flags, strict=strict, as_json=as_json)
    elif undo:
        setupcmd.undo(flags)
    else:
        setupcmd.setup(flags, strict=strict)


@app.command()
def demo() -> int:
    """See the whole idea on this machine, with no network and no Go."""
    from p2pmods.cli.democmd import demo

    return demo()


@app.command()
@with_settings
def config(flags: Flags, as_json: JsonOption = False) -> None:
    """The settings in force, and where each came from."""
    from p2pmods.cli.configcmd import show

    show(flags, as_json=as_json)
