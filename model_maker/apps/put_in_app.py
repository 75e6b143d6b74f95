"""put_in_app(): a model where a phone app expects it: in our own apps, or in the published samples.

An app is known by a file of its sources; a record says where its model goes, what it wants of one, and what it makes of
photos. What an app could not run is refused, with the options that make it fit.
"""

import io as streams
import os
import shutil
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from model_maker.apps import destinations
from model_maker.apps.preprocessing import AS_TRAINED, STRETCHED
from model_maker.errors import DataError, ModelError, OutputError, about
from model_maker.fitting import STRETCH, Fit
from model_maker.inference import runtimes
from model_maker.inference.classifier import FileClassifier, model_file
from model_maker.normalization import Normalization
from model_maker.output_folder import BACKBONE, HEAD
from model_maker.packaging import export_source, quantized_file
from model_maker.packaging.quantized_file import Form
from model_maker.packaging.self_test import added as with_self_test
from model_maker.progress import Progress
from model_maker.system import files
from model_maker.tflite import client_rules, graph, inspection, metadata, vetting

PLATFORMS = ("android", "ios")
# Where the sources of our own apps are: in an installed package, or beside it in a checkout.
_HOMES = Path(__file__).parents[1], Path(__file__).parents[2]
# What building leaves there, and a model that was put there.
_NO_SOURCES = (
    "*.tflite",
    HEAD,
    "build",
    "Pods",
    "*.xcworkspace",
    "xcuserdata",
    "local.properties",
    ".gradle",
    ".idea",
    ".kotlin",
)
# By how much of a pixel's 255 steps an app's fixed normalization may be off; two are too small to see, or to matter.
_NEAR_STEPS = 2.0


@dataclass(frozen=True)
class App:
    """An app, and what it wants of a model.

    Attributes:
      name: for people.
      platform: one of PLATFORMS.
      mark: a pattern for a file that only this app has, and a word in it.
      model: where the model goes, from the app's folder.
      io: the types of input and output that it feeds and reads.
      image_size: the only size that it feeds; None for any.
      normalization: what it makes of pixels for a float input, whatever the metadata says; None if it reads that.
      preparation: what it makes of a photo, a key of `preprocessing.PREPARATIONS`; "" for what the metadata says.
      labels: the file in the model's zip that it reads; "" for the one that the metadata names.
      engine: what it runs models in, as `clients` and `rules` call it; "" where these know nothing of it.
    """

    name: str
    platform: str
    mark: tuple[str, str]
    model: str
    io: tuple[str, ...] = graph.IO_TYPES
    image_size: int | None = None
    normalization: Normalization | None = None
    preparation: str = STRETCHED
    labels: str = ""
    engine: str = ""


_HALVES = Normalization(127.5, 127.5)
_ASSETS = "app/src/main/assets"
_LITERT_MARK = "app/src/main/java/com/google/*/examples/imageclassification/ImageClassificationHelper.kt"
APPS = (
    App(
        "Model Maker's Android app",
        "android",
        ("app/src/main/kotlin/**/ModelFile.kt", "model_maker export --android"),
        f"{_ASSETS}/model.tflite",
        preparation="",
    ),
    App(
        "Model Maker's iOS app",
        "ios",
        ("Classifier/ModelFile.swift", "model_maker export --ios"),
        "Classifier/model.tflite",
        preparation="",
    ),
    App(
        "TensorFlow's Android sample",
        "android",
        (
            "app/src/main/java/org/tensorflow/lite/examples/imageclassification/ImageClassifierHelper.*",
            "lite.task.vision",
        ),
        f"{_ASSETS}/mobilenetv1.tflite",
        engine=client_rules.TASK_LIBRARY,
    ),
    App(
        "MediaPipe's Android sample",
        "android",
        (
            "app/src/main/java/com/google/mediapipe/examples/imageclassification/ImageClassifierHelper.kt",
            "mediapipe.tasks",
        ),
        f"{_ASSETS}/efficientnet-lite0.tflite",
        engine=client_rules.MEDIAPIPE,
    ),
    App(
        "LiteRT's Android sample (CompiledModel)",
        "android",
        (_LITERT_MARK, "litert.CompiledModel"),
        f"{_ASSETS}/efficientnet_lite0.tflite",
        ("float32",),
        224,
        _HALVES,
        labels=metadata.LABELS_AGAIN,
        engine=client_rules.LITERT_SAMPLES,
    ),
    App(
        "LiteRT's Android sample (Interpreter)",
        "android",
        (_LITERT_MARK, "lite.Interpreter"),
        f"{_ASSETS}/efficientnet_lite0.tflite",
        ("float32",),
        None,
        _HALVES,
        labels=metadata.LABELS_AGAIN,
        engine=client_rules.LITERT_SAMPLES,
    ),
    App(
        "TensorFlow's iOS sample",
        "ios",
        ("ImageClassification/TFLite/ImageClassificationHelper.swift", "TensorFlowLiteTaskVision"),
        "ImageClassification/TFLite/efficientnet_lite0.tflite",
        engine=client_rules.TASK_LIBRARY,
    ),
    App(
        "MediaPipe's iOS sample",
        "ios",
        ("ImageClassifier/*/ImageClassifier*.swift", "MediaPipeTasksVision"),
        "ImageClassifier/efficientnet_lite0.tflite",
        engine=client_rules.MEDIAPIPE,
    ),
)
OWN = {app.platform: app for app in reversed(APPS) if app.name.startswith("Model Maker")}


