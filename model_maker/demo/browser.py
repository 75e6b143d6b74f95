"""A model run in a browser: the page of `demo` in headless Chromium, where that is installed."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
from PIL import Image

from model_maker.demo import static_site
from model_maker.demo.page_server import serving
from model_maker.errors import ModelError
from model_maker.system import files, limited_process

Array = np.ndarray

SCRIPT = resources.files("model_maker.demo") / "run_in_browser.mjs"
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Chromium makes a socket among its temporary files, and on macOS a socket's path has 103 bytes at most, on Linux 107.
_SOCKET, _LONGEST_SOCKET = "org.chromium.Chromium.XXXXXX/SingletonSocket", 103
_START_SECONDS, _PHOTO_SECONDS = 60, 5


@dataclass(frozen=True)
class BrowserRun:
    """What a browser made of photos.

    Attributes:
      heads: float32 [N, C] of each output.
      latency_ms: of each photo, inference alone.
      runtime: versions of LiteRT.js and of the browser.
    """

    heads: tuple[Array, ...]
    latency_ms: tuple[float, ...]
    runtime: str

    @property
    def scores(self) -> Array:
        """Those of the first output, float32 [N, C]."""
        return self.heads[0]


def chromium() -> str | None:
    """Returns the path of Chromium or Chrome, if there is one."""
    found = next((found for name in _BROWSERS if (found := shutil.which(name))), None)
    return found or next((place for place in places() if os.path.isfile(place)), None)


def places() -> list[str]:
    """Where installers put a browser without a word to the PATH."""
    if sys.platform == "darwin":
        return [f"/Applications/{name}.app/Contents/MacOS/{name}" for name in ("Chromium", "Google Chrome")]
    if sys.platform == "win32":
        homes = [
            os.environ[name] for name in ("PROGRAMFILES", "PROGRAMFILES(X86)", "LOCALAPPDATA") if name in os.environ
        ]
        names = ("Chromium", r"Google\Chrome")
        return [rf"{home}\{name}\Application\chrome.exe" for home in homes for name in names]
    return []


def missing() -> str:
    """Returns what `run` lacks here, in words; empty where it has everything."""
    return missing_tools() if static_site.has_runtime() else f"LiteRT.js: {static_site.how_to_get_runtime()}"


def missing_tools() -> str:
    """Returns what it takes to open a page, and is not here, in words; empty where everything is."""
    if shutil.which("node") is None:
        return "node"
    if chromium() is None:
        return "chromium"
    found = ["node", "--print", "require.resolve('playwright-core')"]
    done = subprocess.run(found, cwd=Path(str(SCRIPT)).parent, capture_output=True, check=False)
    return "playwright-core (npm ci)" if done.returncode else ""


def run(
    model: str | os.PathLike[str], photos: Sequence[str | os.PathLike[str] | Array], *, threads: int = 1
) -> BrowserRun:
    """Runs a `.tflite` classifier in LiteRT.js in Chromium, which decodes and resizes photos for itself.

    Args:
      model: a `.tflite`, or a folder that `train` made.
      photos: paths, or arrays uint8 [H, W, 3].

    Raises:
      ModelError: a tool is missing, the model does not run there, or a photo cannot be read there.

    Examples:
      >>> from model_maker.demo import browser
      >>> if not browser.missing():
      ...     print(browser.run("flowers_model", ["rose.jpg"]).scores.argmax(1))
    """
    if lacking := missing():
        raise ModelError(f"No model can be run in a browser here, for that needs {lacking}.")
    with files.temporary_directory() as folder, serving(static_site.site(model)) as server:
        paths = [str(_file(photo, Path(folder) / f"{number}.png")) for number, photo in enumerate(photos)]
        job = {"chromium": chromium(), "url": server.url, "threads": threads, "photos": paths}
        found = _drive(job, seconds=_START_SECONDS + _PHOTO_SECONDS * len(paths), folder=folder)
    heads = tuple(np.array(scores, np.float32) for scores in found["heads"])
    runtime = f"LiteRT.js {static_site.litertjs_version()} in Chromium {found['browser']}"
    return BrowserRun(heads, tuple(found["latency_ms"]), runtime)


def _file(photo: str | os.PathLike[str] | Array, spare: Path) -> Path:
    if not isinstance(photo, np.ndarray):
        return Path(photo).resolve()
    Image.fromarray(photo).save(spare, compress_level=1)
    return spare


def _drive(job: dict, *, seconds: float, folder: Path) -> dict:
    command = ["node", str(SCRIPT)]
    try:
        done = subprocess.run(
            command,
            input=json.dumps(job),
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=seconds,
            check=False,
            env=os.environ | _temporary(folder),
        )
    except subprocess.TimeoutExpired:
        raise ModelError(f"Chromium did not answer within {seconds:.0f} seconds.") from None
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["it says nothing"]
        # Of an error that nobody caught, the last line is node's version.
        telling = (line for line in lines if "FATAL:" in line or "Error: " in line)
        raise ModelError(f"Chromium: {next(telling, lines[-1]).strip()}")
    return json.loads(done.stdout)


def _temporary(folder: Path) -> dict[str, str]:
    """Returns the variables that put what Chromium makes for a moment into a folder, or where its path is shorter."""
    if sys.platform == "win32" or len(os.fsencode(folder / _SOCKET)) <= _LONGEST_SOCKET:
        return limited_process.temporary(folder)
    return limited_process.temporary(Path("/tmp"))
