"""Where compiled kernels are kept, and when they are too old to be used.

Numba's own cache looks at the file of the decorated function only: editing a helper, or a constant,
in another file would silently run the old one. So the folder of the cache is named by a digest of
every source that a kernel can reach, of Numba's flags, of versions and of the processor. A kernel
whose sources are not all in that digest is compiled afresh in each process.
"""

import hashlib
import os
import re
import shutil
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple
from uuid import uuid4

import llvmlite
import llvmlite.binding as llvm
import numba
import numpy as np
from numba import config

__all__ = [
    "cache_folder",
    "folder_digest",
    "keep_on_disk",
    "register_plugin_folder",
    "sources_digest",
]

# Settings of Numba that never change the code of a kernel.
_HARMLESS_FLAG: Final = re.compile(r"CACHE|THREAD|COLOR|^CUDA|^DUMP|^HTML$|^DISABLE_JIT$")
_KEY_NAME: Final = re.compile(r"[0-9a-f]{32}")
_KEYS_KEPT: Final = 4
_PRUNE_AGE_S: Final = 600.0  # in a younger folder a running process may find its next kernel
_PLUGIN_MAX_FILES: Final = 500  # beyond it a folder is somebody's home, not a plugin
_SCRIPTS: Final = ("__main__", "__mp_main__")  # nobody imports from them


class SourceFolder(NamedTuple):
    """Sources of one folder as they were when they were read."""

    path: str
    stamps: dict[str, tuple[int, int]]  # file: modification time in ns, size
    digest: bytes


def register_plugin_folder(path: str | os.PathLike[str]) -> bool:
    """Let kernels of own rules be cached, keyed by all sources of their folder.

    To be called before a module of the folder is imported.

    Parameters
    ----------
    path : path
        The folder, or a file in it.

    Returns
    -------
    bool
        Whether its kernels can be cached. Not if the folder is too large to be a plugin, cannot
        be read or is imported from already: then they are compiled in each process.

    Examples
    --------
    >>> register_plugin_folder("no/such/folder")
    False
    """
    folder = Path(path).resolve()
    folder = folder if folder.is_dir() else folder.parent
    if any(folder == Path(known.path) for known in _plugins):
        return True
    if config.DISABLE_JIT or not folder.is_dir() or _is_imported_from(str(folder)):
        return False
    read = _read_folder(folder, max_files=_PLUGIN_MAX_FILES)
    if read is None:
        return False
    _plugins.append(read)
    return True


def cache_folder() -> Path | None:
    """Return the folder of today's compiled package kernels, None if nothing can be cached.

    Reads the sources when first called, so that has to be before they are imported.

    Examples
    --------
    >>> folder = cache_folder()
    >>> folder is None or folder.is_dir()
    True
    """
    return None if config.DISABLE_JIT else _keyed_folder(b"")


def sources_digest() -> str:
    """Return a digest of the sources of market, agents and experiments, as they were first read.

    Two runs of one scenario and seed can differ only if these digests do.

    Examples
    --------
    >>> len(sources_digest())
    32
    """
    joined = b"".join(folder.digest for folder in _package_folders())
    return hashlib.blake2b(joined, digest_size=16).hexdigest()


def folder_digest(path: Path) -> bytes | None:
    """Return a digest of all Python sources below a folder of own rules, as they are now.

    Parameters
    ----------
    path : Path
        A folder.

    Returns
    -------
    bytes or None
        None if it is too large to be one of plugins, or cannot be read.

    Examples
    --------
    >>> folder_digest(Path("no/such/folder")) is None
    True
    """
    read = _read_folder(path, max_files=_PLUGIN_MAX_FILES)
    return None if read is None else read.digest


def keep_on_disk(dispatcher: Any) -> bool:
    """Let Numba keep what it compiles of a function, and find it in later processes.

    Parameters
    ----------
    dispatcher : numba dispatcher
        A function that has not been compiled yet.

    Returns
    -------
    bool
        Whether it does: not if sources that the function can reach may not be in the key.

    Examples
    --------
    >>> keep_on_disk(numba.njit(lambda lots: 2 * lots))
    False
    """
    plugins = tuple(_plugins)
    if not _has_keyed_sources(dispatcher.py_func):
        return False
    folder = _keyed_folder(b"".join(plugin.digest for plugin in plugins))
    if folder is None:
        return False
    # Numba's index knows the function, not how it was to be compiled.
    options = repr(sorted(dispatcher.targetoptions.items()))
    folder /= hashlib.blake2b(options.encode(), digest_size=4).hexdigest()
    outer, config.CACHE_DIR = config.CACHE_DIR, str(folder)
    try:
        dispatcher.enable_caching()
    except RuntimeError:  # Numba found no place at all
        return False
    finally:
        # Other people's kernels keep their own place.
        config.CACHE_DIR = outer
    if not str(dispatcher.stats.cache_path).startswith(str(folder)):
        dispatcher._cache.disable()
        return False
    _harden(dispatcher._cache, (*_package_folders(), *plugins))
    return True


def _harden(kept: Any, sources: tuple[SourceFolder, ...]) -> None:
    """Guard against edits while a process runs, full disks and processes that save at once."""
    load, save = kept.load_overload, kept.save_overload
    files = kept._cache_file
    stem = files._index_name.removesuffix(".nbi")

    def load_unless_changed(signature: Any, target: Any) -> Any:
        return load(signature, target) if _are_as_read(sources) else None

    def save_unless_changed(signature: Any, compiled: Any) -> None:
        if _are_as_read(sources):
            with suppress(OSError):
                save(signature, compiled)

    kept.load_overload, kept.save_overload = load_unless_changed, save_unless_changed
    # Numba counts its files: two processes that compile a kernel for different arguments at once
    # would choose one name, and a third could load the code of the other.
    files._data_name = lambda _: f"{stem}.{uuid4().hex[:16]}.nbc"


