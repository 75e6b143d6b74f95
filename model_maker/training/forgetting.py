"""forget(): retrains a model without some photos, byte-identical to a training that never saw them, with a receipt."""

import hashlib
import json
import os
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from model_maker import output_folder, run_record
from model_maker.backbones import embedder, int8_backbone
from model_maker.data import augment, sources
from model_maker.data.augment import PRESETS
from model_maker.data.dataset import Dataset
from model_maker.embeddings import store
from model_maker.errors import DataError, ModelError, OutputError, about
from model_maker.inference.classifier import model_file
from model_maker.options import Options
from model_maker.progress import Progress
from model_maker.system import files
from model_maker.tflite import metadata, vetting
from model_maker.training import reproduction
from model_maker.training.train import train_on

RECEIPT = "receipt.json"
_HASH = re.compile(r"[0-9a-f]{64}")
# Statements of a receipt on copies that retraining cannot reach.
REMAINS = (
    "the photos themselves, where they lie",
    "the former model, its report with thumbnails of misclassified photos, and every copy and export of it",
    "their hashes, in this receipt and in run.json, which keeps them out while they still lie in the dataset",
)


@dataclass(frozen=True)
class Version:
    """A model before or after: hashes of its file and of its dataset, and the number of its photos."""

    sha256: str
    fingerprint: str
    photos: int


@dataclass(frozen=True)
class Receipt:
    """The result of `forget`.

    Attributes:
      model, output: the former file, and the folder of the new one.
      forgotten: sha256 of each photo.
      parts: the split that it was in, "train", "validation" or "test".
      before, after: both models.
      values: the metric on their own test photos, before and after.
      metric: "top1", or "mean_average_precision" for multi-label models.
      cached: number of embeddings that were overwritten in the cache.
      changed: whether the dataset has also changed otherwise since the former training.
    """

    model: Path
    output: Path
    forgotten: tuple[str, ...]
    parts: tuple[str, ...]
    before: Version
    after: Version
    values: tuple[float, float]
    metric: str
    cached: int
    changed: bool

    def as_dict(self) -> dict[str, Any]:
        """Returns JSON types."""
        found = asdict(self) | {"model": str(self.model), "output": str(self.output), "remains": list(REMAINS)}
        return found | {key: list(found[key]) for key in ("forgotten", "parts", "values")}


