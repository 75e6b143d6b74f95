"""The notebooks run from top to bottom, offline, and what they keep is what they print."""

import json
import platform
import re
import subprocess
import sys

import nbformat
import notebooks
import pytest

pytestmark = pytest.mark.slow

NAMES = [path.stem for path in notebooks.NOTEBOOKS]
# Pictures included: what a page loads at once, and what a review can show.
MOST_BYTES = 300_000
EACH = pytest.mark.parametrize("name", NAMES)
TUNING = "fine_tune_and_quantize"


def read(name):
    return nbformat.read(notebooks.ROOT / f"colab/{name}.ipynb", as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def texts(cell):
    return [entry.text if "text" in entry else entry.get("data", {}).get("text/plain", "") for entry in cell.outputs]


def words(cell):
    """What a cell prints, without figures and hashes: processors differ in the last bits, and stages tell times."""
    return re.sub(r"\b[0-9a-f]{16}\b|[\d.,]+", "#", " ".join(texts(cell))).split()


def kinds(cell):
    """The media of what a cell shows."""
    return [sorted(entry.get("data", {})) for entry in cell.outputs]


def test_there_are_three():
    assert sorted(NAMES) == ["benchmark_and_ship", TUNING, "quick_start"]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.tensorflow) if name == TUNING else name for name in NAMES]
)
def test_every_cell_runs_and_shows_what_is_kept(name, lite0, tmp_path):
    kept = read(name)
    fresh = notebooks.execute(notebooks.ROOT / f"colab/{name}.ipynb", temporary=tmp_path)
    for old, new in zip(code_cells(kept), code_cells(fresh), strict=True):
        assert old.source == new.source
        if "varies" not in old.metadata.get("tags", ()):
            assert words(old) == words(new), f"`make notebooks` would keep something else of:\n{old.source}"
            assert kinds(old) == kinds(new)


def test_a_command_that_fails_ends_the_run(tmp_path):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("!exit 3")])
    nbformat.write(notebook, tmp_path / "failing.ipynb")
    with pytest.raises(notebooks.nbclient.exceptions.CellExecutionError, match="_exit_code"):
        notebooks.execute(tmp_path / "failing.ipynb")


@EACH
def test_what_is_kept_is_whole_and_names_no_machine(name):
    path = notebooks.ROOT / f"colab/{name}.ipynb"
    assert path.stat().st_size < MOST_BYTES
    cells = code_cells(read(name))
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert not any(entry.output_type == "error" for cell in cells for entry in cell.outputs)
    kept = "\n".join(text for cell in cells for text in texts(cell))
    assert len(kept) > 500
    assert re.findall(r"(?<![\w.%])/\w+/\S*", kept) == []
    assert platform.node() not in kept
    assert "\x1b" not in kept
    media = [kind for cell in cells for entry in cell.outputs for kind in entry.get("data", {})]
    assert any(kind in ("image/png", "image/jpeg") for kind in media)


def test_all_begin_with_the_same_cell():
    assert len({code_cells(read(name))[0].source for name in NAMES}) == 1


# Stands in for pip: notes what it is told, and puts a package of that name where the child looks.
PIP = """
import json, sys
from pathlib import Path
Path("told.json").write_text(json.dumps(sys.argv[1:]))
Path("site/model_maker").mkdir(parents=True)
Path("site/model_maker/__init__.py").write_text("__version__ = 'installed'")
"""
CHILD = """
import json, sys
from pathlib import Path
sys.path.append("site")
try:
    exec(Path("cell.py").read_text())
except Exception as error:
    print(error._render_traceback_())
"""


@pytest.fixture
def first_cell(tmp_path):
    """first_cell(files): runs it where Model Maker cannot be imported; (what it printed, what pip heard)."""

    def run(*files):
        colab = tmp_path / "checkout/colab"
        for folder in ("site", "stub"):
            (colab / folder).mkdir(parents=True)
        (colab / "cell.py").write_text(code_cells(read(NAMES[0]))[0].source)
        (colab / "stub/pip.py").write_text(PIP)
        for file in files:
            (colab / file).parent.mkdir(parents=True, exist_ok=True)
            (colab / file).touch()
        # Isolated and without site-packages, which the pip that it starts is not.
        command = [sys.executable, "-I", "-S", "-c", CHILD]
        env = {"PYTHONPATH": str(colab / "stub")}
        done = subprocess.run(command, cwd=colab, env=env, capture_output=True, text=True, check=True)
        told = colab / "told.json"
        return done.stdout, json.loads(told.read_text()) if told.exists() else None

    return run


@pytest.mark.parametrize(
    ("files", "source"),
    [
        (["../model_maker/version.py"], ".."),
        (["model_maker-0.1.0-py3-none-any.whl"], "model_maker-0.1.0-py3-none-any.whl"),
        (["../model_maker/version.py", "model_maker-0.1.0-py3-none-any.whl"], ".."),
    ],
    ids=["checkout", "wheel", "both"],
)
def test_the_first_cell_installs_what_is_at_hand(first_cell, files, source):
    printed, told = first_cell(*files)
    assert told == ["install", "--quiet", source]
    assert printed == "Model Maker installed\n"


def test_the_first_cell_says_what_to_do_where_nothing_is_at_hand(first_cell):
    printed, told = first_cell("another-1.0-py3-none-any.whl")
    assert told is None
    assert re.fullmatch(r"\['Model Maker is not here\. Upload its wheel, model_maker-\*\.whl, [^\n]*'\]\n", printed)
