"""The picture of the README, from a real run; `python -m benchmarks.readme_picture docs/picture.png` draws it anew.

Folders of drawn flowers, what `train` prints about them, and the demo page with one of the photos, side by side. Needs
Node.js, Chromium and LiteRT.js, as `demo` in the tests does.
"""

import base64
import html
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from model_maker.demo import browser, page_server, static_site

_HERE = Path(__file__).parent
_SHOWN = ("top-1", "size", "model")
_PHOTOS_IN_A_FOLDER = 4


def draw(output: Path) -> None:
    """Writes the picture, PNG."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        command(folder, "sample-data", "flowers")
        printed = command(folder, "train", "--data", "flowers")
        photo = folder / "flowers/rose/rose_000.jpg"
        site = static_site.site(folder / "flowers_model")
        with page_server.serving(site) as running:
            job = {"chromium": browser.chromium(), "page": running.url, "photo": str(photo), "output": str(output)}
            job["html"] = _page(_folders(folder / "flowers"), _terminal(printed))
            subprocess.run(
                ["node", _HERE / "readme_picture.mjs"], input=json.dumps(job), text=True, encoding="utf-8", check=True
            )


def command(folder: Path, *words: str) -> str:
    """Runs a command in a folder; returns what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "model_maker", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    )
    return done.stdout


def _folders(data: Path) -> str:
    rows = []
    for label in sorted(path for path in data.iterdir() if path.is_dir()):
        photos = sorted(label.iterdir())[:_PHOTOS_IN_A_FOLDER]
        images = "".join(f'<img src="data:image/jpeg;base64,{_encoded(path)}" alt="">' for path in photos)
        rows.append(f"<li><b>{html.escape(label.name)}/</b>{images}</li>")
    return "".join(rows)


def folders_page(data: Path) -> str:
    """Returns a page with the folders of a dataset alone, side by side."""
    style = (
        "body { margin: 0; padding: 20px; font: 16px/1.5 'Liberation Sans', Arial, sans-serif; color: #1d2140 }"
        "ul { list-style: none; padding: 0; display: grid; grid-template-columns: 1fr 1fr 1fr; gap: 18px; margin: 0 }"
        "li b { display: block } img { width: 50px; height: 50px; border-radius: 6px; margin-right: 4px }"
    )
    return f'<!doctype html><meta charset="utf-8"><style>{style}</style><ul>{_folders(data)}</ul>'


def _terminal(printed: str) -> str:
    lines = [line.rstrip() for line in printed.splitlines() if line.startswith(_SHOWN)]
    return html.escape("\n".join(["$ model_maker train --data flowers", *lines]))


def _encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def _page(folders: str, terminal: str) -> str:
    text = (_HERE / "readme_picture.html").read_text(encoding="utf-8")
    return text.replace("<!-- folders -->", folders).replace("<!-- terminal -->", terminal)


if __name__ == "__main__":
    draw(Path(sys.argv[1]).absolute())