def forget(
    model: str | os.PathLike[str],
    photos: Sequence[str | os.PathLike[str]],
    data: str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Receipt:
    """Retrains a model without some of its photos, and overwrites their embeddings in the cache.

    Args:
      model: an output folder of `train`, or the `.tflite` in it.
      photos: paths, or sha256 hashes of photos that are already deleted. Copies with the same content are forgotten,
        too.
      data: its training photos, with or without these.
      output: folder of the new model; by default that of the former one with `_without`.
      overwrite: whether to replace an existing folder.
      progress: receives progress events.

    Returns:
      The receipt, which is also written to the new folder as `receipt.json`.

    Raises:
      ModelError: the file has no provenance, or was fine-tuned.
      DataError: a photo was not used by the model, or too few photos remain.
      OutputError: the output would replace the former model.

    Examples:
      >>> import model_maker
      >>> receipt = model_maker.forget("flowers_float16", ["flowers/rose/rose_001.jpg"], "flowers", "flowers_without")
      >>> receipt.before.photos - receipt.after.photos
      1
    """
    progress, path = Progress(progress), model_file(model)
    content = vetting.read(path)
    with about(path):
        provenance = metadata.read(content).provenance
        options = reproduction.options_of(provenance)
        if options.fine_tune:
            raise ModelError(
                "it was fine-tuned: epochs, blend and early stopping depend on every photo and on the machine, so no "
                "retraining can be proven equal to one that never saw some. Train a new model without them."
            )
    folder = output_folder.home(path)
    named = folder if folder.name else folder.resolve()
    target = Path(output) if output is not None else named.with_name(f"{named.name}_without")
    if target.resolve() == path.resolve().parent:
        raise OutputError(f"{target} contains the model that is to forget. Choose another folder.")
    # Before any work, and before anything in the cache is overwritten.
    files.check_new(
        target, overwrite=overwrite, advice="or pass `overwrite=True` to replace it", mark=output_folder.RUN
    )
    digests = {_digest(photo): str(photo) for photo in photos}
    if not digests:
        raise DataError("There is nothing to forget: pass photos.")
    with progress.stage("List photos"):
        dataset = sources.read(data, multi_label=options.multi_label, progress=progress.step)
        parts, changed = _parts(folder, dataset, digests, options)
    if changed:
        progress.note(f"{data} has also changed otherwise since training, so the new model differs by that, too.")
    cached = _drop(digests, options, progress)
    if (provenance.get("backbone") or {}).get("ranges") == "photos":
        _drop_int8(options, progress)
    result = train_on(None, data, target, options, progress, overwrite=overwrite, forgotten=tuple(digests))
    after = vetting.read(target / output_folder.MODEL)
    metric = "mean_average_precision" if options.multi_label else "top1"
    before = Version(_sha256(content), provenance["fingerprint"], sum(provenance["photos"].values()))
    receipt = Receipt(
        path,
        target,
        tuple(digests),
        tuple(parts[digest] for digest in digests),
        before,
        Version(_sha256(after), result.measured.fingerprint, sum(result.measured.photos.values())),
        (float(provenance["metrics"][metric]), float(getattr(result.measured.test, metric))),
        metric,
        cached,
        changed,
    )
    files.write(target / RECEIPT, output_folder.as_json(receipt.as_dict()).encode())
    return receipt


def _digest(photo: str | os.PathLike[str]) -> str:
    """Returns the sha256 of a photo, given its path or the hash itself."""
    if _HASH.fullmatch(str(photo)):
        return str(photo)
    try:
        return _sha256(Path(photo).read_bytes())
    except OSError as error:
        raise DataError(
            f"{photo}: {error.strerror or 'unreadable'}. Pass the path of a photo, or its sha256 if it is deleted."
        ) from error


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _parts(folder: Path, dataset: Dataset, digests: dict[str, str], options: Options) -> tuple[dict[str, str], bool]:
    """Returns the split of each photo to forget, and whether other photos were added or removed since training.

    Raises:
      DataError: a photo was in no split.
    """
    listed = _listed(folder)
    if listed is None:  # a file copied elsewhere: its training photos follow from the dataset
        split = dataset.split(validation=options.validation, test=options.test, seed=options.seed)
        named = (("train", split.train), ("validation", split.validation), ("test", split.test))
        listed = {sample.digest: part for part, photos in named for sample in photos.samples}
    length = len(next(iter(listed), ""))
    found = {digest: listed.get(digest[:length], "") for digest in digests}
    if missing := [digests[digest] for digest, part in found.items() if not part]:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise DataError(f"{missing[0]}{more}: not among the photos of the model, so there is nothing to forget of it.")
    gone = {digest[:length] for digest in digests}
    kept = {sample.digest[:length] for sample in _usable(folder, dataset).samples}
    return found, set(listed) - gone != kept - gone


def _usable(folder: Path, dataset: Dataset) -> Dataset:
    if not (folder / output_folder.RUN).exists():
        return dataset
    return run_record.without_skipped(dataset, run_record.load(folder))


def _listed(folder: Path) -> dict[str, str] | None:
    """Reads the split of each photo, by truncated hash; None without a list."""
    try:
        found = json.loads((folder / output_folder.SPLIT).read_text(encoding="utf-8"))
        return {digest: part for part in ("train", "validation", "test") for digest in found[part]}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder / output_folder.SPLIT} is not as `train` wrote it ({error!r}).") from error


def _drop(digests: Sequence[str] | dict[str, str], options: Options, progress: Progress) -> int:
    """Overwrites the embeddings of photos, and of their augmented views, in every store of the cache."""
    names = store.pack(
        augment.identity(digest, preset, seed=options.seed, number=number)
        for digest in digests
        for preset in PRESETS.values()
        for number in range(options.views)
    )
    with progress.stage("Overwrite cached embeddings"):
        return sum(found.drop(names) for found in store.stores(files.cache_directory() / "embeddings"))


def _drop_int8(options: Options, progress: Progress) -> None:
    """Removes the cached int8 form of a backbone, if it was calibrated on photos, which may include these."""
    choice = embedder.choose(
        options.model,
        image_size=options.image_size,
        weights_file=options.weights,
        normalization=options.normalization,
    )
    path = int8_backbone.cache_path(embedder.embedder(choice, progress=progress), b"")
    if path.exists():
        path.unlink()
        progress.note(
            f"The int8 form of {choice.name} was made from photos, so it is made anew from those that remain."
        )
