"""explain(): where in photos the answers of a classifier come from, and the training photos that speak for them."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from model_maker.classifiers import Classifier
from model_maker.data.images import Photo
from model_maker.errors import DataError
from model_maker.explanations import training_photos
from model_maker.inference import pipeline_answers
from model_maker.inference.classifier import FileClassifier
from model_maker.inference.explanation import Explainer, Explanation
from model_maker.progress import Progress


def explain(
    model: str | os.PathLike[str] | Classifier,
    photos: Photo | Iterable[Photo],
    *,
    label: str | None = None,
    progress: Progress | None = None,
) -> list[Explanation]:
    """Returns where in photos the answers of a classifier come from.

    Args:
      model: a `.tflite`, a folder that `train` made, or a Classifier. A folder also names the training photos that
        speak most for each answer.
      photos: as `Classifier.predict` takes them.
      label: what to explain; the best label of each photo by default.
      progress: receives notes, and progress where training photos are embedded again.

    Raises:
      ModelError: the model is not a `.tflite`, or its last layer sees no mean of a feature map.
      DataError: a photo cannot be read, or the model has no such label.

    Examples:
      >>> import model_maker
      >>> [found] = model_maker.explain("flowers_model", ["rose.jpg"])
      >>> found.label, found.shares.shape, len(found.training_photos)
      ('rose', (7, 7), 3)
    """
    classifier = model if isinstance(model, FileClassifier) else Classifier(model)
    explainer = Explainer(classifier)
    index = None if label is None else int(classifier.indices([label])[0])
    given: list[Any] = list(pipeline_answers.read(pipeline_answers.each(photos)))
    found = []
    for one in explainer.explain(given, labels=[index] * len(given)):
        if isinstance(one, DataError):
            raise one
        found.append(one)
    return with_training_photos(model, classifier, found, progress)


def with_training_photos(
    model: str | os.PathLike[str] | FileClassifier,
    classifier: FileClassifier,
    found: list[Explanation],
    progress: Progress | None = None,
) -> list[Explanation]:
    """Adds the training photos that speak most for each answer, where the model's folder names them."""
    if isinstance(model, FileClassifier) or not found:
        return found
    known = training_photos.of(Path(model), classifier, Progress(progress))
    return known.add_to(found) if known else found
