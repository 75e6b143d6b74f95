"""timm, for the modules that compare networks with it."""

import importlib.machinery
import sys
import types

import pytest


@pytest.fixture(scope="session")
def timm():
    """timm, whose models need nothing of torchvision, though importing it does."""
    for name in ("torchvision", "torchvision.transforms", "torchvision.transforms.functional", "torchvision.datasets",
                 "torchvision.ops", "torchvision.ops.misc", "torchvision.models",
                 "torchvision.models.feature_extraction"):  # fmt: skip
        module = _Anything(name)
        module.__spec__ = importlib.machinery.ModuleSpec(name, None)
        module.__path__ = []
        sys.modules.setdefault(name, module)
    return pytest.importorskip("timm", reason="timm is not installed: make parity")


class _Names(type):
    """The kind of classes in which every name stands for itself, as those of an enumeration."""

    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return name


class _Anything(types.ModuleType):
    """A module in which every name stands for such a class."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return sys.modules.get(f"{self.__name__}.{name}") or _Names(name, (), {})
