"""One self-contained HTML file: template, style and figures in, the same bytes each time."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from stressbook.experiments.store import write_whole

__all__ = ["embedded_json", "render", "write_page"]


def _source(name: str) -> str:
    return (files("stressbook.report") / "templates" / name).read_text(encoding="utf-8")


def render(template: str, context: dict[str, Any]) -> str:
    """Return a page.

    Parameters
    ----------
    template : str
        File name in `templates`.
    context : dict
        What it names; a name that it lacks is an error. Texts are escaped, `Markup` is not.

    Returns
    -------
    str
    """
    environment = Environment(
        loader=FunctionLoader(_source),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    style = Markup(_source("style.css"))
    return environment.get_template(template).render(style=style, **context)


def embedded_json(content: Any) -> Markup:
    """Return JSON that may stand inside a script element."""
    text = json.dumps(content, indent=1, allow_nan=False, sort_keys=True)
    return Markup(text.replace("<", "\\u003c"))


def write_page(path: Path, html: str) -> Path:
    """Write a page whole, into a folder that is made if it is missing."""
    write_whole(path, html.encode())
    return path
