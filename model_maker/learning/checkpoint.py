"""Checkpoints of fine-tuning: the complete state for the next epoch, written atomically."""

import hashlib
import io
import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from model_maker.errors import DataError
from model_maker.system import files

Array = np.ndarray


@dataclass
class Checkpoint:
    """The checkpoint file of one fine-tuning.

    Attributes:
      subject: everything that the result depends on, in plain JSON types: options, photos, versions.
    """

    path: Path
    subject: dict[str, Any]
    _facts: dict[str, Any] = field(default_factory=dict)
    _arrays: dict[str, Array] = field(default_factory=dict)

    def save(self, facts: dict[str, Any], arrays: dict[str, Array]) -> None:
        """Replaces the content of the file: facts in plain JSON types, and arrays by name.

        Raises:
          OutputError: it cannot be written.
        """
        packed = io.BytesIO()
        head = json.dumps({"subject": self.subject, "facts": facts}).encode()
        named = {f"array/{name}": values for name, values in arrays.items()}
        np.savez(packed, head=np.frombuffer(head, np.uint8), **named)
        files.write(self.path, packed.getvalue())

    def load(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Returns the saved facts and arrays; both empty without a checkpoint."""
        return self._facts, self._arrays

    def remove(self) -> None:
        """Removes the checkpoint after the work is done."""
        self.path.unlink(missing_ok=True)


def path_for(output: Path) -> Path:
    """Returns the path of the checkpoint of an output folder, in the cache, because outputs are written atomically."""
    name = hashlib.sha256(str(output.resolve()).encode()).hexdigest()[:24]
    return files.cache_directory() / "checkpoints" / f"{name}.npz"


def open_checkpoint(output: Path, subject: dict[str, Any], *, resume: bool) -> Checkpoint:
    """Finds the checkpoint of an output folder. Without `resume` an unfinished run is restarted.

    Raises:
      DataError: `resume` without a checkpoint, or the checkpoint belongs to a different run.
    """
    found = Checkpoint(path_for(output), subject)
    if not resume:
        return found
    if not found.path.is_file():
        raise DataError(f"There is no unfinished fine-tuning of {output} to resume. Leave `resume=True` out.")
    stored, found._facts, found._arrays = _read(found.path)
    if differences := _differences(stored, subject):
        raise DataError(
            f"The unfinished fine-tuning of {output} was another one: {'; '.join(differences)}. "
            "Pass the same options and photos, or leave `resume=True` out to start anew."
        )
    return found


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Any], dict[str, Array]]:
    try:
        with np.load(path, allow_pickle=False) as content:
            head = json.loads(content["head"].tobytes())
            arrays = {name.removeprefix("array/"): content[name] for name in content.files if name != "head"}
        return head["subject"], head["facts"], arrays
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(
            f"The checkpoint {path} is damaged ({error}). Leave `resume=True` out to start anew."
        ) from error


def _differences(stored: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    names = sorted({*stored, *wanted})
    return [
        f"{name} was {stored.get(name)}, is {wanted.get(name)}"
        for name in names
        if stored.get(name) != wanted.get(name)
    ]
