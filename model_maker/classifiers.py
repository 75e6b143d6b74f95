"""What users open models with: `Classifier` and `pipeline`, which also take the name of a backbone."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeGuard, cast

from absl import logging

from model_maker import evaluation, run_record
from model_maker.backbones.registry import BACKBONES, DEFAULT
from model_maker.data.dataset import Dataset
from model_maker.data.images import Photo
from model_maker.errors import DataError, ModelError
from model_maker.inference import pipeline_answers
from model_maker.inference.classifier import FileClassifier
from model_maker.inference.pipeline_answers import Answer
from model_maker.normalization import Normalization
from model_maker.progress import Progress

TASK = "image-classification"
# Arguments of transformers' pipeline that have no counterpart: one runtime, on the CPU, and no code from a hub.
_MEANINGLESS = (
    "config",
    "device",
    "device_map",
    "dtype",
    "feature_extractor",
    "framework",
    "image_processor",
    "model_kwargs",
    "num_workers",
    "processor",
    "revision",
    "token",
    "tokenizer",
    "torch_dtype",
    "trust_remote_code",
    "use_auth_token",
    "use_fast",
)


class Classifier(FileClassifier):
    """An image classifier: a `.tflite` file, another format that `export` writes, or a backbone's published weights.

    Args:
      model: the path of a model, or of a folder with one; the bytes of a `.tflite`; or a name that `model_maker models`
        lists, which knows ImageNet's 1000 classes. A path that exists comes first.
      threads: photos at a time; all cores by default.
      kernels: which of LiteRT's CPU paths, a key of `tflite.interpreter.KERNELS`.
      labels: names of the scores, or a file of them, for a model that carries none.
      normalization: what a float input expects, for a model that does not say.
      head: name of the output, of a file that `combine` made; the first by default.
      progress: receives the stages of preparing a backbone, on first use.

    Raises:
      ModelError: not a model, not an image classifier, or one without labels.
      BackboneError: the weights of the backbone cannot be had, or hold no classifier.
      DataError: the labels cannot be read, or are not as many as the scores.

    Examples:
      >>> from model_maker import Classifier
      >>> classifier = Classifier("flowers_model")
      >>> classifier.predict(["rose.jpg"], top_k=1)[0][0].label
      'rose'
      >>> len(Classifier("efficientnet_lite0").labels)
      1000
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | bytes,
        *,
        threads: int | None = None,
        kernels: str = "xnnpack",
        labels: str | os.PathLike[str] | Sequence[str] | None = None,
        normalization: Normalization | None = None,
        head: str | None = None,
        progress: Progress | None = None,
    ):
        self._origin = None if isinstance(model, bytes) or is_backbone(model) else model
        if is_backbone(model):
            if any(stated is not None for stated in (labels, normalization, head)):
                raise DataError(
                    f"`labels`, `normalization` and `head` apply to model files; {model} has its own. Leave them out."
                )
            from model_maker.exporters import starter  # which takes as long to import as all the rest

            model = starter.cached(model, progress=progress)
        super().__init__(model, threads=threads, kernels=kernels, labels=labels, normalization=normalization, head=head)

    def evaluate(
        self,
        data: Dataset | str | os.PathLike[str] | None = None,
        *,
        progress: Callable[[int, int], None] | None = None,
    ) -> evaluation.Metrics:
        """Measures accuracy on labeled photos.

        Args:
          data: a dataset, or what `load_dataset` makes one of: a folder with a folder for each class. None for the
            test photos of the training, which the folder of the model names.
          progress: called with (done, total).

        Raises:
          ModelError: no data is given, and nothing beside the model says what it was tested on.
          DataError: see `score_labelled` and `sources.read`.
        """
        if data is None:
            if self._origin is None:
                raise ModelError("This model has no folder that names its test photos. Pass `data=DIR`.")
            data = run_record.test_part(self._origin)[0]
        return super().evaluate(data, progress=progress)

    def __setstate__(self, state: dict[str, Any]) -> None:
        origin = state.pop("origin")
        super().__setstate__(state)
        self._origin = origin

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"origin": self._origin}


