"""The front door: every public name loads, and tools see what the interpreter sees."""

import ast
from importlib.metadata import version
from pathlib import Path

import pytest

import stressbook
from stressbook import _MODULE_OF


@pytest.mark.parametrize("name", sorted(_MODULE_OF))
def test_public_name_loads_from_its_module(name):
    value = getattr(stressbook, name)
    assert value is getattr(__import__(_MODULE_OF[name], fromlist=[name]), name)


def test_names_for_type_checkers_are_those_of_the_table():
    tree = ast.parse(Path(stressbook.__file__).read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.asname: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == _MODULE_OF


def test_dir_lists_public_names():
    assert set(_MODULE_OF) <= set(dir(stressbook))


def test_version_is_that_of_the_distribution():
    assert stressbook.__version__ == version("stressbook")


def test_unknown_attribute_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'scenarioo'"):
        _ = stressbook.scenarioo