@dataclass(frozen=True)
class Installed:
    """Where a model was put: in which app, its path and size, and whether the app was made, too."""

    app: App
    path: Path
    size_bytes: int
    made_app: bool


def put_in_app(
    model: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    platform: str,
    *,
    io: str | None = None,
    data: str | os.PathLike[str] | None = None,
    head: str | None = None,
    more: Mapping[str, bytes] | None = None,
    self_test: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Installed:
    """Puts a model into an app, or makes a copy of our own app with it.

    Args:
      model: a folder that `train` made, or a `.tflite` classifier with labels.
      folder: an app of APPS; one that is empty, or new in a folder that is there, becomes our own app.
      platform: one of PLATFORMS.
      io: the type of input and output, where the model as it is has another: it is made again, as `export` does.
      data: calibration photos in that case; the training photos by default.
      head: which output of a file that `combine` made; all of them by default.
      more: files that go beside the model, `classes.splitting.pair`, with which our own apps can be taught classes.
      self_test: whether the model gets a self-test, by which the app tests the delegates of a phone.
      overwrite: whether other files that stand there are replaced.
      progress: receives stages and notes.

    Raises:
      DataError: there is no such platform or type.
      ModelError: it is no classifier, or none that the app can run.
      OutputError: the folder is no app that is known, holds another model, or cannot be written.

    Examples:
      >>> import model_maker
      >>> installed = model_maker.put_in_app("flowers_model", "new_app", "android")
      >>> installed.app.name, installed.path.as_posix()
      ("Model Maker's Android app", 'new_app/app/src/main/assets/model.tflite')
    """
    if platform not in PLATFORMS:
        raise DataError(f"There is no platform {platform!r}: choose one of {', '.join(PLATFORMS)}.")
    if io is not None and io not in graph.IO_TYPES:
        raise DataError(f"`io={io!r}`: apps take {' or '.join(graph.IO_TYPES)}.")
    folder = Path(folder)
    here = recognise(folder, platform)
    app, progress = here or OWN[platform], Progress(progress)
    if more and app not in OWN.values():
        raise OutputError(f"{folder} is {app.name}, which cannot be taught. Leave `teach` out, or give a new folder.")
    content = _content(model, io, data, head, progress)
    with about(model):
        info = FileClassifier(content).info
        if why := refusal(info, inspection.inspect(content), app):
            raise ModelError(f"{app.name} refuses it: {why}")
        if info.resize != STRETCH and app.preparation not in ("", AS_TRAINED[info.resize]):
            progress.note(
                f"{app.name} does not {info.resize} photos, as training did ({app.preparation} there): give it fitted "
                "photos, train with `resize='stretch'`, or use Model Maker's app."
            )
        content = _with_labels(content, app, progress)
        content = with_self_test(content) if self_test else content
    place = Path(app.model)
    put = {place: content, **{place.with_name(name): beside for name, beside in (more or {}).items()}}
    if here is not None:
        return _replace(app, folder, put, overwrite=overwrite, progress=progress)
    with files.new_directory(folder) as new:
        shutil.copytree(sources(platform), new, dirs_exist_ok=True, ignore=shutil.ignore_patterns(*_NO_SOURCES))
        for name, file in put.items():
            files.write(new / name, file)
    return Installed(app, folder / app.model, len(content), True)


def recognise(folder: Path, platform: str) -> App | None:
    """Returns which app a folder is; None where there is nothing yet, and a new app may be made.

    Raises:
      OutputError: it is something else, or means a published sample that is not there.
    """
    with files.explained(folder):
        if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
            destinations.check_new(folder)
            return None
        found = [app for app in APPS if _has_mark(app, folder)]
    for app in found:
        if app.platform == platform:
            return app
    known = ", ".join(app.name for app in APPS if app.platform == platform)
    what = f"{found[0].name}, for --{found[0].platform}" if found else "no app that is known"
    raise OutputError(
        f"{folder} is {what}. Known for --{platform}: {known}, each by the folder that holds its "
        f"{'settings.gradle' if platform == 'android' else 'xcodeproj'}; or give a new folder for a copy of our own."
    )


def _has_mark(app: App, folder: Path) -> bool:
    pattern, word = app.mark
    return any(word in path.read_text(encoding="utf-8", errors="replace") for path in folder.glob(pattern))


def _content(
    model: str | os.PathLike[str],
    io: str | None,
    data: str | os.PathLike[str] | None,
    head: str | None,
    progress: Progress,
) -> bytes:
    """Returns the model as it shipped, or converted to another input and output type."""
    shipped = vetting.read(model_file(model))
    with about(model):
        if head is not None:
            shipped = runtimes.single_head(shipped, head, what="an app")
        facts = inspection.inspect(shipped)
    if io is None or {facts.inputs[0].dtype, facts.outputs[0].dtype} == {io}:
        return shipped
    if facts.quantization == "int8" and facts.float_operators:
        raise ModelError(f"{model} keeps some operators in float, which `io` here would lose. Use train `io={io!r}`.")
    with progress.stage("Read the model"):
        origin = export_source.read(model, data=data, progress=progress, head=head)
    with progress.stage(f"Make {io} input and output"):
        return origin.in_form(facts.quantization, io)


def refusal(info: metadata.ModelInfo, facts: inspection.ModelFacts, app: App) -> str:
    """Returns why an app cannot run a model that `Classifier` runs, and what would fit; empty where it can."""
    image, scores = facts.inputs[0], facts.outputs[0]
    fit, edges, wanted, options = Fit.to(image.shape), (image.dtype, scores.dtype), [], []
    if app.engine == client_rules.TASK_LIBRARY and (
        note := quantized_file.task_library_warning(Form(facts.quantization, image.dtype))
    ):
        return f"{note} Use train `quantize='int8'`."
    if not set(edges) <= set(app.io):
        wanted.append(" or ".join(app.io))
        options.append(f"`io={app.io[0]!r}` in export or train")
    if app.image_size is not None and (app.image_size, app.image_size) != (fit.height, fit.width):
        wanted.append(f"{app.image_size} x {app.image_size} pixels")
        options.append(f"train `image_size={app.image_size}`")
    if image.dtype == "float32" and app.normalization and not _near(info.normalization, app.normalization):
        wanted.append(f"pixels as (pixel - {app.normalization.mean}) / {app.normalization.std}")
        options.append("a backbone with that normalization, as efficientnet_lite0")
    if not wanted:
        return ""
    return (
        f"the model takes {edges[0]}, {fit.width} x {fit.height} pixels, and gives {edges[1]}; "
        f"wanted: {' and '.join(wanted)}. Use {' and '.join(options)}."
    )


def _near(ours: Normalization | None, theirs: Normalization) -> bool:
    """Whether an app's values are the model's but for some steps of a pixel."""
    if ours is None:
        return False
    steps = [abs((pixel - theirs.mean) / theirs.std * ours.std + ours.mean - pixel) for pixel in (0, 255)]
    return max(steps) <= _NEAR_STEPS


def _with_labels(content: bytes, app: App, progress: Progress) -> bytes:
    """Adds the labels under the name that an app reads, where another tool wrote the file."""
    stream = streams.BytesIO(content)
    if not app.labels or (zipfile.is_zipfile(stream) and app.labels in zipfile.ZipFile(stream).namelist()):
        return content
    progress.note(f"The labels are added to the model as {app.labels}, where {app.name} looks for them.")
    return metadata.write(content, metadata.read(content))


def _replace(app: App, folder: Path, put: Mapping[Path, bytes], *, overwrite: bool, progress: Progress) -> Installed:
    """Writes the files; of a pair that was put there earlier and is of another model, nothing stays."""
    for name, content in put.items():
        path = folder / name
        with files.explained(path):
            other = path.exists() and path.read_bytes() != content
        if other and not overwrite:
            raise OutputError(f"{path} is another model. Pass `overwrite=True` to replace it.")
    if app in OWN.values():
        for name in (Path(app.model).with_name(name) for name in (BACKBONE, HEAD)):
            if name not in put and (folder / name).exists():
                with files.explained(folder / name):
                    (folder / name).unlink()
                progress.note(
                    f"{name.name} was of an earlier model and is removed. Pass `teach` to put both files again."
                )
    for name, content in put.items():
        files.write(folder / name, content)
    return Installed(app, folder / app.model, len(put[Path(app.model)]), False)


def sources(platform: str) -> Path:
    """The folder of our own app.

    Raises:
      OutputError: it was not installed with the package.
    """
    for home in _HOMES:
        if (home / f"{platform}_assets").is_dir():
            return home / f"{platform}_assets"
    raise OutputError(
        f"The sources of {OWN[platform].name} are not installed here. Copy the folder {platform}_assets of the "
        f"repository, and name the copy: --{platform} COPY."
    )
