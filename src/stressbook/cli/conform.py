"""`conform`: golden cases of this venue or of others, held against the rules of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stressbook.cli.options import Json
from stressbook.cli.terminal import result, result_json

__all__ = ["conform"]


def conform(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Golden cases; docs/conform.md.")
    ],
    as_json: Json = False,
) -> None:
    """Check margin, rates and bookings against golden cases; exit with 1 if a number misses."""
    from stressbook.api.conformity import conform_all

    found = conform_all(files)
    if as_json:
        result_json(found.to_dict())
    else:
        result(found.summary())
    if found.failed:
        raise typer.Exit(1)
