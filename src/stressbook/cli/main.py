"""The command `stressbook`: parses, calls the library, prints; heavy imports wait for a command."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from stressbook.cli.account import account
from stressbook.cli.again import replay, report
from stressbook.cli.calibrate import calibrate
from stressbook.cli.catalogue import list_scenarios, plan, schema, show
from stressbook.cli.conform import conform
from stressbook.cli.demo import demo
from stressbook.cli.doctor import doctor
from stressbook.cli.run import run
from stressbook.cli.size_cap import size_cap
from stressbook.cli.sweep import status, sweep
from stressbook.cli.versus import versus
from stressbook.errors import StressbookError

__all__ = ["app", "main"]


def _print_version(is_asked: bool) -> None:
    if is_asked:
        from stressbook import __version__

        sys.stdout.write(f"{__version__}\n")
        raise typer.Exit


app = typer.Typer(
    name="stressbook",
    help="Stress laboratory for a perpetuals-and-spot venue under portfolio margin.",
    epilog="Exit codes: 0 done, 1 a check failed, 2 wrong input, 3 some runs failed, 130 stopped.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def _root(
    _: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print and stop."),
    ] = False,
) -> None:
    pass


app.command()(demo)
app.command("list")(list_scenarios)
for _command in (
    *(show, schema, plan, run, versus, sweep, status, size_cap, account),
    *(conform, replay, report, calibrate, doctor),
):
    app.command()(_command)


def main() -> None:
    """Run the command line, and end the process with its exit code.

    0 done, 1 a check failed, 2 wrong input, 3 some runs failed, 130 stopped.
    """
    try:
        app(prog_name="stressbook")
    except KeyboardInterrupt:
        sys.exit(130)
    except StressbookError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        # What replaces ValueError and KeyError was caused by what was typed.
        sys.exit(2 if isinstance(error, ValueError | KeyError) else 3)
