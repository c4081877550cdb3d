"""The one compiler decorator of the project, and the key of its disk cache.

No other file knows Numba's options. A kernel is compiled without reference counts (`_nrt=False`:
four fifths of the time of a book went into them, and allocating becomes a compile error) and with
C's division, so that it has no hidden branch; `NUMBA_DISABLE_JIT=1` gives back plain Python.

Numba's own cache looks at the file of the decorated function only: editing a helper in another
file would silently run the old one. So the cache folder is named by a digest of every source that
a kernel can call, of Numba's flags, of versions and of the processor. Kernels that live elsewhere,
or whose sources changed after they were read, are compiled afresh in each process.
"""

import hashlib
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import llvmlite
import llvmlite.binding as llvm
import numba
import numpy as np
from numba import config, types
from numba.core.cpu import CPUTargetOptions
from numba.extending import intrinsic, overload

__all__ = ["cache_folder", "inline_kernel", "kernel", "register_plugin_folder", "wrapping_mul"]

F = TypeVar("F", bound=Callable[..., Any])

# `_nrt` is not public: without it everything still works, slower.
_OPTIONS: Final[dict[str, Any]] = {"error_model": "numpy"} | (
    {"_nrt": False} if hasattr(CPUTargetOptions, "_nrt") else {}
)
# Settings of Numba that never change the code of a kernel.
_HARMLESS_FLAG: Final = re.compile(r"CACHE|THREAD|COLOR|^CUDA|^DUMP|^HTML$|^DISABLE_JIT$")
_KEY_NAME: Final = re.compile(r"[0-9a-f]{32}")
_KEYS_KEPT: Final = 4
_PRUNE_AGE_S: Final = 3600.0  # a younger folder may belong to a running process
_PLUGIN_MAX_FILES: Final = 500  # beyond it a plugin folder is somebody's home, not a plugin


class _Folder(NamedTuple):
    """Sources of one folder as they were when they were read."""

    path: str
    stamps: dict[str, tuple[int, int]]  # file: modification time in ns, size
    digest: bytes


def kernel(function: F) -> F:
    """Compile a function over plain arrays and numbers; nothing inside may allocate.

    Parameters
    ----------
    function : callable
        Within Numba's subset: explicit loops, int64 and float64, records, no NumPy functions.

    Returns
    -------
    callable
        Of the same signature, compiled at its first call.

    Examples
    --------
    >>> @kernel
    ... def twice(lots: int) -> int:
    ...     return 2 * lots
    >>> twice(21)
    42
    """
    return _compiled(function)


def inline_kernel(function: F) -> F:
    """Compile like `kernel`, and always inline into the compiled caller.

    For inner functions that take the state: a call that is not inlined copies it.

    Parameters
    ----------
    function : callable
        As for `kernel`; short, since its code is repeated in every caller.

    Returns
    -------
    callable
        Of the same signature.

    Examples
    --------
    >>> @inline_kernel
    ... def is_bid(side: int) -> bool:
    ...     return side == 0
    >>> is_bid(0)
    True
    """
    return _compiled(function, forceinline=True)


def wrapping_mul(a: int, b: int) -> int:
    """Return a product of which only the low 64 bits are meant.

    Compiled integer arithmetic is told that it never overflows, and optimised on that promise:
    a product that may pass 2**63 needs this instead of `*`.

    Parameters
    ----------
    a, b : int
        int64, or arrays of it outside kernels.

    Returns
    -------
    int
        Its low 64 bits are those of the product; mask before any other use. As plain Python the
        whole product.

    Examples
    --------
    >>> wrapping_mul(0xFFFFFFFF, 0xFFFFFFFF) >> 32 & 0xFFFFFFFF
    4294967294
    """
    return a * b


