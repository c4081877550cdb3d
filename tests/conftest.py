"""Settings that all tests share."""

import os

import pytest
from hypothesis import settings

# No deadline: a first call compiles. In CI the examples are the same each time.
settings.register_profile("local", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")

# The venue takes a minute to compile. Of two workers one begins with a module that compiles it
# all, the other with modules that do without, and finds it on disk when it comes to the rest.
COMPILES_ALL = {"test_venue_twin.py"}
COMPILE_NOTHING = {
    "test_kernel.py",
    "test_kernel_cache.py",
    "test_packages.py",
    "test_pool.py",
}


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    """Put those modules where the shares of the workers begin; in one process leave the order."""
    if not hasattr(config, "workerinput"):
        return
    first = [item for item in items if item.path.name in COMPILES_ALL]
    without = [item for item in items if item.path.name in COMPILE_NOTHING]
    rest = [item for item in items if item.path.name not in COMPILES_ALL | COMPILE_NOTHING]
    share = max(0, len(items) // config.workerinput["workercount"] - len(first))
    items[:] = first + rest[:share] + without + rest[share:]


@pytest.fixture(params=["kernel", "reference"])
def engine(request):
    """Name of a venue: compiled, and in plain Python."""
    return request.param
