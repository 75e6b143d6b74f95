"""Downloaded weights: where they are stored, and where users may put them by hand.

The first use reports what is downloaded from where, and checks the file against its published hash. Every use checks it
against that hash, which is recorded.
"""

import hashlib
import io
import os
import re
import urllib.parse
from dataclasses import dataclass
from pathlib import Path

from model_maker.errors import BackboneError, first_line
from model_maker.progress import SILENT, Progress
from model_maker.system import downloads, files

_HDF5 = b"\x89HDF\r\n\x1a\n"


@dataclass(frozen=True)
class KerasWeights:
    """A file of Keras Applications, in Keras's own cache folder.

    Keras's own loader starts TensorFlow even if there is no network, does not resume, and verifies no sha256.

    Attributes:
      size_bytes: approximate, for messages.
      sha256: of the file. None if it is not published: then the hash of the first download is recorded.
    """

    url: str
    size_bytes: int
    sha256: str | None = None

    @property
    def identity(self) -> str:
        return self.sha256 or self.url

    @property
    def _place(self) -> Path:
        home = os.environ.get("KERAS_HOME") or Path.home() / ".keras"
        return Path(home) / "models" / self.url.rsplit("/", 1)[1]

    @property
    def _record(self) -> Path:
        return _folder() / f"{self._place.name}.sha256"

    def is_here(self) -> bool:
        return self._place.is_file()

    def path(self, *, progress: Progress = SILENT) -> Path:
        if not self._place.is_file():
            url = downloads.address(self.url)
            if not downloads.reachable(url):
                raise _unavailable(url, self.size_bytes, f"{self._place}, or pass `weights=FILE`")
            progress.note(f"Downloading {url} (about {self.size_bytes / 1e6:.0f} MB) to {self._place}.")
            self._record.unlink(missing_ok=True)
            downloads.fetch(url, self._place, sha256=self.sha256, progress=progress.step)
        _verify(self._place, self.sha256, self._record)
        return self._place


@dataclass(frozen=True)
class HubWeights:
    """A file of a repository on the Hugging Face Hub, in the Hub's own cache.

    Attributes:
      repository: "owner/name".
      size_bytes: approximate, for messages.
      sha256: of the file; None to trust the hash that the Hub states.
      alone: whether this is the only file used of the repository; otherwise files put by hand are in a folder named
        after it.
    """

    repository: str
    size_bytes: int
    sha256: str | None = None
    revision: str = "main"
    file: str = "model.safetensors"
    alone: bool = True

    @property
    def identity(self) -> str:
        return self.sha256 or f"{self.repository}@{self.revision}/{self.file}"

    @property
    def _by_hand(self) -> Path:
        name = self.repository.rsplit("/", 1)[1]
        return _folder() / (f"{name}{Path(self.file).suffix}" if self.alone else f"{name}/{self.file}")

    @property
    def _record(self) -> Path:
        return self._by_hand.with_name(f"{self._by_hand.name}.sha256")

    def _in_cache(self) -> Path | None:
        found = _hub().try_to_load_from_cache(self.repository, self.file, revision=self.revision)
        return Path(found) if isinstance(found, str) else None

    def is_here(self) -> bool:
        return self._by_hand.is_file() or self._in_cache() is not None

    def path(self, *, progress: Progress = SILENT) -> Path:
        """Returns the file, put by hand or in the Hub's cache; downloads it if it is missing."""
        if self._by_hand.is_file():
            _verify(self._by_hand, self.sha256, self._record)
            return self._by_hand
        if path := self._in_cache():
            if not self._record.is_file() and path.is_symlink():
                # Someone else downloaded it. The Hub's cache names files by the hash that the Hub stated; what that
                # name leads to may lie in a store with other names.
                _compare(path, Path(os.readlink(path)).name)
        else:
            path = self._download(progress)
        _verify(path, self.sha256, self._record)
        return path

    def _download(self, progress: Progress) -> Path:
        hub = _hub()
        url = hub.hf_hub_url(self.repository, self.file, revision=self.revision)
        if hub.constants.HF_HUB_OFFLINE or not downloads.reachable(url):
            by_hand = f"{self._by_hand}, or pass `weights=FILE`" if self.alone else str(self._by_hand)
            raise _unavailable(url, self.size_bytes, by_hand)
        progress.note(f"Downloading {url} (about {self.size_bytes / 1e6:.0f} MB).")
        try:
            stated = self.sha256 or hub.get_hf_file_metadata(url).etag or ""
            path = Path(
                hub.hf_hub_download(self.repository, self.file, revision=self.revision, tqdm_class=_reporting(progress))
            )
        except Exception as error:  # from httpx, the Hub or the disk; the Hub does not document them
            raise BackboneError(
                f"The download of {url} failed ({first_line(error)}). Try again, or put the file at {self._by_hand}."
            ) from error
        if (found := _hash(path, stated)) != stated:
            path.resolve().unlink()  # or the Hub's library would take it for what was asked for
            raise BackboneError(
                f"What {url} sent is not the published file (hash {found[:16]}..., expected {stated[:16]}...). It was "
                "thrown away; try again, or ask who runs your network."
            )
        files.write(self._record, files.sha256(path).encode())
        return path


