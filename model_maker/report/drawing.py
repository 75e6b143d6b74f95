"""Figures as PNG and SVG, byte-identical for the same data.

matplotlib keeps its settings in global variables, which a `matplotlibrc`, an environment variable or the user's own
plots change. So it draws in a child process with fixed settings; this process never imports it.
"""

from __future__ import annotations

import base64
import contextlib
import gc
import io
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_maker.errors import OutputError
from model_maker.report import figures
from model_maker.system import files, limited_process

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DPI, _LONGEST = 144, 4000  # of a PNG; pixels of its longer side at most
_PAUSE_S, _MOST_PAUSE_S = 0.01, 0.2  # between looks for the request, which fine-tuning delays by hours
_LIMIT_S = 300  # of CPU: the first run makes matplotlib's list of fonts


@dataclass(frozen=True)
class Wanted:
    """A figure to draw.

    Attributes:
      kind: a key of `figures.KINDS`.
      data: the arguments of its function, of plain JSON types.
    """

    kind: str
    data: dict[str, Any]


def draw(wanted: Mapping[str, Wanted]) -> dict[str, bytes]:
    """Draws figures.

    Args:
      wanted: file name to figure; the suffix, `.png` or `.svg`, is the format.

    Returns:
      File name to content.

    Raises:
      OutputError: matplotlib failed.
    """
    if not wanted:
        return {}
    with Drawing() as drawing:
        drawing.begin(wanted)
        return drawing.result()


class Drawing:
    """Draws figures in the background. The child process starts at once, because it takes half a second to be ready.

    `close`, or leaving the context, ends it.
    """

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self._file = self._stack.enter_context(files.temporary_directory()) / "wanted.json"
        self._answer = self._stack.enter_context(
            limited_process.started(__name__, str(self._file), what="matplotlib", error=OutputError)
        )

    def __enter__(self) -> Drawing:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def begin(self, wanted: Mapping[str, Wanted]) -> None:
        """Starts drawing figures, see `draw`; does not wait for them."""
        jobs = {name: [figure.kind, figure.data] for name, figure in wanted.items()}
        aside = self._file.with_suffix(".new")
        aside.write_text(json.dumps(jobs), encoding="ascii", newline="\n")
        aside.replace(self._file)

    def result(self) -> dict[str, bytes]:
        """Waits for the figures, see `draw`."""
        return {name: base64.b64decode(content) for name, content in json.loads(self._answer()).items()}

    def close(self) -> None:
        """Ends the process and removes its input."""
        self._stack.close()


def _work(file: str) -> bytes:
    """Runs in the child: imports, waits for the request, draws."""
    gc.disable()  # the process ends before it would matter
    os.environ.pop("MPLBACKEND", None)
    os.environ["MPLCONFIGDIR"] = str(files.cache_directory() / "matplotlib")
    os.chdir(Path(file).parent)  # away from a matplotlibrc in the current folder
    import matplotlib
    import matplotlib.figure  # with all that a figure needs

    pause = _PAUSE_S
    while not Path(file).exists():  # it appears complete, however late; this process ends with its parent
        time.sleep(pause)
        pause = min(1.01 * pause, _MOST_PAUSE_S)
    limited_process.limit(None, _LIMIT_S)
    jobs = json.loads(Path(file).read_text(encoding="ascii"))
    matplotlib.rcdefaults()
    matplotlib.rcParams.update(figures.STYLE)
    drawn = {}
    for name, (kind, data) in jobs.items():
        # Names of definitions inside an SVG derive from it; a page holds several.
        matplotlib.rcParams["svg.hashsalt"] = name
        drawn[name] = base64.b64encode(_saved(figures.KINDS[kind](**data), Path(name).suffix)).decode()
    return json.dumps(drawn).encode()


def _saved(figure: Figure, suffix: str) -> bytes:
    """Prints a figure; its `savefig` would lay it out twice."""
    file = io.BytesIO()
    if suffix == ".svg":
        from matplotlib.backends.backend_svg import FigureCanvasSVG

        for patch in (figure.patch, *(axes.patch for axes in figure.axes)):
            patch.set(facecolor="none", edgecolor="none")
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        FigureCanvasSVG(figure).print_svg(file, metadata=nothing)
    else:
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        figure.dpi = min(_DPI, _LONGEST / max(figure.get_size_inches()))
        FigureCanvasAgg(figure).print_png(file, metadata={"Software": None})
    return file.getvalue()


if __name__ == "__main__":
    limited_process.answer(_work)
