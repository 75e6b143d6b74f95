"""ImageClassifier: training on a DataLoader, evaluation of the shipped file, export.

`training.learn` trains, `exporters.export` writes formats, `Classifier` computes scores; this module maps the names and
arguments of the original to them.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from model_maker.compat import classifier_training, exporting, metadata_json
from model_maker.compat import model_spec as specs
from model_maker.compat.absent import tells_absences
from model_maker.compat.classifier_training import Trained
from model_maker.compat.config import ExportFormat
from model_maker.compat.data_loader import DataLoader, photos_of, relabelled
from model_maker.compat.model_spec import ImageClassifierSpec, ModelSpec
from model_maker.compat.notices import warn_unused
from model_maker.errors import DataError, ModelError
from model_maker.inference import pipeline_answers
from model_maker.inference.classifier import FileClassifier
from model_maker.options import Options
from model_maker.system import extras, files
from model_maker.tflite import inspection

__all__ = [
    "DataLoader",
    "EfficientNetLite0Spec",
    "EfficientNetLite1Spec",
    "EfficientNetLite2Spec",
    "EfficientNetLite3Spec",
    "EfficientNetLite4Spec",
    "ImageClassifier",
    "ImageClassifierSpec",
    "MobileNetV2Spec",
    "ModelSpec",
    "Resnet50Spec",
    "create",
]

EfficientNetLite0Spec = specs.MODEL_SPECS["efficientnet_lite0"]
EfficientNetLite1Spec = specs.MODEL_SPECS["efficientnet_lite1"]
EfficientNetLite2Spec = specs.MODEL_SPECS["efficientnet_lite2"]
EfficientNetLite3Spec = specs.MODEL_SPECS["efficientnet_lite3"]
EfficientNetLite4Spec = specs.MODEL_SPECS["efficientnet_lite4"]
MobileNetV2Spec = specs.MODEL_SPECS["mobilenet_v2"]
Resnet50Spec = specs.MODEL_SPECS["resnet_50"]

# Parameters of fine-tuning, by the name of its option.
_OF_FINE_TUNING = {"epochs": "epochs", "batch_size": "batch_size", "dropout_rate": "dropout"}


@tells_absences
class ImageClassifier:
    """A classifier; `create` constructs and trains one.

    Args:
      model_spec: the backbone, see `model_spec.get`.
      index_to_label: the class names.
      shuffle, representative_data: have no effect and log a warning; training photos are used for calibration.
      hparams: `train_whole_model`, `epochs`, `batch_size` and `dropout_rate`, all optional.
      use_augmentation: whether to train on augmented views, too.

    Attributes:
      history: one entry per epoch of fine-tuning, see `learning.fine_tuning.Tuned`; None without.
    """

    DEFAULT_EXPORT_FORMAT = exporting.DEFAULT_FORMATS
    ALLOWED_EXPORT_FORMAT = exporting.ALLOWED_FORMATS

    def __init__(
        self,
        model_spec: str | ModelSpec | Callable[..., ModelSpec],
        index_to_label: Sequence[str],
        shuffle: bool = True,
        hparams: dict[str, Any] | None = None,
        use_augmentation: bool = False,
        representative_data: DataLoader | None = None,
    ):
        warn_unused("ImageClassifier", shuffle=shuffle, representative_data=representative_data)
        self.model_spec = specs.get(model_spec)
        self.index_to_label, self.num_classes = list(index_to_label), len(index_to_label)
        self.shuffle, self.use_augmentation, self.representative_data = shuffle, use_augmentation, representative_data
        self.hparams = _checked(hparams or {})
        self.history: list[dict[str, Any]] | None = None
        self._found: Trained | None = None

    @property
    def train_whole_model(self) -> bool:
        """Whether to train every layer, or the head only."""
        return bool(self.hparams.get("train_whole_model"))

    @classmethod
    def create(
        cls,
        train_data: DataLoader,
        model_spec: str | ModelSpec | Callable[..., ModelSpec] = "efficientnet_lite0",
        validation_data: DataLoader | None = None,
        batch_size: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        train_whole_model: bool | None = None,
        dropout_rate: float | None = None,
        learning_rate: float | None = None,
        momentum: float | None = None,
        shuffle: bool = False,
        use_augmentation: bool = False,
        use_hub_library: bool = True,
        warmup_steps: int | None = None,
        model_dir: str | os.PathLike[str] | None = None,
        do_train: bool = True,
    ) -> ImageClassifier:
        """Trains a classifier.

        Args:
          train_data: training photos.
          model_spec: a name, a ModelSpec, or a function that returns one.
          validation_data: validation photos of fine-tuning, an eighth of the training photos by default. A head on
            frozen features is trained on them, too, because it uses cross-validation.
          train_whole_model: whether to train every layer, or the head only.
          batch_size, epochs, dropout_rate: for training every layer.
          use_augmentation: whether to train on augmented views, too.
          do_train: whether to train immediately; else call `train`.
          steps_per_epoch, learning_rate, momentum, shuffle, use_hub_library, warmup_steps, model_dir: have no effect
            and log a warning.

        Raises:
          DataError, BackboneError, ModelError: with a one-line message that says what to do.
        """
        warn_unused(
            "create",
            steps_per_epoch=steps_per_epoch,
            learning_rate=learning_rate,
            momentum=momentum,
            shuffle=shuffle,
            use_hub_library=use_hub_library,
            warmup_steps=warmup_steps,
            model_dir=model_dir,
        )
        hparams = {"batch_size": batch_size, "epochs": epochs, "dropout_rate": dropout_rate}
        hparams = {name: value for name, value in hparams.items() if value is not None}
        hparams["train_whole_model"] = bool(train_whole_model)
        made = cls(model_spec, photos_of(train_data).classes, hparams=hparams, use_augmentation=use_augmentation)
        made.shuffle, made.representative_data = shuffle, train_data
        if do_train:
            made.train(train_data, validation_data)
        return made

    def train(
        self,
        train_data: DataLoader,
        validation_data: DataLoader | None = None,
        hparams: dict[str, Any] | None = None,
        steps_per_epoch: int | None = None,
    ) -> list[dict[str, Any]] | None:
        """Trains, and returns `history`; see `create`."""
        warn_unused("train", steps_per_epoch=steps_per_epoch)
        self.hparams |= _checked(hparams or {})
        options = self._options()
        if self.train_whole_model:
            extras.require("tensorflow", what="train_whole_model=True", error=DataError)
        photos = relabelled(photos_of(train_data), tuple(self.index_to_label))
        validation = dataclasses.replace(photos, samples=(), skipped=())
        if validation_data is not None:
            validation = relabelled(photos_of(validation_data), photos.classes)
        self._found = classifier_training.train(photos, validation, options)
        self.history = self._found.history
        return self.history

    def _options(self) -> Options:
        given = {name: self.hparams.get(name) for name in _OF_FINE_TUNING}
        if not self.train_whole_model:
            warn_unused("create", **given)
            given = {}
        stated: dict[str, Any] = {_OF_FINE_TUNING[name]: value for name, value in given.items()}
        return Options(
            model=self.model_spec.uri,
            image_size=self.model_spec.image_size,
            normalization=self.model_spec.normalization,
            augment="standard" if self.use_augmentation else "none",
            fine_tune="all" if self.train_whole_model else None,
            **stated,
        )

    @property
    def _trained(self) -> Trained:
        if self._found is None:
            raise ModelError("The classifier is not trained: call train(train_data), or leave out do_train=False.")
        return self._found

    def summary(self) -> None:
        """Prints the layers of the model."""
        trained = self._trained
        fit, classes = trained.source.base.fit, self.num_classes
        head = classes * (trained.features + 1)
        rest = inspection.inspect(trained.source.base.content).parameters - head
        print(f"Model: {self.model_spec.name}")
        print(f"{'part':<12}{'output':<20}{'parameters':>12}  learns")
        print(f"{'image':<12}{f'[1, {fit.height}, {fit.width}, 3]':<20}{0:>12,}")
        print(f"{'backbone':<12}{f'[1, {trained.features}]':<20}{rest:>12,}  {'yes' if trained.history else 'no'}")
        print(f"{'head':<12}{f'[1, {classes}]':<20}{head:>12,}  yes")

    def evaluate(self, data: DataLoader, batch_size: int = 32) -> tuple[float, float]:
        """Evaluates the file that `export` writes by default.

        Args:
          data: labeled photos; classes are matched by name, unreadable files are skipped.
          batch_size: has no effect and logs a warning; photos run one by one on all cores.

        Returns:
          Mean cross-entropy, without label smoothing and penalties, and accuracy.
        """
        warn_unused("evaluate", batch_size=batch_size)
        classifier = self._trained.classifier
        scored = classifier.score_labelled(photos_of(data))
        truth = scored.scores[np.arange(len(scored.labels)), scored.labels]
        return float(-np.log(np.maximum(truth, pipeline_answers.LEAST)).mean()), classifier.measure(scored).top1

    def evaluate_tflite(
        self,
        tflite_filepath: str | os.PathLike[str],
        data: DataLoader,
        postprocess_fn: Callable[..., Any] | None = None,
    ) -> dict[str, float]:
        """Evaluates any `.tflite` with labels.

        Args:
          tflite_filepath: the file.
          data: labeled photos; see `evaluate`.
          postprocess_fn: called with the scores of each photo, float32 [1, C]; the largest result is the prediction.

        Returns:
          {"accuracy": share}.

        Raises:
          DataError: there are no photos, or a class that the file does not know.
        """
        classifier = FileClassifier(tflite_filepath)
        scored = classifier.score_labelled(photos_of(data))
        metrics = classifier.measure(scored)
        if postprocess_fn is None:
            return {"accuracy": metrics.top1}
        answers = [int(np.argmax(postprocess_fn(row[None]))) for row in scored.scores]
        return {"accuracy": float((np.array(answers) == scored.labels).mean())}

    def predict_top_k(self, data: Any, k: int = 1, batch_size: int = 32) -> list[list[tuple[str, float]]]:
        """Classifies photos with the file that `export` writes by default.

        Args:
          data: a DataLoader, or photos as `Classifier` takes them: paths, arrays uint8 [H, W, 3], Pillow images.
          k: number of labels per photo.
          batch_size: has no effect and logs a warning.

        Returns:
          For each photo, in order, (label, probability), best first.

        Raises:
          DataError: k is negative, or a photo cannot be read.
        """
        if k < 0:
            raise DataError(f"predict_top_k(k={k}): pass 0 or more.")
        warn_unused("predict_top_k", batch_size=batch_size)
        photos = [sample.path for sample in data.photos.samples] if isinstance(data, DataLoader) else data
        photos = photos.numpy() if hasattr(photos, "numpy") else photos  # a tensor
        rows = self._trained.classifier.predict(photos, top_k=None, threshold=0)
        return [[(found.label, found.score) for found in row[:k]] for row in rows]

    def export(
        self,
        export_dir: str | os.PathLike[str],
        tflite_filename: str = "model.tflite",
        label_filename: str = "labels.txt",
        vocab_filename: str = "vocab.txt",
        saved_model_filename: str = "saved_model",
        tfjs_folder_name: str = "tfjs",
        export_format: ExportFormat | Sequence[ExportFormat] | None = None,
        **kwargs: Any,
    ) -> None:
        """Writes the model; reads each format back and compares it with the float model.

        Args:
          export_dir: output folder; only files and models with these names are replaced.
          tflite_filename, label_filename, saved_model_filename, tfjs_folder_name: names in it.
          vocab_filename: has no effect; vocabularies are for text models.
          export_format: one of ALLOWED_EXPORT_FORMAT, or several; TFLITE by default, with
            `with_metadata=False` also LABEL.
          **kwargs: `quantization_config`: quantization of the `.tflite`; None for float; int8 with uint8 input and
            output by default. `export_metadata_json_file`: whether to write the metadata as JSON next to the `.tflite`.
            Others have no effect and log a warning.

        Raises:
          DataError, ModelError, OutputError: with a one-line message that says what to do.
        """
        config = kwargs.pop("quantization_config", exporting.DEFAULT)
        if export_format is None and not kwargs.get("with_metadata", True):
            export_format = self.DEFAULT_EXPORT_FORMAT
        formats = exporting.formats(export_format)
        with_json = bool(kwargs.pop("export_metadata_json_file", False))
        warn_unused("export", vocab_filename=vocab_filename, **kwargs)
        if tflite_filename == label_filename:
            raise DataError(f"The model and its labels cannot both be {label_filename}. Choose two names.")
        names = {
            ExportFormat.TFLITE: tflite_filename,
            ExportFormat.LABEL: label_filename,
            ExportFormat.SAVED_MODEL: saved_model_filename,
            ExportFormat.TFJS: tfjs_folder_name,
        }
        paths = {kind: Path(export_dir, names[kind]) for kind in formats}
        exporting.write(self._trained.source, self.index_to_label, paths, config)
        if with_json and (model := paths.get(ExportFormat.TFLITE)):
            files.write(model.with_suffix(".json"), metadata_json.render(model.read_bytes()).encode())


create = ImageClassifier.create


def _checked(hparams: Any) -> dict[str, Any]:
    names = ("train_whole_model", *_OF_FINE_TUNING)
    if not isinstance(hparams, dict) or not set(hparams) <= set(names):
        raise DataError(f"hparams {hparams!r}: pass a dict of {', '.join(names)}, or pass these to create().")
    return dict(hparams)
