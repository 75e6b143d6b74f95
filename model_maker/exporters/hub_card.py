"""What only a published card has: photos with their answers, which the Hub shows, and datasets on the Hub."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from model_maker.data import images, thumbnails
from model_maker.inference.classifier import FileClassifier, Prediction
from model_maker.output_folder import CARD

_FOLDER = "examples"
# Pixels of the longer side: enough for the Hub's page.
_SIDE = 512


def completed(
    card: str, model: Path, examples: Sequence[str | os.PathLike[str]], datasets: Sequence[str]
) -> dict[str, bytes]:
    """Returns files for the repository: the card with its examples and datasets, and the examples.

    Args:
      model: the `.tflite`, whose answers the card states.
      examples: photos. They are published in small and without EXIF, which may say where they were taken.
      datasets: "owner/name" on the Hub.

    Raises:
      DataError: an example is not a photo.
    """
    from huggingface_hub import ModelCard

    photos = [thumbnails.encoded(images.picture(photo), _SIDE) for photo in examples]
    names = [f"{_FOLDER}/{number}.jpg" for number in range(1, len(photos) + 1)]
    described = ModelCard(card)
    data: Any = described.data  # whose attributes are those of the YAML
    if photos:
        answers = FileClassifier(model).predict(photos)
        data.widget = [_widget(*each) for each in zip(names, answers, strict=True)]
    if datasets:
        data.datasets = list(datasets)
    return {CARD: str(described).encode(), **dict(zip(names, photos, strict=True))}


def _widget(name: str, answers: Sequence[Prediction]) -> dict[str, Any]:
    shown = [{"label": answer.label, "score": round(answer.score, 4)} for answer in answers]
    return {"src": name, "example_title": answers[0].label if answers else name, "output": shown}
