"""Spares processes that tests start what Keras imports only because it is there; see `lean_keras` in conftest.py.

For wrappers, plots and tables that nothing here uses, Keras imports scikit-learn, which tests compare with, pandas,
which comes with Ray, and matplotlib: a third of the time that TensorFlow takes to start. It does without where they are
missing, as in most environments with the extra `tensorflow`. Whoever else imports them in the same process gets them.
"""

import sys

SPARED = {"sklearn", "pandas", "matplotlib"}


class Spared:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in SPARED and "keras" in sys.modules and _importer().startswith("keras."):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def _importer():
    import traceback

    names = (frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_stack(None))
    return next((name for name in names if not name.startswith(("importlib.", "traceback", __name__))), "")


sys.meta_path.insert(0, Spared())
