"""The files of the page: the studio's own, and the parts of the demo page that run a model in the browser."""

import functools
from importlib import resources
from importlib.resources.abc import Traversable

from model_maker.demo import static_site

_PAGE = resources.files("model_maker.studio") / "page"
_SHOWN = (".html", ".css", ".js", ".svg")
# Modules of the demo page that stand on its own elements.
_DEMO_ALONE = ("app.js", "view.js", "answers.js", "beside.js", "threshold.js")


@functools.cache
def addresses() -> dict[str, Traversable]:
    """Returns the files by the address below the studio's own."""
    own = {entry.name: entry for entry in _PAGE.iterdir() if entry.name.endswith(_SHOWN)}
    demo = {
        f"demo/{entry.name}": entry
        for entry in static_site.PAGE.iterdir()
        if entry.name.endswith((".js", ".css")) and entry.name not in _DEMO_ALONE
    }
    runtime = {
        f"demo/{name}": static_site.PAGE / name for name in static_site.RUNTIME if name.endswith((".js", ".wasm"))
    }
    return own | demo | (runtime if static_site.has_runtime() else {})
