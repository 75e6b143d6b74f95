"""The pictures of the tutorial, from a real run; `python -m benchmarks.tutorial_pictures docs/pictures` draws them.

Each is what the reader sees after a step: the folders, the pages that `doctor`, `train` and `verify` write, and the
demo page with a photo. Needs Node.js, Chromium and LiteRT.js, as `demo` in the tests does.
"""

import io
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks import readme_picture
from model_maker.demo import browser, page_server, static_site

_HERE = Path(__file__).parent
# As wide as the site's text.
_WIDTH = 760
_COLORS = 96


def draw(output: Path) -> None:
    """Writes PNGs into a folder."""
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for words in (
            ("sample-data", "flowers"),
            ("doctor", "flowers", "--html", "doctor.html"),
            ("train", "--data", "flowers"),
            ("verify", "flowers_model", "--report", "certificate.html"),
        ):
            readme_picture.command(folder, *words)
        (folder / "photos.html").write_text(
            readme_picture.folders_page(folder / "flowers"), encoding="utf-8", newline="\n"
        )
        with page_server.serving(static_site.site(folder / "flowers_model")) as running:
            shots: list[dict[str, Any]] = [
                _page("photos", folder / "photos.html", 210),
                _page("doctor", folder / "doctor.html", 720),
                _page("train", folder / "flowers_model/report.html", 570),
                _page("confusion", folder / "flowers_model/report.html", 435, heading="Confusion matrix"),
                _page("verify", folder / "certificate.html", 620),
                {"name": "demo", "url": running.url, "height": 900, "photo": str(folder / "flowers/rose/rose_000.jpg")},
            ]
            job: dict[str, Any] = {"chromium": browser.chromium(), "width": _WIDTH, "output": place, "shots": shots}
            script = _HERE / "tutorial_pictures.mjs"
            subprocess.run(["node", script], input=json.dumps(job), text=True, encoding="utf-8", check=True)
        for shot in shots:
            (output / f"{shot['name']}.png").write_bytes(_small(folder / f"{shot['name']}.png"))


def _page(name: str, page: Path, height: int, *, heading: str = "") -> dict[str, Any]:
    return {"name": name, "url": page.as_uri(), "height": height, "heading": heading}


def _small(path: Path) -> bytes:
    """Returns a picture with few colors, which a page has anyway."""
    content = io.BytesIO()
    with Image.open(path) as picture:
        few = picture.convert("RGB").quantize(_COLORS, dither=Image.Dither.NONE)
        few.save(content, "PNG", optimize=True)
    return content.getvalue()


if __name__ == "__main__":
    draw(Path(sys.argv[1]).absolute())
