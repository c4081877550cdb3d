"""The command `stressbook`: parses, calls the library, prints; heavy imports wait for a command."""

from __future__ import annotations

import sys

import typer

from stressbook.cli.demo import demo
from stressbook.errors import StressbookError

__all__ = ["app", "main"]

app = typer.Typer(
    name="stressbook",
    help="Stress laboratory for a perpetuals-and-spot venue under portfolio margin.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def _root() -> None:
    pass


app.command()(demo)


def main() -> None:
    """Run the command line, and end the process with its exit code.

    0 done, 1 a budget failed with `--check`, 2 wrong input, 3 some runs failed, 130 stopped.
    """
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except StressbookError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2 if isinstance(error, ValueError | KeyError) else 3)
