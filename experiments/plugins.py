"""Own agents and stresses from a user's file, made known to scenario files."""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Final, NamedTuple

from stressbook.errors import InvalidInput
from stressbook.market.kernel import register_plugin_folder

__all__ = ["PluginSource", "load_plugin"]

_PREFIX: Final = "stressbook_plugin_"


class PluginSource(NamedTuple):
    """Where own classes come from."""

    module: str
    path: Path


def load_plugin(path: Path) -> ModuleType:
    """Import a file, whose subclasses of `Account` and `Stress` then have names in TOML.

    Parameters
    ----------
    path : Path
        A Python file. Kernels in it are cached, keyed by the sources of its folder.

    Returns
    -------
    module
        The one of before if the file is imported already.

    Raises
    ------
    InvalidInput
        If there is no such file, or it does not run.
    """
    path = path.resolve()
    if not path.is_file() or path.suffix != ".py":
        raise InvalidInput(
            "is no Python file", name="plugin", value=str(path), allowed="a path that ends .py"
        )
    name = f"{_PREFIX}{path.stem}"
    if name in sys.modules and sys.modules[name].__file__ == str(path):
        return sys.modules[name]
    register_plugin_folder(path)
    return import_file(name, path)


def import_file(name: str, path: Path) -> ModuleType:
    """Import a file under a name."""
    spec = spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        if isinstance(error, InvalidInput):
            raise
        raise InvalidInput(
            f"does not run: {type(error).__name__}: {error}",
            name="plugin",
            value=str(path),
            allowed="a file that Python can import",
        ) from error
    return module
