"""The command line in a process of its own, as a person starts it."""

import os
import subprocess
import sys


def model_maker(*arguments, cwd, stdin=None, columns="120"):
    return subprocess.run(
        [sys.executable, "-m", "model_maker", *map(str, arguments)],
        cwd=cwd,
        input=stdin,
        capture_output=True,
        env=os.environ | {"COLUMNS": columns},
        check=False,
    )


def said(done):
    return done.stdout.decode(), done.stderr.decode()
