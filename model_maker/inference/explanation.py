"""Explains predictions: the contribution of each grid cell of a photo to the logit of a label."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from model_maker.data.entries import Location
from model_maker.data.streaming import stream
from model_maker.errors import DataError, ModelError
from model_maker.fitting import Fit
from model_maker.inference import views
from model_maker.inference.classifier import FileClassifier
from model_maker.tflite import interpreter, logit_shares

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Evidence:
    """A training photo, its class, and its contribution to the logit of a prediction.

    `weight` is its share of all positive contributions of training photos, at most 1.
    """

    photo: Location
    label: str
    weight: float

    @property
    def path(self) -> str:
        """Location of the photo, as text."""
        return str(self.photo)


@dataclass(frozen=True)
class Explanation:
    """Contributions of a photo's cells to the logit of a label.

    The shares, `unplaced` and `bias` add up to `logit`.

    Attributes:
      label, index, score: the explained label, the best one by default.
      logit: the logit of the label, before the file rounds it.
      bias: the part that does not depend on the photo.
      unplaced: contribution of features that are not means of feature maps; 0 for most models.
      shares: float32 [side, side], rows from top to bottom; positive is evidence for the label, negative against it.
      blocks: the shares of each block of the network that the head uses, by name; they add up to `shares`.
      features: float32 [D], the inputs of the head.
      training_photos: the photos with the strongest evidence for the label, strongest first.
      fit: how the photo was fitted to the input, which the grid of `shares` covers.
    """

    label: str
    index: int
    score: float
    logit: float
    bias: float
    unplaced: float
    shares: Array
    blocks: dict[str, Array]
    features: Array = field(repr=False)
    training_photos: tuple[Evidence, ...] = ()
    fit: Fit | None = None

    def as_dict(self) -> dict[str, Any]:
        """Returns JSON types."""
        return {
            "label": self.label,
            "index": self.index,
            "score": self.score,
            "logit": self.logit,
            "bias": self.bias,
            "unplaced": self.unplaced,
            "shares": self.shares.tolist(),
            "blocks": {name: shares.tolist() for name, shares in self.blocks.items()},
            "training_photos": [
                {"path": entry.path, "label": entry.label, "weight": entry.weight} for entry in self.training_photos
            ],
        }


# Maps photos and label indices, one per photo, to explanations; None for unreadable photos.
Explain = Callable[[Sequence[Any], Sequence[int]], Sequence[Explanation | None]]


class Explainer:
    """Explains the predictions of a classifier.

    Raises:
      ModelError: it is in another format, or no input of its last layer is the mean of a feature map.
    """

    def __init__(self, classifier: FileClassifier):
        if classifier.content is None:
            raise ModelError("Predictions can be explained only for .tflite files. Pass the file that was exported.")
        self._classifier = classifier
        self._model = logit_shares.attach(classifier.content, blocks=True)

    def explain(
        self, photos: Iterable[Any], *, labels: Iterable[int | None] | None = None, view: views.View = views.WHOLE
    ) -> Iterator[Explanation | DataError]:
        """Yields an explanation for each photo, in order, or a DataError with the reason there is none.

        Args:
          photos: as `images.load` takes them.
          labels: the index of the label to explain for each photo; None for the best one.
          view: the part of each photo that is classified.
        """
        results = stream(photos, self._classifier.fit, self._worker, load=view.load)
        if labels is None:
            for result in results:
                yield result if isinstance(result, DataError) else self._explanation(result, None)
            return
        for result, label in zip(results, labels, strict=True):
            yield result if isinstance(result, DataError) else self._explanation(result, label)

    def _worker(self) -> Callable[[Array], list[Array]]:
        runner = interpreter.LiteRTRunner(self._model.content)

        def work(pixels: Array) -> list[Array]:
            scores, *others = runner.run_real(self._classifier.prepared(pixels, runner.input_dtype))
            if not all(np.isfinite(values).all() for values in (scores, *others)):
                raise ModelError("The model gives numbers that are not finite, so it is damaged. Export it again.")
            return [scores.reshape(-1), *others]

        return work

    def _explanation(self, found: list[Array], label: int | None) -> Explanation:
        scores, shares, *blocks, features = found
        best = int(np.argmax(scores)) if label is None else label
        rows, vector = self._model.rows, features.ravel().astype(np.float64)
        kernel, bias = rows.kernel[best].astype(np.float64), float(rows.bias[best])
        unplaced = self._model.unplaced
        names = [block.name for block in self._model.blocks]
        return Explanation(
            fit=self._classifier.fit,
            label=self._classifier.labels[best],
            index=best,
            score=float(scores[best]),
            logit=float(kernel @ vector) + bias,
            bias=bias,
            unplaced=float(kernel[unplaced] @ vector[unplaced]),
            shares=shares[0, :, :, best],
            blocks={name: values[0, :, :, best] for name, values in zip(names, blocks, strict=True)},
            features=vector.astype(np.float32),
        )
