"""The studies that ship: their names, and the file that a name or a path stands for."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from stressbook.errors import UnknownName

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
    """Return the file of a study: of one that ships if it has that name, else the path as given.

    Examples
    --------
    >>> study_file("caps-and-ltv-small").name, study_file("mine.toml").name
    ('caps-and-ltv-small.toml', 'mine.toml')
    """
    path = Path(name_or_path)
    shipped = _FOLDER / f"{path}{_SWEEP}"
    return shipped if path.suffix != _SWEEP and shipped.is_file() else path


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
    text = str(name_or_path)
    if text.endswith(_SWEEP):
        return Path(text)
    if text not in cap_study_names():
        raise UnknownName("cap study", text, known=cap_study_names(), hint="or a path to a .toml")
    return _FOLDER / f"{text}{_CAP}"
