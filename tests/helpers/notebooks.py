"""Runs the notebooks in `colab/` from top to bottom, and keeps their outputs in them: `make notebooks`.

notebooks.py [NOTEBOOK ...]
"""

import os
import sys
import tempfile
from pathlib import Path

import nbclient
import nbformat
from checkout import ROOT

from model_maker import backbones
from model_maker.backbones import embedder

NOTEBOOKS = sorted((ROOT / "colab").glob("*.ipynb"))
# Far more than a cell takes, on a busy machine too.
CELL_SECONDS = 300
_CHECK = "\nassert _exit_code == 0"


def execute(path, *, temporary=None):
    """Returns the notebook with the outputs of a run in a fresh kernel; raises nbclient's error where a cell does.

    Cells find this checkout and the commands of this interpreter; `temporary` is where they make folders.
    """
    notebook = nbformat.read(path, as_version=4)
    client = nbclient.NotebookClient(
        notebook,
        kernel_name="python3",
        timeout=CELL_SECONDS,
        record_timing=False,
        coalesce_streams=True,
        extra_arguments=["--log-level=ERROR"],  # it would warn of ports, which are this machine's own
        resources={"metadata": {"path": str(path.parent)}},
    )
    env = os.environ | {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
    }
    if temporary:
        env["TMPDIR"] = str(temporary)
    commands = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.startswith("!")]
    for cell in commands:  # a command that fails is no error to the kernel
        cell.source += _CHECK
    client.execute(env=env)
    for cell in commands:
        cell.source = cell.source.removesuffix(_CHECK)
        for entry in cell.outputs:  # they print to a terminal of their own
            entry.text = entry.text.replace("\r\n", "\n")
    notebook.metadata.pop("language_info", None)  # it names the patch version of Python
    return notebook


def main(paths):
    # A first use is told with a note that belongs to the machine and not into the outputs.
    embedder.embedder(backbones.get(backbones.DEFAULT))
    for path in paths or NOTEBOOKS:
        print(f"{path.name} ...")
        with tempfile.TemporaryDirectory() as folder:
            notebook = execute(path, temporary=folder)
        aside = path.with_suffix(".new")
        nbformat.write(notebook, aside)
        aside.replace(path)


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]])