_plugins: list[SourceFolder] = []


def _has_keyed_sources(function: Callable[..., Any]) -> bool:
    # What a factory closes over may come from anywhere.
    closes_over_code = any(callable(cell.cell_contents) for cell in function.__closure__ or ())
    if function.__module__ in _SCRIPTS or closes_over_code:
        return False
    file = _real_path(function.__code__.co_filename)
    if any(file in folder.stamps for folder in _package_folders()):
        return True
    return any(file in folder.stamps for folder in _plugins) and not _has_foreign_modules()


def _are_as_read(sources: tuple[SourceFolder, ...]) -> bool:
    """Tell whether no source has changed since the key was made of it."""
    try:
        return all(
            _stamp(os.stat(file)) == stamp  # noqa: PTH116 - a hundred files per kernel
            for folder in sources
            for file, stamp in folder.stamps.items()
        )
    except OSError:
        return False


def _is_imported_from(folder: str) -> bool:
    return any(file.startswith(folder + os.sep) for file in _imported_files())


def _has_foreign_modules() -> bool:
    """Tell whether a plugin may use sources that are in no key.

    Where an imported constant comes from cannot be seen in a kernel, so any module outside the
    interpreter, its installed packages, this package and registered plugins counts.
    """
    known = (*_installed_paths(), *(folder.path + os.sep for folder in _plugins))
    return not all(file.startswith(known) for file in _imported_files())


def _imported_files() -> Iterator[str]:
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and file.endswith(".py") and name not in _SCRIPTS:
            yield _real_path(file)


@cache
def _installed_paths() -> tuple[str, ...]:
    interpreter = (sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib"))
    own = (folder.path for folder in _package_folders())
    front_door = Path(sys.modules["stressbook"].__file__ or "").parent
    paths = (*interpreter, sysconfig.get_path("platlib"), *own, str(front_door))
    return tuple(_real_path(path) + os.sep for path in paths)


@cache
def _real_path(file: str) -> str:
    return os.path.realpath(file)


@cache
def _package_folders() -> tuple[SourceFolder, ...]:
    """Read the packages that hold kernels; in a checkout and in a wheel they are neighbours."""
    market = Path(__file__).resolve().parents[1]
    folders = (market, market.parent / "agents", market.parent / "experiments")
    return tuple(read for path in folders if (read := _read_folder(path)) is not None)


def _read_folder(path: Path, *, max_files: int = 1_000_000) -> SourceFolder | None:
    digest = hashlib.blake2b(digest_size=16)
    stamps: dict[str, tuple[int, int]] = {}
    try:
        for count, file in enumerate(_python_files(str(path))):
            if count >= max_files:
                return None
            with open(file, "rb") as source:  # noqa: PTH123 - half the time of Path.open
                stamps[_real_path(file)] = _stamp(os.fstat(source.fileno()))
                content = source.read()
            name = os.path.relpath(file, path).replace(os.sep, "/")
            digest.update(f"{name}\0{len(content)}\0".encode() + content)
    except OSError:
        return None
    return SourceFolder(str(path), stamps, digest.digest())


def _python_files(folder: str) -> Iterator[str]:
    """Yield the Python files below a folder, in an order that does not depend on the disk."""
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        if entry.name.startswith(".") or entry.name == "__pycache__":
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _python_files(entry.path)
        elif entry.name.endswith(".py"):
            yield entry.path


def _stamp(status: os.stat_result) -> tuple[int, int]:
    return status.st_mtime_ns, status.st_size


@cache
def _environment() -> str:
    """Describe everything beside the sources that changes compiled code."""
    flags = {
        name: value
        for name, value in vars(config).items()
        if name.isupper()
        and isinstance(value, int | float | str | None)
        and not _HARMLESS_FLAG.search(name)
    }
    versions = (numba.__version__, llvmlite.__version__, np.__version__, sys.version)
    processor = (llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten())
    return repr((sorted(flags.items()), versions, processor))


@cache
def _keyed_folder(plugin_digests: bytes) -> Path | None:
    package_digests = b"".join(folder.digest for folder in _package_folders())
    content = _environment().encode() + package_digests + plugin_digests
    key = hashlib.blake2b(content, digest_size=16).hexdigest()
    for root in _roots():
        folder_path = root / key
        if _made_writable(folder_path):
            _prune(root, keep=folder_path)
            return folder_path
    return None


def _roots() -> Iterator[Path]:
    """Yield where keyed folders may lie, the preferred place first."""
    own = os.environ.get("STRESSBOOK_CACHE_DIR")
    with suppress(RuntimeError):  # no home
        yield Path(own).expanduser() if own else _user_cache() / "stressbook"
    with suppress(OSError):  # no temporary folder
        user = os.getuid() if hasattr(os, "getuid") else 0
        root = Path(tempfile.gettempdir()) / f"stressbook-{user}"
        root.mkdir(mode=0o700, exist_ok=True)
        # Anyone may write there: a folder that somebody else made could plant code.
        if root.stat().st_uid == user:
            yield root


def _user_cache() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def _made_writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        tempfile.TemporaryFile(dir=folder).close()
        os.utime(folder)
    except OSError:
        return False
    return True


def _prune(root: Path, *, keep: Path) -> None:
    """Delete the folders of former keys, but the newest."""
    with suppress(OSError):
        former = [path for path in root.iterdir() if _KEY_NAME.fullmatch(path.name)]
        former.sort(key=lambda path: path.stat().st_mtime, reverse=True)
        for path in former[_KEYS_KEPT:]:
            if path != keep and time.time() - path.stat().st_mtime > _PRUNE_AGE_S:
                shutil.rmtree(path, ignore_errors=True)
