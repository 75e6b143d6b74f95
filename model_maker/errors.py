"""What can go wrong in ways a user can mend.

Every message says what was received and what to do next; the command line prints it as it stands and exits with 1.
Anything else that escapes is a bug and keeps its traceback.
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
      no_such_folder does not exist. Give a folder that holds one folder of photos for each class.
    """


class DataError(ModelMakerError):
    """Photos, labels or folders that cannot be used."""


class ModelError(ModelMakerError):
    """A model file that is not one, or does not keep its contract."""


class BackboneError(ModelMakerError):
    """A backbone that is unknown, or whose weights are missing or damaged."""


class OutputError(ModelMakerError):
    """A result that cannot be written."""


class ClusterError(ModelMakerError):
    """Machines that cannot be reached, or that would not compute what this one does."""


@contextlib.contextmanager
def about(name: object) -> Iterator[None]:
    """Puts the name of a file before messages that come from where only its bytes were known."""
    try:
        yield
    except ModelMakerError as error:
        if str(name) in str(error):
            raise
        raise type(error)(f"{name}: {error}") from error
