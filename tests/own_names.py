"""Own agents and stresses of one test, unknown to all others."""

from contextlib import contextmanager

from stressbook.agents.own_classes import OWN_CLASSES
from stressbook.experiments.stress import REGISTRY


@contextmanager
def own_names_forgotten():
    """Start without own classes, and put back what was known before."""
    tables = (OWN_CLASSES, REGISTRY)
    before = [dict(table) for table in tables]
    OWN_CLASSES.clear()
    for kind in [k for k, cls in REGISTRY.items() if not is_shipped(cls)]:
        del REGISTRY[kind]
    try:
        yield
    finally:
        for table, kept in zip(tables, before, strict=True):
            table.clear()
            table.update(kept)


def is_shipped(cls):
    # Examples in docstrings define classes in the module of their docstring.
    return getattr(__import__(cls.__module__, fromlist=["_"]), cls.__name__, None) is cls
