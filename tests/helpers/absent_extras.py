"""A Python in which no extra is installed, wherever tests run: its children, too, are told by a finder."""

import json
import os
import subprocess
import sys

from checkout import ROOT

from model_maker.system.extras import EXTRAS

# What the extras bring, and what these bring.
ABSENT = sorted({name for names in EXTRAS.values() for name in names} | {"tf_keras", "torch"})

# Python imports a module of this name when it starts.
_SITE = f"""
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {ABSENT!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
"""
_COMMANDS = """
import contextlib, io, json, sys
from model_maker import cli

ended = []
for words in json.load(sys.stdin):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = cli.main(cli.parse(["model_maker", *words]))
    ended.append([code, out.getvalue(), err.getvalue()])
json.dump(ended, sys.stdout)
"""


class AbsentExtras:
    """Runs Python without extras.

    Args:
      folder: where to put what tells Python so.
    """

    def __init__(self, folder):
        (folder / "sitecustomize.py").write_text(_SITE)
        self._path = os.pathsep.join([str(folder), str(ROOT)])

    def python(self, code, *arguments, cwd, cache, text=""):
        """Returns what a program prints."""
        done = subprocess.run(
            [sys.executable, "-c", code, *map(str, arguments)],
            cwd=cwd,
            env=os.environ | {"PYTHONPATH": self._path, "MODEL_MAKER_CACHE": str(cache)},
            input=text,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def commands(self, commands, *, cwd, cache):
        """Runs commands one after the other in one process; (exit code, stdout, stderr) of each."""
        text = json.dumps([[str(word) for word in words] for words in commands])
        return json.loads(self.python(_COMMANDS, cwd=cwd, cache=cache, text=text))
