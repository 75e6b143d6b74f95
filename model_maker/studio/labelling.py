"""label(): the labelling queue of folders: what of a pile of photos to label first, and what each looks like."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model_maker.backbones import embedder
from model_maker.backbones.registry import DEFAULT
from model_maker.data import folders, sources
from model_maker.data.dataset import Dataset, Sample
from model_maker.data.entries import ListedPhoto
from model_maker.embeddings import computing, int8_suitability
from model_maker.errors import DataError
from model_maker.progress import Progress
from model_maker.studio import labelling_queue
from model_maker.tflite import network_layers

TOP = 50


@dataclass(frozen=True)
class Suggestion:
    """A photo to label.

    Attributes:
      path: where it lies.
      guess: the class that it looks like; empty where nothing can be guessed.
      score: of that guess, 0 to 1.
    """

    path: Path
    guess: str
    score: float


def label(
    data: str | os.PathLike[str],
    unlabelled: str | os.PathLike[str],
    *,
    top: int = TOP,
    progress: Progress | None = None,
) -> list[Suggestion]:
    """Tells which photos of a folder to label first, so that few labels teach a model most.

    Args:
      data: labeled photos, as for `train`.
      unlabelled: a folder of photos.

    Raises:
      DataError: there are no such folders, or no photos in them.
    """
    if top < 1:
        raise DataError(f"`top={top}`: give 1 or more.")
    folder = Path(unlabelled)
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder: pass a folder with unlabeled photos.")
    pile = folders.photos(folder)
    if not pile:
        raise DataError(f"{folder} holds no photos: give a folder that does.")
    return suggest(data, pile, top=top, progress=progress)


def suggest(
    data: str | os.PathLike[str], pile: Sequence[Path], *, top: int = TOP, progress: Progress | None = None
) -> list[Suggestion]:
    """Does the same for photos that are listed; those that cannot be read are left out."""
    progress = Progress(progress)
    with progress.stage("List photos"):
        dataset = sources.read(data, least_classes=1, progress=progress.step)
        others = _dataset(pile)
    choice = embedder.choose(DEFAULT)
    with progress.stage(f"Prepare {choice.name}"):
        base = embedder.embedder(choice, progress=progress)
        backbone = int8_suitability.prepare(base, dataset, progress)
    last = network_layers.features(backbone.layers, backbone.layers[-1:])
    with progress.stage("Embed photos"):
        found, gone = computing.feature_maps(dataset, *backbone.computing, progress=progress)
        labels = np.array(dataset.without(gone).labels, int)
    with progress.stage("Embed unlabeled photos"):
        unknown, unreadable = computing.feature_maps(others, *backbone.computing, progress=progress)
        samples = others.without(unreadable).samples
    with progress.stage("Choose"):
        vectors, rest = (maps.columns(last).read()[:, 0].astype(np.float32) for maps in (found, unknown))
        chosen = labelling_queue.queue(vectors, labels, rest, count=top)
    return [
        Suggestion(Path(str(samples[index].path)), dataset.classes[guess] if guess >= 0 else "", float(score))
        for index, guess, score in zip(chosen.order, chosen.guesses, chosen.scores, strict=True)
    ]


def _dataset(pile: Sequence[Path]) -> Dataset:
    """Returns different photos once each; what cannot be read is left out."""
    digests = sources.hash_all([ListedPhoto(path, "") for path in pile])
    different: dict[str, Path] = {}
    for path, (digest, _) in zip(pile, digests, strict=True):
        if digest:
            different.setdefault(digest, path)
    if not different:
        raise DataError(f"None of {len(pile)} photos can be read.")
    return Dataset(tuple(Sample(path, 0, digest) for digest, path in different.items()), ("",))
