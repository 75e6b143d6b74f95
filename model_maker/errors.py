"""Errors that a user can fix.

Every message states what was received and what to do next; the command line prints it and exits with 1. Any other
exception is a bug and keeps its traceback.
"""

import contextlib
from collections.abc import Iterator


class ModelMakerError(Exception):
    """Base of all errors that carry a message for the user.

    Examples:
      >>> import model_maker
      >>> try:
      ...     model_maker.train("no_such_folder")
      ... except model_maker.ModelMakerError as error:
      ...     print(error)
      no_such_folder does not exist. Pass a folder that holds one folder of photos for each class.
    """


class DataError(ModelMakerError):
    """Photos, labels or folders that cannot be used."""


class ModelError(ModelMakerError):
    """An invalid or incompatible model file."""


class BackboneError(ModelMakerError):
    """A backbone that is unknown, or whose weights are missing or damaged."""


class OutputError(ModelMakerError):
    """A result that cannot be written."""


class ClusterError(ModelMakerError):
    """Machines that cannot be reached, or that would compute different results."""


def first_line(error: Exception, most: int = 200) -> str:
    """Returns what an exception of a library says, in one line of so many characters; else its name."""
    text = str(error).strip()
    return text.splitlines()[0][:most] if text else type(error).__name__


@contextlib.contextmanager
def about(name: object) -> Iterator[None]:
    """Prefixes error messages with the name of a file, for code that knows only its content."""
    try:
        yield
    except ModelMakerError as error:
        if str(name) in str(error):
            raise
        raise type(error)(f"{name}: {error}") from error
