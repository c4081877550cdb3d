"""Examples in docstrings run."""

import doctest
import importlib
import tomllib
from pathlib import Path

import pytest

from stressbook.agents.own_classes import OWN_CLASSES
from stressbook.experiments.stress import REGISTRY

ROOT = Path(__file__).parents[2]
FOLDER_OF = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"][
    "package-dir"
]


def modules_with_examples():
    for package, folder in sorted(FOLDER_OF.items()):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if ">>> " in path.read_text():
                parts = path.relative_to(ROOT / folder).with_suffix("").parts
                yield ".".join([package, *parts]).removesuffix(".__init__")


@pytest.fixture
def registers_as_they_were():
    """Classes that an example defines are not known to later tests."""
    registers = (OWN_CLASSES, REGISTRY)
    before = [dict(register) for register in registers]
    yield
    for register, known in zip(registers, before, strict=True):
        register.clear()
        register.update(known)


@pytest.mark.parametrize("name", list(modules_with_examples()))
@pytest.mark.usefixtures("registers_as_they_were")
def test_examples_run(name):
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    failed, tried = doctest.testmod(importlib.import_module(name), optionflags=flags)
    assert tried > 0
    assert failed == 0
