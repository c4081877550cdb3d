"""Own agents and stresses from users' files, made known to scenario files and to workers."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from hashlib import sha256
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Final, NamedTuple
from uuid import uuid4

from stressbook.agents.own_classes import OWN_CLASSES
from stressbook.errors import InvalidInput, StressbookError
from stressbook.experiments.scenario import Scenario
from stressbook.market.compiling.kernel import register_plugin_folder
from stressbook.market.compiling.kernel_cache import folder_digest

__all__ = ["PluginSource", "load_plugin", "load_sources", "plugin_sources", "sources_key"]

_PREFIX: Final = "stressbook_plugin_"
_SCRIPTS: Final = ("__main__", "__mp_main__")


class PluginSource(NamedTuple):
    """Where own classes come from."""

    module: str
    path: Path | None  # None for what was typed into an interpreter


def load_plugin(path: str | Path) -> ModuleType:
    """Import a file, whose subclasses of `Account` and `Stress` then have names in TOML.

    Parameters
    ----------
    path : str or Path
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
    path = Path(path).resolve()
    if not path.is_file() or path.suffix != ".py":
        raise InvalidInput(
            "is no Python file", name="plugin", value=str(path), allowed="a path that ends .py"
        )
    name = f"{_PREFIX}{path.stem}"
    known = sys.modules.get(name)
    if known is not None and known.__file__ == str(path):
        return known
    return _import_file(name, path)


def plugin_sources(scenario: Scenario) -> tuple[PluginSource, ...]:
    """Return the files that the own agents and stresses of a scenario come from.

    Parameters
    ----------
    scenario : Scenario
        Its own classes are imported already.

    Returns
    -------
    tuple of PluginSource
        Each module once, in the order in which the scenario names its classes.
    """
    classes = [OWN_CLASSES[name].agent for name in scenario.agents if name in OWN_CLASSES]
    classes += [type(stress) for stress in scenario.stresses]
    modules = dict.fromkeys(cls.__module__ for cls in classes)
    return tuple(
        PluginSource(name, _file_of(name)) for name in modules if not name.startswith("stressbook.")
    )


def sources_key(sources: Iterable[PluginSource]) -> bytes:
    """Return a digest of own classes and of what they may import: another one after any edit.

    Parameters
    ----------
    sources : iterable of PluginSource
        From `plugin_sources`.

    Returns
    -------
    bytes
        Of all Python files in the folder of each; of a folder with hundreds of them, of the file
        alone. Classes that no file holds have a new one at each call.
    """
    digest = sha256()
    for source in sources:
        if source.path is None:
            digest.update(uuid4().bytes)
        else:
            digest.update(folder_digest(source.path.parent) or source.path.read_bytes())
    return digest.digest()


def load_sources(sources: Iterable[PluginSource]) -> None:
    """Import the modules of own classes in another process, under their names there.

    Parameters
    ----------
    sources : iterable of PluginSource
        From `plugin_sources`. A script is imported by the process pool itself.
    """
    for source in sources:
        if source.module in sys.modules or source.module in _SCRIPTS or source.path is None:
            continue
        if source.module.startswith(_PREFIX) or not _is_importable(source.module):
            _import_file(source.module, source.path)
        else:
            __import__(source.module)


def _file_of(name: str) -> Path | None:
    file = getattr(sys.modules.get(name), "__file__", None)
    path = Path(file).resolve() if isinstance(file, str) else None
    return path if path is not None and path.is_file() else None  # "<stdin>" is none


def _is_importable(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _import_file(name: str, path: Path) -> ModuleType:
    register_plugin_folder(path)
    spec = spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    # Dataclasses and pickle look a module up while it runs.
    module = sys.modules[name] = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        if isinstance(error, StressbookError):
            raise
        raise InvalidInput(
            f"does not run: {type(error).__name__}: {error}",
            name="plugin",
            value=str(path),
            allowed="a file that Python can import",
            hint="a plugin is one file, since a run keeps a copy of it: put into it what it needs"
            if isinstance(error, ModuleNotFoundError)
            else "",
        ) from error
    return module