def _unavailable(url: str, size_bytes: int, remedy: str) -> downloads.Unavailable:
    name, host = url.rsplit("/", 1)[1], urllib.parse.urlsplit(url).netloc
    size = f"{size_bytes / 1e6:.0f} MB" if size_bytes >= 1e6 else f"{size_bytes / 1e3:.0f} kB"
    return downloads.Unavailable(
        f"The weights {name} are not here, and {host} cannot be reached. Fetch {url} (about {size}) "
        f"where there is a network and put it at {remedy}."
    )


def _folder() -> Path:
    """Folder of files put by hand, and of recorded hashes."""
    return files.cache_directory() / "weights"


def _hash(path: Path, stated: str) -> str:
    """Returns the hash of a file, of the kind that the Hub states: sha256, or git's of a small one; else `stated`."""
    if re.fullmatch("[0-9a-f]{64}", stated):
        return files.sha256(path)
    if re.fullmatch("[0-9a-f]{40}", stated):
        content = path.read_bytes()
        return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
    return stated


def _compare(path: Path, stated: str) -> None:
    if (found := _hash(path, stated)) != stated:
        raise BackboneError(
            f"{path.resolve()} is not the file that it should be (hash {found[:16]}..., expected {stated[:16]}...). "
            "Remove it to have it fetched again."
        )


def _verify(path: Path, expected: str | None, record: Path) -> None:
    """Compares a file with the published hash, or with the one in the record that it had when it was first seen."""
    found, source = files.sha256(path), ""
    if expected is None and record.is_file():
        expected, source = record.read_text(encoding="ascii", errors="replace").strip(), f" by {record}"
    if expected is None:
        if path.suffix == ".h5" and path.read_bytes()[: len(_HDF5)] != _HDF5:
            raise BackboneError(f"{path} is not an HDF5 file, perhaps a web page. Remove it and fetch it again.")
        files.write(record, found.encode())
    elif found != expected:
        raise BackboneError(
            f"{path.resolve()} is not the file that it should be (sha256 {found[:16]}..., expected {expected[:16]}..."
            f"{source}). "
            "Remove it to have it fetched again."
        )


def _hub():
    """Imports huggingface_hub without progress bars, warnings and usage metrics."""
    for name in ("DISABLE_PROGRESS_BARS", "DISABLE_TELEMETRY", "DISABLE_SYMLINKS_WARNING", "DISABLE_UPDATE_CHECK"):
        os.environ.setdefault(f"HF_HUB_{name}", "1")
    import huggingface_hub

    return huggingface_hub


def _reporting(progress: Progress):
    from tqdm import tqdm

    class Reporting(tqdm):
        """Forwards the Hub's progress."""

        def __init__(self, *arguments, **options):
            options.pop("name", None)
            super().__init__(*arguments, **{**options, "file": io.StringIO(), "disable": False})

        def update(self, n: float | None = 1) -> bool | None:
            self.n += n or 0
            progress.step(int(self.n) // 1000, int(self.total or self.n) // 1000)
            return None

    return Reporting
