"""Settings that all tests share."""

import os

import pytest
from hypothesis import settings

# No deadline: a first call compiles. In CI the examples are the same each time.
settings.register_profile("local", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")


@pytest.fixture(params=["kernel", "reference"])
def engine(request):
    """Name of a venue: compiled, and in plain Python."""
    return request.param
