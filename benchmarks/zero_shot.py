"""Measures labels without photos, heads that start from names, and the search of many photos.

    python -m benchmarks.zero_shot SHARED

SHARED holds `data/imagenet_samples`, `data/clothing`, `data/flowers` and `data/clip_text`, as tests use them.
"""

import hashlib
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from model_maker import Classifier
from model_maker.collection import search, vectors
from model_maker.data import sources
from model_maker.data.dataset import Dataset, Sample
from model_maker.embeddings.store import EmbeddingStore, FeatureMaps, pack
from model_maker.learning import heads
from model_maker.learning.heads import Prior
from model_maker.progress import SILENT, peak_memory_mb
from model_maker.zero_shot_learning import head, int8_model, words
from model_maker.zero_shot_learning.text_vectors import VectorFile

Array = np.ndarray[Any, Any]

MODEL = "efficientnet_lite0"
# Class folders whose names have no vector, and a word that has one; None for none.
OTHER_WORDS = {"outwear": "coat", "longsleeve": None, "roses": "rose", "sunflowers": "sunflower"}
DRAWS, PHOTOS_OF_A_CLASS = 10, (1, 2, 5)
MANY = 100_000


def main(shared: Path) -> None:
    known(shared / "data" / "imagenet_samples")
    file = VectorFile(shared / "data" / "clip_text")
    clothing(shared / "data" / "clothing", file)
    for name in ("clothing", "flowers"):
        priors(shared / "data" / name, file)
    many()


def known(samples: Path) -> None:
    """Photos of ImageNet by their own names."""
    photos = sorted(samples.glob("*.jpg"))
    names = [photo.stem.split("_", 2)[2].replace("_", " ") for photo in photos]
    made = int8_model.build(names, model=MODEL, progress=SILENT)
    for kind, content in (("int8", made.file()), ("float", made.float_file())):
        print(f"known, {kind}: {_right(content, photos, range(len(photos)))} of {len(photos)} right")


def clothing(folder: Path, file: VectorFile) -> None:
    """Kinds of clothing by text vectors."""
    words_of = {name: OTHER_WORDS.get(name, name) for name in sorted(path.name for path in folder.iterdir())}
    labels = {name: word for name, word in words_of.items() if word and not file.lacking([word])}
    photos = [photo for name in labels for photo in sorted((folder / name).iterdir())]
    truth = [list(labels).index(photo.parent.name) for photo in photos]
    made = int8_model.build(list(labels.values()), model=MODEL, tier="words", vectors=file, progress=SILENT)
    for kind, content in (("int8", made.file()), ("float", made.float_file())):
        share = _right(content, photos, truth) / len(photos)
        print(f"words, {len(labels)} kinds of clothing, {kind}: {100 * share:.1f} % of {len(photos)}")


def _right(content: bytes, photos: Sequence[Path], truth: Sequence[int]) -> int:
    rows = Classifier(content).predict(photos, top_k=1)
    return sum(row[0].index == index for row, index in zip(rows, truth, strict=True))


def priors(folder: Path, file: VectorFile) -> None:
    """Heads from few photos, with and without kernels of names."""
    dataset = sources.read(folder)
    found = vectors.by_backbone(dataset, vectors.prepared(MODEL, progress=SILENT), progress=SILENT)
    features, labels = found.maps[:].astype(np.float32) * np.float32(found.maps.step), np.array(found.photos.labels)
    prior = _prior(dataset.classes, file)
    nothing = Prior(np.zeros_like(prior.kernel), np.zeros(len(dataset.classes)))
    for count in PHOTOS_OF_A_CLASS:
        shares: dict[str, list[float]] = {"without": [], "with": []}
        for seed in range(DRAWS):
            order = np.random.default_rng(seed).permutation(len(labels))
            ranks = {label: np.flatnonzero(labels[order] == label) for label in range(len(dataset.classes))}
            seen = order[np.concatenate([rows[:count] for rows in ranks.values()])]
            unseen = np.setdiff1d(order, seen)
            for name, one in (("without", nothing if count == 1 else None), ("with", prior)):
                fit = heads.fit(features[seen], labels[seen], classes=len(dataset.classes), prior=one)
                shares[name].append(float((fit.head.logits(features[unseen]).argmax(1) == labels[unseen]).mean()))
        told = ", ".join(f"{name} {100 * np.mean(some):.1f} %" for name, some in shares.items())
        print(f"{folder.name}, {count} photos of each class: {told}")


def _prior(classes: Sequence[str], file: VectorFile) -> Prior:
    texts = [OTHER_WORDS.get(name, name) for name in classes]
    having = [row for row, text in enumerate(texts) if text and not file.lacking([text])]
    labels = tuple(str(texts[row]) for row in having)
    found = words.fit(labels, head.published(MODEL), file)
    kernel = np.zeros((len(classes), found.kernel.shape[1]))
    kernel[having] = found.kernel
    return Prior(kernel, np.zeros(len(classes)))


def many() -> None:
    """A search of random embeddings, as many as a large collection has."""
    backbone = vectors.prepared(MODEL, progress=SILENT)
    width = sum(layer.size for layer in backbone.layers)
    digests = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(MANY)]
    with tempfile.TemporaryDirectory() as folder:
        store, random = EmbeddingStore(Path(folder) / "many.vectors", width, "int8"), np.random.default_rng(0)
        for start in range(0, MANY, 1000):
            store.append(pack(digests[start : start + 1000]), random.integers(-20, 60, (1000, width), dtype=np.int8))
        photos = Dataset(tuple(Sample(Path(name), 0, name) for name in digests), ("",))
        size = backbone.layers[-1].size
        maps = FeatureMaps(store, np.arange(MANY)[:, None], (width,)).columns(np.arange(width - size, width))
        held, query = vectors.Vectors(photos, maps, ()), random.random(size)
        seconds = []
        for _ in range(7):
            began = time.perf_counter()
            search.best(held.compare(query, cosine=True), 10)
            seconds.append(time.perf_counter() - began)
    print(
        f"search of {MANY:,}: {np.median(seconds):.3f} s (least {min(seconds):.3f}), {peak_memory_mb():.0f} MB at most"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