@intrinsic  # type: ignore[untyped-decorator,unused-ignore]
def _mul_without_promise(typing_context: Any, a: Any, b: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.mul(*arguments)

    return numba.int64(numba.int64, numba.int64), generate


@overload(wrapping_mul, jit_options=_OPTIONS | {"forceinline": True})  # type: ignore[untyped-decorator,unused-ignore]
def _wrapping_mul_compiled(a: Any, b: Any) -> Callable[[Any, Any], Any]:
    def product(a: Any, b: Any) -> Any:
        return _mul_without_promise(a, b)

    return product


def spliced_kernel(function: F) -> F:
    """Compile like `kernel`, but splice the source into the caller before types are inferred.

    For helpers that return a tuple of records, which a compiled call cannot hand back.

    Parameters
    ----------
    function : callable
        As for `kernel`; a few lines.

    Returns
    -------
    callable
        Of the same signature.

    Examples
    --------
    >>> @spliced_kernel
    ... def pair(lots: int) -> tuple[int, int]:
    ...     return lots, -lots
    >>> pair(3)
    (3, -3)
    """
    return _compiled(function, inline="always")


def register_plugin_folder(path: str | os.PathLike[str]) -> bool:
    """Let kernels of own rules be cached, keyed by all sources of their folder.

    To be called before a module of the folder is imported; later calls only say no.

    Parameters
    ----------
    path : path
        The folder, or a file in it.

    Returns
    -------
    bool
        Whether its kernels will be cached. Not if the folder is too large to be a plugin, cannot
        be read, or is imported from already: then they are compiled in each process.

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

    Examples
    --------
    >>> folder = cache_folder()
    >>> folder is None or folder.is_dir()
    True
    """
    return _keyed_folder(())


_plugins: list[_Folder] = []


def _compiled(function: F, **extra: Any) -> F:
    if config.DISABLE_JIT:
        return function
    folder = _folder_for(function)
    if folder is not None:
        outer, config.CACHE_DIR = config.CACHE_DIR, str(folder)
        try:
            dispatcher: Any = numba.njit(cache=True, **_OPTIONS, **extra)(function)
        finally:
            # Other people's kernels keep their own place.
            config.CACHE_DIR = outer
        if str(dispatcher.stats.cache_path).startswith(str(folder)):
            return _with_plain_arguments(dispatcher)  # type: ignore[no-any-return]
    return _with_plain_arguments(numba.njit(**_OPTIONS, **extra)(function))  # type: ignore[no-any-return]


def _with_plain_arguments(dispatcher: Any) -> Any:
    """Let one compiled copy serve calls with constants and with narrower integers.

    Otherwise Numba compiles a kernel anew for each combination of constants that it is called
    with: twenty calls that differ in a code took 3.2 s in place of 0.13 s.
    """
    resolve = dispatcher.get_call_template

    def resolve_plain(args: Iterable[Any], kws: dict[str, Any]) -> Any:
        return resolve(tuple(map(_plain, args)), {name: _plain(kws[name]) for name in kws})

    dispatcher.get_call_template = resolve_plain
    return dispatcher


def _plain(kind: Any) -> Any:
    if isinstance(kind, types.IntegerLiteral | types.BooleanLiteral):
        kind = types.unliteral(kind)
    return types.int64 if isinstance(kind, types.Integer) and kind.signed else kind


def _folder_for(function: Callable[..., Any]) -> Path | None:
    """Return where a kernel may be cached, None if its sources are not all in the key."""
    file = _real_path(function.__code__.co_filename)
    plugins = tuple(_plugins)
    for folder in (*_package_folders(), *plugins):
        if file in folder.stamps:
            unchanged = folder.stamps[file] == _stamp(os.stat(file))  # noqa: PTH116 - hot at import
            return _keyed_folder(plugins) if unchanged else None
    return None


@cache
def _real_path(file: str) -> str:
    return os.path.realpath(file)


@cache
def _package_folders() -> tuple[_Folder, ...]:
    """Read the packages that hold kernels; in a checkout and in a wheel they are neighbours."""
    market = Path(__file__).resolve().parent
    folders = (market, market.parent / "agents", market.parent / "experiments")
    return tuple(read for path in folders if (read := _read_folder(path)) is not None)


def _read_folder(path: Path, *, max_files: int = 1_000_000) -> _Folder | None:
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
    return _Folder(str(path), stamps, digest.digest())


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


def _is_imported_from(folder: str) -> bool:
    files = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
    return any(_real_path(file).startswith(folder + os.sep) for file in files if file)


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
    return repr((sorted(flags.items()), versions, processor, sorted(_OPTIONS.items())))


@cache
def _keyed_folder(plugins: tuple[_Folder, ...]) -> Path | None:
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