class Pipeline:
    """A classifier that is called as `pipeline("image-classification")` of transformers is.

    Attributes:
      task: "image-classification".
      model: the Classifier.
    """

    task = TASK

    def __init__(self, model: FileClassifier, **defaults: Any):
        self.model = model
        self._defaults = _checked(defaults)

    def __call__(self, inputs: Any = None, *, images: Any = None, **changes: Any) -> Any:
        """Classifies photos.

        Args:
          inputs: a path, an http(s) or `data:` address, a Pillow image, an array or tensor; a list of these; or a
            generator or dataset of them.
          images: the same, under its earlier name.
          **changes: `top_k` (5 by default), `function_to_apply`, `timeout` in seconds for what is fetched, and
            `batch_size`: see `pipeline`.

        Returns:
          [{"label": str, "score": float}], best first, of one photo; a list of such lists of a list. Of a generator or
          dataset an iterator over such lists, which reads as it is asked.

        Raises:
          DataError: a photo cannot be read or fetched, or an argument means nothing.
        """
        photos = inputs if images is None else images
        if photos is None:
            raise DataError("pipeline: pass `inputs`: a path, an address, a picture, or a list or generator of them.")
        options = self._defaults | _checked(changes)
        if pipeline_answers.is_lazy(photos):
            return self._answers(pipeline_answers.items(photos), options)
        found = list(self._answers(pipeline_answers.each(photos), options))
        return found[0] if pipeline_answers.is_single(photos) else found

    def _answers(self, photos: Iterable[Photo], options: dict[str, Any]) -> Iterator[list[Answer]]:
        ask: dict[str, Any] = {name: options.get(name) for name in ("top_k", "function_to_apply", "timeout")}
        yield from self.model.answers(photos, **ask)


def pipeline(
    task: str | None = None,
    model: str | os.PathLike[str] | bytes | Classifier | None = None,
    *,
    progress: Progress | None = None,
    **options: Any,
) -> Pipeline:
    """Opens a model as `pipeline("image-classification", model=...)` of transformers does.

    Args:
      task: "image-classification", the only one here; None means it, too.
      model: what `Classifier` takes, or one; the default backbone with ImageNet's classes where it is None.
      progress: receives the stages of preparing a backbone, on first use.
      **options: defaults of its calls: `top_k`; `function_to_apply`, "default", "softmax", "sigmoid" or "none";
        `timeout` in seconds; `batch_size`, which changes no answer, for photos go through LiteRT one by one on all
        cores. What only means something to PyTorch, as `device`, is logged and passed over.

    Raises:
      DataError: another task, or an argument that means nothing.
      ModelError, BackboneError: see `Classifier`.

    Examples:
      >>> import model_maker
      >>> classify = model_maker.pipeline("image-classification", model="flowers_model")
      >>> classify("rose.jpg", top_k=1)
      [{'label': 'rose', 'score': 0.99609375}]
    """
    if task not in (None, TASK):
        raise DataError(f"pipeline: task={task!r} is not offered; the only one is {TASK!r}.")
    for name in [name for name in _MEANINGLESS if options.pop(name, None) is not None]:
        logging.warning("pipeline: %s has no effect: LiteRT runs the model on the CPU.", name)
    options = {name: value for name, value in options.items() if name not in _MEANINGLESS}
    _checked(options)
    if model is None:
        (progress or Progress()).note(f"Using the default model, {DEFAULT} with ImageNet's 1000 classes.")
    opened = model if isinstance(model, Classifier) else Classifier(model or DEFAULT, progress=progress)
    return Pipeline(opened, **options)


def is_backbone(model: object) -> TypeGuard[str]:
    """Whether this is the name of a backbone, and not that of a file or folder which is there."""
    return isinstance(model, str) and model in BACKBONES and not Path(model).exists()


def _checked(options: dict[str, Any]) -> dict[str, Any]:
    """Returns the options of a call that are given."""
    known = ("top_k", "function_to_apply", "timeout", "batch_size")
    if unknown := sorted(options.keys() - set(known)):
        raise DataError(f"pipeline: {unknown[0]} is not an option; choose from {', '.join(known)}.")
    pipeline_answers.check(cast(Any, options.get("top_k")), options.get("function_to_apply"))
    size, timeout = options.get("batch_size"), options.get("timeout")
    if size is not None and not (isinstance(size, int) and size >= 1):
        raise DataError(f"batch_size={size!r}: give a whole number from 1 on.")
    if timeout is not None and not (isinstance(timeout, int | float) and timeout > 0):
        raise DataError(
            f"timeout={timeout!r}: give seconds above 0, or None for the usual {pipeline_answers.TIMEOUT_S}."
        )
    return {name: value for name, value in options.items() if value is not None}
