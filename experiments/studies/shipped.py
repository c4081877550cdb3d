"""The studies that ship: their names, and the file that a name or a path stands for."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from stressbook.errors import UnknownName, nearest_name
from stressbook.experiments.scenario_files.file import catalogue_names

__all__ = ["cap_study_file", "cap_study_names", "study_file", "study_names"]

_FOLDER: Final = Path(__file__).parent
_SWEEP: Final = ".toml"
_CAP: Final = ".cap.toml"


def study_names() -> list[str]:
    """Return the names of the studies that ship; those that size a cap are of another kind.

    Examples
    --------
    >>> "caps-and-ltv-small" in study_names()
    True
    """
    names = (path.name for path in _FOLDER.glob(f"*{_SWEEP}") if not path.name.endswith(_CAP))
    return sorted(name.removesuffix(_SWEEP) for name in names)


def cap_study_names() -> list[str]:
    """Return the names of the cap studies that ship.

    Examples
    --------
    >>> "usdc-borrow-cap" in cap_study_names()
    True
    """
    return sorted(path.name.removesuffix(_CAP) for path in _FOLDER.glob(f"*{_CAP}"))


def study_file(name_or_path: str | Path) -> Path:
    """Return the file of a study of many runs.

    Parameters
    ----------
    name_or_path : str or Path
        A name of `study_names`, or a path that ends in ".toml".

    Raises
    ------
    UnknownName
        If it is a name, and no study of it ships.

    Examples
    --------
    >>> study_file("caps-and-ltv-small").name, study_file("mine.toml").name
    ('caps-and-ltv-small.toml', 'mine.toml')
    """
    return _file("study", str(name_or_path), study_names(), _SWEEP)


def cap_study_file(name_or_path: str | Path) -> Path:
    """Return the file of a cap study.

    Parameters
    ----------
    name_or_path : str or Path
        A name of `cap_study_names`, or a path that ends in ".toml".

    Raises
    ------
    UnknownName
        If it is a name, and no study of it ships.

    Examples
    --------
    >>> cap_study_file("usdc-borrow-cap").name
    'usdc-borrow-cap.cap.toml'
    """
    return _file("cap study", str(name_or_path), cap_study_names(), _CAP)


def _file(kind: str, text: str, names: list[str], suffix: str) -> Path:
    if text.endswith(_SWEEP):
        return Path(text)
    if text in names:
        return _FOLDER / f"{text}{suffix}"
    hint = "" if nearest_name(text, names) else "or a path to a .toml"
    if text in cap_study_names():
        hint = f"it sizes a cap: stressbook size-cap {text}"
    elif text in study_names():
        hint = f"it is of many runs: stressbook sweep {text}"
    elif text in catalogue_names():
        hint = f"it is a scenario: stressbook run {text}"
    raise UnknownName(kind, text, known=names, hint=hint)
