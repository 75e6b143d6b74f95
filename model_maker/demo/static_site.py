"""The web demo: one page that runs a `.tflite` in the browser, served from here or written as a static site.

The page (`page/`) is plain HTML, CSS and JavaScript; LiteRT.js runs the model, and what leaves this module are files.
"""

import json
import os
import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from model_maker.demo import companions
from model_maker.errors import ModelError, OutputError, about
from model_maker.inference.classifier import FileClassifier, model_file
from model_maker.output_folder import HEAD, MODEL
from model_maker.system import files
from model_maker.tflite import interpreter, logit_shares

PAGE = resources.files("model_maker.demo") / "page"
INDEX = "index.html"
# The model with the shares of cells as another output, and the number of cells in each direction.
WHY, WHY_FACTS = "why.tflite", "why.json"
# LiteRT.js, as `make runtime` copies it out of the npm packages: with threads, without, and for older processors and
# browsers, Safari among them.
_BUILDS = ("litert_wasm_threaded_internal", "litert_wasm_internal", "litert_wasm_compat_internal")
RUNTIME = (
    "runtime/core.js",
    "runtime/wasm-utils.js",
    "runtime/LICENSE",
    *(f"runtime/{name}.{suffix}" for name in _BUILDS for suffix in ("js", "wasm")),
)
# What several static hosts read the headers of a site from.
_HEADERS_FILE = "_headers"


def site(model: str | os.PathLike[str], more: Mapping[str, bytes] | None = None) -> dict[str, bytes]:
    """Returns the page for a model: path below its address to content.

    Args:
      model: a `.tflite` classifier with labels, or a folder that `train` made.
      more: what the page needs to be taught classes, `classes.splitting.teaching_files`; without it, it cannot. And
        `companions.local` where it is served to this machine alone.

    Raises:
      ModelError: the model cannot be read, is no classifier, or LiteRT.js is not here.
    """
    path = model_file(model)
    content = interpreter.read(path)
    with about(path):
        FileClassifier(content, threads=1)
    if not has_runtime():
        raise ModelError(f"LiteRT.js, which runs models in browsers, is not here: {how_to_get_runtime()}.")
    screen = [entry.name for entry in PAGE.iterdir() if entry.name.endswith((".html", ".css", ".js", ".svg"))]
    return {name: (PAGE / name).read_bytes() for name in (*sorted(screen), *RUNTIME)} | {
        MODEL: content,
        **_explaining(content),
        HEAD: b"null\n",
        **companions.shipped(model),
        **(more or {}),
    }


def _explaining(content: bytes) -> dict[str, bytes]:
    """Returns the file that says where answers come from, and the size of its grid; null where there is none."""
    try:
        made = logit_shares.attach(content)
    except ModelError:
        return {WHY_FACTS: b"null\n"}
    return {WHY: made.content, WHY_FACTS: json.dumps({"side": made.side}).encode() + b"\n"}


def has_runtime() -> bool:
    """Tells whether LiteRT.js is here: a checkout has it after `make runtime`, and what is installed from it then."""
    return all((PAGE / name).is_file() for name in RUNTIME)


def how_to_get_runtime() -> str:
    """Returns what to do about it: a checkout is what runs here, or what this copy was installed from."""
    root = Path(str(PAGE)).parents[2]
    if (root / "package-lock.json").is_file():
        return f"run `make runtime`, which needs npm, in {root}"
    return (
        "this copy was installed from a checkout that had none; run `make runtime`, which needs npm, in the checkout, "
        "and then `pip install .` there again"
    )


def headers() -> dict[str, str]:
    """Returns what is sent with every file: isolation, which threads need, and a policy that admits this page alone."""
    found = re.search(r'Content-Security-Policy" content="([^"]+)"', (PAGE / INDEX).read_text(encoding="utf-8"))
    return {
        "Content-Security-Policy": f"{found[1] if found else ''}; frame-ancestors 'none'",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Embedder-Policy": "require-corp",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }


def write_site(
    model: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    more: Mapping[str, bytes] | None = None,
    overwrite: bool = False,
) -> Path:
    """Writes the page for a model as a static site, for any host and any path on it.

    Where the host does not send `headers()`, the page runs with one thread and says so.

    Args:
      model, more: see `site`.

    Raises:
      ModelError: see `site`.
      OutputError: the folder cannot be made.
    """
    output = Path(output)
    files.check_new(output, overwrite=overwrite, advice="or pass `overwrite=True` to replace it")
    lines = "".join(f"  {name}: {value}\n" for name, value in headers().items())
    content = site(model, more) | {_HEADERS_FILE: f"/*\n{lines}".encode()}
    _check_replaceable(output, content)
    with files.new_directory(output, overwrite=overwrite) as folder:
        for name, data in content.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(data)
    return output


def litertjs_version() -> str:
    """Returns the version of LiteRT.js that is here."""
    return json.loads((PAGE / "runtime/package.json").read_text(encoding="utf-8"))["version"]


def _check_replaceable(output: Path, content: dict[str, bytes]) -> None:
    """Only a site is ever replaced: nothing is lost that was not written here."""
    if not output.is_dir():
        return
    names = {path.relative_to(output).as_posix() for path in output.rglob("*") if not path.is_dir()}
    if foreign := sorted(names - set(content)):
        raise OutputError(
            f"{output} holds {foreign[0]}, which is no part of a site, so `overwrite=True` does not replace it. "
            "Choose another folder."
        )
