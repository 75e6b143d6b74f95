"""Runs Python as on another system: see `other_system/sitecustomize.py`, which plays it."""

import os
import subprocess
import sys

from checkout import HELPERS, ROOT

# "" is this one, as it is.
SYSTEMS = ("", "win32", "darwin")
PEAK_MB = 300.0


def surroundings(system, **more):
    """Returns the environment of a process on one of SYSTEMS."""
    path = os.pathsep.join(map(str, (HELPERS / "other_system", ROOT, HELPERS)))
    return os.environ | {"PLAYED_SYSTEM": system, "PYTHONPATH": path, "COLUMNS": "120"} | more


def start(system, program, *arguments, **more):
    """Starts a program, given as text, with pipes to it."""
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=surroundings(system, **more),
    )


def run(system, program, *arguments, cwd=None, **more):
    """Runs a program, given as text, to its end, which has to be a good one; returns what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        cwd=cwd,
        env=surroundings(system, **more),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()
