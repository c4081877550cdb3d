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

__all__ = ["cache_folder", "folder_of_kernel", "keep_in_folder", "register_plugin_folder"]

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
    return None if config.DISABLE_JIT else _keyed_folder(())


def folder_of_kernel(function: Callable[..., Any]) -> Path | None:
    """Return where a compiled function may be kept, None if its sources are not all in the key.

    Parameters
    ----------
    function : callable
        Plain Python function.

    Returns
    -------
    Path or None
        A writable folder.

    Examples
    --------
    >>> folder_of_kernel(lambda: 0) is None
    True
    """
    if function.__module__ in _SCRIPTS or _closes_over_functions(function):
        return None
    file = _real_path(function.__code__.co_filename)
    plugins = tuple(_plugins)
    if any(_holds_as_read(folder, file) for folder in _package_folders()):
        return _keyed_folder(plugins)
    if any(_holds_as_read(folder, file) for folder in plugins) and not _has_foreign_modules():
        return _keyed_folder(plugins)
    return None


def keep_in_folder(dispatcher: Any, folder: Path) -> None:
    """Let Numba keep the code of a function in a folder, and find it there in later processes.

    Parameters
    ----------
    dispatcher : numba dispatcher
        A function that has not been compiled yet.
    folder : Path
        From `folder_of_kernel`.

    Examples
    --------
    >>> twice = numba.njit(lambda lots: 2 * lots)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     keep_in_folder(twice, Path(folder))
    ...     twice(21)
    42
    """
    outer, config.CACHE_DIR = config.CACHE_DIR, str(folder)
    try:
        dispatcher.enable_caching()
    except RuntimeError:  # Numba found no place at all
        return
    finally:
        # Other people's kernels keep their own place.
        config.CACHE_DIR = outer
    kept = dispatcher._cache
    if not str(kept.cache_path).startswith(str(folder)):
        kept.disable()
        return
    # A full disk is no reason to stop a run.
    kept.save_overload = _unless_disk_fails(kept.save_overload)
    # Numba counts its files. Two processes that compile one kernel for different arguments at
    # once would choose one name, and a third could load the code of the other.
    stem = kept._cache_file._index_name.removesuffix(".nbi")
    kept._cache_file._data_name = lambda _: f"{stem}.{uuid4().hex[:16]}.nbc"


def _unless_disk_fails(save: Callable[..., None]) -> Callable[..., None]:
    def saved(*arguments: Any) -> None:
        with suppress(OSError):
            save(*arguments)

    return saved


_plugins: list[SourceFolder] = []


def _closes_over_functions(function: Callable[..., Any]) -> bool:
    """Tell whether code from anywhere can reach a kernel through a factory's arguments."""
    return any(callable(cell.cell_contents) for cell in function.__closure__ or ())


def _holds_as_read(folder: SourceFolder, file: str) -> bool:
    with suppress(OSError):
        return folder.stamps.get(file) == _stamp(os.stat(file))  # noqa: PTH116 - hot at import
    return False


def _is_imported_from(folder: str) -> bool:
    return any(file.startswith(folder + os.sep) for file in _imported_files())


def _has_foreign_modules() -> bool:
    """Tell whether a plugin may use sources that are in no key.

    Where an imported constant comes from cannot be seen in a kernel, so any module outside the
    interpreter, its installed packages, this package and registered plugins counts.
    """
    known = (*_installed_paths(), *(folder.path for folder in _plugins))
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
    market = Path(__file__).resolve().parent
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
def _keyed_folder(plugins: tuple[SourceFolder, ...]) -> Path | None:
    key = hashlib.blake2b(_environment().encode(), digest_size=16)
    for folder in (*_package_folders(), *plugins):
        key.update(folder.digest)
    for root in _roots():
        folder_path = root / key.hexdigest()
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
