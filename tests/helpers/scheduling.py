"""Which worker of pytest-xdist runs which test."""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling

# Whose tests take long, and share little: each may run anywhere.
SPREAD = ("tests/product/test_docs.py", "tests/product/test_notebooks.py")


class ByModule(LoadScopeScheduling):
    """A module's tests stay together, for they share what they trained; those of SPREAD do not."""

    def _split_scope(self, nodeid: str) -> str:
        return nodeid if _module(nodeid) in SPREAD else _module(nodeid)


def longest_first(items: list) -> None:
    """Sorts the longest tests to the front, so that they do not keep one worker busy while the others are done.

    First those of the whole product, then the modules that have slow tests; of others, many fill what is left.
    """
    slow = {_module(item.nodeid) for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: ("tests/product/" not in item.nodeid, _module(item.nodeid) not in slow))


def _module(nodeid: str) -> str:
    return nodeid.partition("::")[0]
