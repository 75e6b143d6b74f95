"""What tests need of the extras: marks, by which the hook in conftest.py skips, and imports for whole modules.

A test of one extra is marked with its name, as `@pytest.mark.tensorflow`; so `pytest -m tensorflow` runs those alone.
"""

import importlib

import pytest

from model_maker.system import extras


def marks(*modules):
    """Returns the marks of what needs these packages, by the names under which they are imported."""
    named = {}
    for module in modules:
        extra = next(extra for extra, brought in extras.EXTRAS.items() if module in brought)
        named.setdefault(extra, []).append(module)
    return [getattr(pytest.mark, extra)(*brought) for extra, brought in named.items()]


def load(module):
    """Imports a package for a whole module of tests, which is skipped where that is not installed."""
    if line := extras.lacking(module, what="It"):
        pytest.skip(line, allow_module_level=True)
    return importlib.import_module(module)
