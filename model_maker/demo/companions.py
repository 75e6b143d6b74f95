"""What the demo page knows beside the model: figures of thresholds, files of its folder, test photos to try.

Files and photos are only for a page that this machine serves to itself: nobody has agreed to ship them. A static site
has the figures, and a link to the model that it contains.
"""

import hashlib
import json
import math
import os
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

from absl import logging

from model_maker import output_folder, run_record
from model_maker.data import folders
from model_maker.errors import DataError, ModelMakerError
from model_maker.evaluation import Answered
from model_maker.inference import training_overlap, training_report
from model_maker.inference.classifier import model_file
from model_maker.inference.training_report import TrainingReport
from model_maker.tflite import metadata

ABOUT = "about.json"
# Of the model folder: its title on the page, by name. The report links to all of them.
_FILES = {
    output_folder.REPORT: "Report",
    output_folder.CARD: "Model card",
    output_folder.METRICS: "Metrics",
    output_folder.LABELS: "Labels",
    output_folder.RUN: "Record of the training",
    output_folder.FLOAT_MODEL: "Float model",
}
# Folders of the site.
BESIDE, SAMPLES = "beside/", "samples/"
_MOST_SAMPLES = 8
# Photos of a class that are looked at to find them; a fifth of all are test photos.
_MOST_LOOKS = 40
_MOST_BYTES = 16 << 20
# Formats that every browser shows.
_SHOWN = (".jpg", ".jpeg", ".png", ".webp", ".gif")
# A photo, its class and its content.
Sample = tuple[Path, str, bytes]


def shipped(model: str | os.PathLike[str]) -> dict[str, bytes]:
    """Returns what any page of a model has of it: ABOUT, with figures and the model itself."""
    return {ABOUT: _packed(_about(model))}


def local(model: str | os.PathLike[str]) -> dict[str, bytes]:
    """Returns what the page has that this machine serves to itself: ABOUT, files of the folder, test photos."""
    about, home = _about(model), output_folder.home(model)
    content: dict[str, bytes] = {}
    if output_folder.is_own_model(model):
        for name, title in _FILES.items():
            if (home / name).is_file():
                address = f"{BESIDE}{name}"
                content[address] = (home / name).read_bytes()
                about["files"].append({"name": name, "title": title, "address": address})
        if content:  # the report links to it, beside itself
            content[f"{BESIDE}{output_folder.MODEL}"] = model_file(model).read_bytes()
        for number, (path, label, photo) in enumerate(_test_photos(home)):
            address = f"{SAMPLES}{number}{path.suffix.lower()}"
            content[address] = photo
            shown = {"name": path.name, "label": label}
            about["samples"].append({key: _text(value) for key, value in shown.items()} | {"address": address})
    return {ABOUT: _packed(about), **content}


def _about(model: str | os.PathLike[str]) -> dict[str, Any]:
    own = {"name": output_folder.MODEL, "title": "Model", "address": output_folder.MODEL}
    return {"files": [own], "samples": [], "thresholds": _thresholds(model)}


def _thresholds(model: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Returns what thresholds did on the test photos, where the figures beside the model are of this very model."""
    if not output_folder.is_own_model(model):
        return []
    try:
        report = training_report.read(output_folder.home(model), TrainingReport)
        stated = metadata.read(model_file(model).read_bytes()).provenance
        if (report.fingerprint, report.test.top1) != (stated["fingerprint"], stated["metrics"]["top1"]):
            return []
        test = report.test
        every = Answered(test.photos, test.photos, test.top1, test.top1_interval)
        found = {0.0: every} | {point.score: point.answered for point in report.trade_off}
        points = [
            {"score": score, "photos": float(one.photos), "answered": float(one.answered), "precision": one.precision}
            for score, one in found.items()
        ]
        known = all(math.isfinite(value) for point in points for value in point.values()) and points[0]["photos"]
        return points if known else []
    except (OSError, ValueError, KeyError, TypeError, ModelMakerError):
        return []  # made by another tool, by hand, or of several labels a photo


def _test_photos(home: Path) -> list[Sample]:
    """Returns a few photos that the model was tested on, each with its class; none where they are not at hand.

    One of each class comes before a second one of any.
    """
    try:
        tested = set(json.loads((home / output_folder.SPLIT).read_bytes())["test"])
        data = run_record.load(home)["data"]
        if not Path(data).is_dir():  # in an object store, a file that lists photos, or no longer there
            return []
        by_class: dict[str, list[Path]] = {}
        for entry in folders.entries(Path(data), []):
            if isinstance(entry.path, Path) and entry.path.suffix.lower() in _SHOWN:
                by_class.setdefault(entry.class_name, []).append(entry.path)
        found = [_among(by_class[label], label, tested) for label in list(by_class)[:_MOST_SAMPLES]]
        return list(islice(chain.from_iterable(_in_turn(found)), _MOST_SAMPLES))
    except (OSError, ValueError, KeyError, TypeError, DataError) as error:
        logging.info("no test photos to try: %s", error)
        return []


def _among(photos: list[Path], label: str, tested: set[str]) -> Iterator[Sample]:
    """Yields those of a class that are test photos."""
    for path in photos[:_MOST_LOOKS]:
        if path.stat().st_size <= _MOST_BYTES:
            content = path.read_bytes()
            if hashlib.sha256(content).hexdigest()[: training_overlap.DIGITS] in tested:
                yield path, label, content


def _in_turn(classes: list[Iterator[Sample]]) -> Iterator[list[Sample]]:
    while some := [sample for each in classes if (sample := next(each, None))]:
        yield some


def _text(name: str) -> str:
    return name.encode(errors="replace").decode()


def _packed(about: dict[str, Any]) -> bytes:
    return json.dumps(about).encode() + b"\n"
