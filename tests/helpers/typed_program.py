"""A user's program, which nobody runs: `make check` and `make dist` hold its types against the package, strictly.

Where a type were lost, `assert_type` would say so, and so would an ignored error that is none any more.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, assert_type

import numpy as np
from PIL import Image

import model_maker
from model_maker import Classifier, ModelMakerError, Options, Prediction
from model_maker.apps.put_in_app import Installed
from model_maker.assessment.model_comparison import ModelComparison
from model_maker.assessment.robustness import Robustness
from model_maker.classes.combining import Combined
from model_maker.classes.editing import Edited
from model_maker.classes.splitting import SplitModel
from model_maker.classifiers import Pipeline
from model_maker.collection.keywords import Keywords
from model_maker.collection.organize import Organized
from model_maker.collection.search import Found
from model_maker.compat import image_classifier, model_spec
from model_maker.compat.config import QuantizationConfig
from model_maker.compat.image_classifier import DataLoader
from model_maker.data.dataset import Dataset, Sample
from model_maker.doctor.diagnosis import Diagnosis
from model_maker.doctor.quarantine import Moves
from model_maker.errors import DataError
from model_maker.evaluation import Metrics
from model_maker.exporters.explaining_file import ExplainingFile
from model_maker.exporters.export import Export
from model_maker.forecasts import Advice
from model_maker.inference.explanation import Explanation
from model_maker.inference.pipeline_answers import Answer
from model_maker.multi_label_metrics import MultiLabelMetrics
from model_maker.training.comparison import Comparison
from model_maker.training.forgetting import Receipt
from model_maker.training.reproduction import Reproduction
from model_maker.training.result import Result
from model_maker.verification.certificate import Certificate
from model_maker.zero_shot_learning.phone_file import Made

Array = np.ndarray[Any, Any]


def train(photos: Path) -> Path:
    options = Options(model="efficientnet_lite0", max_drop=0.5)
    assert_type(options.max_drop, float | None)
    result = model_maker.train(photos, options=options, seed=1)
    assert_type(result, Result)
    assert_type(result.metrics, Metrics)
    assert_type(result.metrics.top1, float)
    assert_type(result.metrics.top1_interval, tuple[float, float])
    assert_type(result.metrics.confusion, Array)
    assert_type(model_maker.compare(photos, ["efficientnet_lite0", "mobilenet_v2"], seed=1), Comparison)
    model_maker.train(3)  # type: ignore[arg-type]
    Options(quantise="int8")  # type: ignore[call-arg]
    return result.directory


def several_labels(photos: Path) -> float | None:
    metrics = model_maker.train(photos, multi_label=True).metrics
    assert isinstance(metrics, MultiLabelMetrics)
    assert_type(metrics.mean_average_precision_interval, tuple[float, float])
    return metrics.per_class[0].average_precision


def classify(model: Path, photo: Image.Image, pixels: Array) -> str:
    classifier = Classifier(model, threads=1)
    assert_type(classifier.labels, tuple[str, ...])
    assert_type(classifier.thresholds, Array)
    for photos in ("rose.jpg", model / "rose.jpg", b"\xff\xd8", photo, pixels):
        assert_type(classifier.predict(photos), list[list[Prediction]])
    [[best]] = classifier.predict(["rose.jpg", photo, pixels], top_k=1)
    with open("rose.jpg", "rb") as file:
        assert_type(classifier.predict([bytearray(2), memoryview(b"a"), file], channels="bgr"), list[list[Prediction]])
    assert_type(best, Prediction)
    assert_type((best.label, best.score, best.index), tuple[str, float, int])
    assert_type(classifier.scores(["rose.jpg"]), Iterator[Array | DataError])
    assert_type(classifier("rose.jpg", top_k=1), list[Answer])
    assert_type(classifier(["rose.jpg", photo]), list[list[Answer]])
    classifier.predict(3)  # type: ignore[arg-type]
    assert_type(model_maker.pipeline("image-classification", model=model), Pipeline)
    return best.label


def measure(model: Path, photos: str) -> float:
    dataset = model_maker.load_dataset(photos, progress=lambda done, total: print(done / total))
    assert_type(dataset, Dataset)
    assert_type(dataset.samples, tuple[Sample, ...])
    assert_type(Classifier(model).evaluate(dataset, progress=print), Metrics)
    assert_type(Classifier(model).evaluate(photos), Metrics)
    assert_type(Classifier(model).evaluate(), Metrics)
    assert_type(model_maker.verify(model), Certificate)
    assert_type([run.right for run in model_maker.verify(model).runs], list[int | None])
    assert_type(model_maker.reproduce(model, photos), Reproduction)
    assert_type(model_maker.advise(model), Advice)
    assert_type(model_maker.forget(model, ["rose.jpg"], photos), Receipt)
    assert_type(model_maker.compare_models(model, "other"), ModelComparison)
    assert_type(model_maker.robustness(model), Robustness)
    assert_type(model_maker.explain(model, ["rose.jpg"]), list[Explanation])
    return Classifier(model).evaluate(dataset).top1


def ship(model: Path) -> None:
    assert_type(model_maker.export(model, "exported", formats=["onnx"]), Export)
    assert_type(model_maker.export(model, "all").directory, Path)
    assert_type(model_maker.put_in_app(model, "app", "android"), Installed)
    assert_type(model_maker.codegen(model, "kotlin"), str)
    assert_type(model_maker.starter(output="starter"), Path)
    assert_type(model_maker.export_embedder(output="embedder"), Path)
    assert_type(model_maker.export_explaining(model, "explaining"), ExplainingFile)


def edit(model: Path, photo: str) -> None:
    assert_type(model_maker.edit_classes(model, "edited", add={"mug": photo}), Edited)
    assert_type(model_maker.combine([model, "other"], "both"), Combined)
    assert_type(model_maker.split_model(model, "split"), SplitModel)


def without_photos(photos: str) -> None:
    assert_type(model_maker.zero_shot_file(["cat", "dog"], "from_names"), Made)
    model_maker.zero_shot(photos, ["cat", "dog"])
    assert_type(model_maker.search(photos, "cat"), Found)
    assert_type(model_maker.organize(photos, "sorted", groups=3), Organized)
    assert_type(model_maker.keywords(photos, "words"), Keywords)


def look_after(photos: str) -> None:
    try:
        diagnosis = model_maker.diagnose(photos)
    except ModelMakerError as error:
        raise SystemExit(str(error)) from error
    assert_type(diagnosis, Diagnosis)
    assert_type({kind: len(found) for kind, found in diagnosis.findings.items()}, dict[str, int])
    assert_type(model_maker.mend(diagnosis), Moves)
    assert_type(model_maker.put_back(photos).moved, tuple[Path, ...])
    assert_type(model_maker.__version__, str)
    model_maker.predict  # type: ignore[attr-defined]  # noqa: B018


def move_in(photos: str) -> float:
    train, test = DataLoader.from_folder(photos).split(0.9)
    model = image_classifier.create(train, model_spec.get("mobilenet_v2"), epochs=3)
    assert_type(model, image_classifier.ImageClassifier)
    assert_type(model_spec.ImageClassifierSpec("a.tflite"), image_classifier.ModelSpec)
    model.create_model()  # type: ignore[attr-defined]
    model_spec.TEXT_CLASSIFICATION_MODELS  # type: ignore[attr-defined]  # noqa: B018
    model.export("exported", quantization_config=QuantizationConfig.for_int8(train))
    assert_type(model.predict_top_k(test, k=3), list[list[tuple[str, float]]])
    assert_type(model.evaluate_tflite("exported/model.tflite", test), dict[str, float])
    loss, accuracy = model.evaluate(test)
    return accuracy
