"""Where a new app of ours may be made, and where a published sample is meant that has not been cloned."""

from pathlib import Path

from model_maker.errors import OutputError

# What `git clone` makes of the published samples: the end of a path, to where it comes from.
_CLONES = {
    ("litert-samples",): "https://github.com/google-ai-edge/litert-samples",
    ("mediapipe-samples",): "https://github.com/google-ai-edge/mediapipe-samples",
    ("examples", "lite"): "https://github.com/tensorflow/examples",
}


def check_new(folder: Path) -> None:
    """A new app is one folder in a folder that is there, and not where a sample's repository would be.

    Raises:
      OutputError: it is not.
    """
    parts = folder.absolute().parts
    for end, address in _CLONES.items():
        if any(parts[start : start + len(end)] == end for start in range(len(parts))):
            raise OutputError(
                f"{folder} holds no app, and means a published sample. Run git clone {address}, and name the folder "
                "in it that holds settings.gradle or the xcodeproj. For a new app of our own, choose another place."
            )
    if not folder.absolute().parent.is_dir():
        raise OutputError(
            f"{folder.parent} does not exist, so {folder} is neither an app that is there nor a place for a new one. "
            "Correct the path, clone the sample that is meant, or make that folder first."
        )
