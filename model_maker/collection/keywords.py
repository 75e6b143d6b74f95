"""keywords(): finds words for each photo of a folder; writes a table and, optionally, XMP sidecars."""

import csv
import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np

from model_maker import output_folder
from model_maker.collection import organize, photos, vectors
from model_maker.data import imagenet, wordnet
from model_maker.data.dataset import Dataset
from model_maker.data.entries import Location
from model_maker.errors import DataError
from model_maker.learning import likelihoods
from model_maker.progress import Progress
from model_maker.system import files
from model_maker.terminal import safe_text
from model_maker.zero_shot_learning import classify, head, known, label_names, tiers, towers
from model_maker.zero_shot_learning.text_vectors import TEMPLATE

Array = np.ndarray[Any, Any]

TABLE, SIDECAR = "keywords.csv", ".xmp"
# Minimum share of the total probability for a keyword.
THRESHOLD = 0.3
# Kinds with more ImageNet classes than this, such as animals and artifacts, are too general: dogs are 118.
_WIDEST = 150
_XMP = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/">
   <dc:subject>
    <rdf:Bag>
{items}
    </rdf:Bag>
   </dc:subject>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>
"""


@dataclass(frozen=True)
class Keywords:
    """Keywords of photos.

    Attributes:
      directory: the output folder.
      tier: the zero-shot tier that was used; `source` is where its words come from.
      photos: keywords of each photo, most confident first, by its path in the folder.
      skipped: photos that could not be read, and why.
    """

    directory: Path
    tier: str
    source: str
    photos: dict[str, dict[str, float]]
    skipped: dict[str, str]

    def as_dict(self) -> dict[str, Any]:
        """Returns JSON types."""
        return {
            "output": str(self.directory),
            "tier": self.tier,
            "source": self.source,
            "photos": self.photos,
            "skipped": self.skipped,
        }


def keywords(
    data: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    labels: Sequence[str] | None = None,
    backbone: str = "efficientnet_lite0",
    tier: str | None = None,
    text_vectors: str | os.PathLike[str] | None = None,
    tower: str | None = None,
    accept_licence: str | None = None,
    hypothesis_template: str = TEMPLATE,
    threshold: float | None = None,
    xmp: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Keywords:
    """Writes keywords for each photo of a folder; the photos are neither copied nor changed.

    Args:
      data: the folder of photos, in folders of any depth.
      output: the folder to make, with `keywords.csv` and the sidecars.
      labels: the words to choose from; by default all that the tier "known" knows.
      backbone: the backbone that looks.
      tier, text_vectors, tower, accept_licence, hypothesis_template: see `zero_shot`.
      threshold: from which share on a word counts; 0.3 by default.
      xmp: whether to write a sidecar for each photo with keywords, named as the photo with `.xmp` behind, in the same
        folders below `output`.
      overwrite: whether to replace an existing output folder of this function.
      progress: receives stages, steps and notes.

    Returns:
      Keywords.

    Raises:
      DataError, OutputError: each with one line that says what to do.

    Examples:
      >>> import model_maker
      >>> model_maker.keywords("flowers", "flower_keywords").tier
      'known'
    """
    output, report, home = Path(output), Progress(progress), Path(data)
    limit = THRESHOLD if threshold is None else threshold
    if not 0 < limit <= 1:
        raise DataError(f"`threshold={limit:g}`: give a share above 0, up to 1.")
    files.check_new(output, overwrite=overwrite, advice="or pass `overwrite=True` to replace it", mark=TABLE)
    organize.check_apart(home, output)
    given = None if labels is None else label_names.check(labels)
    classes = head.classes_of(backbone)
    vector_file = tiers.read_vectors(text_vectors)
    chosen = tiers.choose(given or (), tier, vector_file, classes=classes)
    if given is None and chosen != known.NAME:
        raise DataError(f"The tier {chosen} accepts any words: pass them as `labels`.")
    if chosen in tiers.WITH_TOWERS and vector_file is None:
        towers.check(tower, accept_licence=accept_licence)
    with report.stage("List photos"):
        pile = photos.read(data, progress=report)
    skipped = {_name(one.path, home): one.reason for one in pile.skipped}
    if chosen == known.NAME:
        words, source = _known_words(given, classes), known.SOURCE
        scored = _by_published(pile, list(words.values()), backbone, report)
        names: Sequence[str] = list(words)
    else:
        found = classify.prepare(
            given or (),
            hypothesis_template=hypothesis_template,
            model=backbone,
            tier=chosen,
            text_vectors=text_vectors,
            tower=tower,
            accept_licence=accept_licence,
            progress=report,
        )
        names, source = found.classifier.labels, found.source
        scored = _by_classifier(pile, found.classifier, report)
    photos_of: dict[str, dict[str, float]] = {}
    for path, scores in scored:
        if isinstance(scores, str):
            skipped[_name(path, home)] = scores
            continue
        ranked = [int(index) for index in np.argsort(-scores, kind="stable") if scores[index] >= limit]
        photos_of[_name(path, home)] = {names[index]: round(float(scores[index]), 4) for index in ranked}
    for name, reason in skipped.items():
        report.note(f"{name}: {reason}; it is left out.")
    with report.stage("Write"):
        _write(output, photos_of, xmp=xmp, overwrite=overwrite)
    return Keywords(output, chosen, source, photos_of, skipped)


def sidecar(words: Sequence[str]) -> str:
    """Returns an XMP document with words as `dc:subject`.

    Source: Adobe, "XMP Specification Part 1", 7.5, and Part 2, "Dublin Core namespace".
    """
    return _XMP.format(items="\n".join(f"     <rdf:li>{escape(word)}</rdf:li>" for word in words))


def _name(path: Location, home: Path) -> str:
    return Path(str(path)).relative_to(home).as_posix()


def _known_words(given: Sequence[str] | None, classes: int) -> dict[str, tuple[int, ...]]:
    """Returns the words to choose from, and the ImageNet classes of each; the general ones last."""
    if given is None and classes == imagenet.CLASSES_21K:
        return {label: (row,) for row, label in enumerate(imagenet.labels(classes))}
    if given is None:
        return wordnet.kinds(_WIDEST)
    return {label: meaning.classes for label in given if (meaning := wordnet.find(label, classes)) is not None}


def _by_published(
    pile: Dataset, classes: Sequence[Sequence[int]], backbone: str, report: Progress
) -> Iterator[tuple[Location, Array | str]]:
    """Yields for each photo the total probability of the classes of each word, by the published head."""
    with report.stage(f"Prepare {backbone}"):
        published = head.published(backbone, progress=report)
        prepared = vectors.prepared(backbone, progress=report)
    with report.stage("Embed new photos"):
        found = vectors.by_backbone(pile, prepared, progress=report)
    yield from ((one.path, one.reason) for one in found.skipped)
    logits = (block @ published.kernel.T + published.bias for block in found.maps.blocks())
    rows = (row for some in logits for row in likelihoods.softmax(some))
    for sample, row in zip(found.photos.samples, rows, strict=True):
        yield sample.path, np.array([row[list(some)].sum() for some in classes])


def _by_classifier(
    pile: Dataset, classifier: classify.Answering, report: Progress
) -> Iterator[tuple[Location, Array | str]]:
    with report.stage("Classify"):
        results = classifier.scores(sample.path for sample in pile.samples)
        for done, (sample, scores) in enumerate(zip(pile.samples, results, strict=True), start=1):
            report.step(done, len(pile))
            if isinstance(scores, DataError):
                yield sample.path, str(scores).removeprefix(f"{sample.path}: ")
            else:
                yield sample.path, scores


def _write(output: Path, photos_of: dict[str, dict[str, float]], *, xmp: bool, overwrite: bool) -> None:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("photo", "keywords"))
    for name, words in photos_of.items():
        rows.writerow((safe_text.cell(name), safe_text.cell("; ".join(words))))
    with files.new_directory(output, overwrite=overwrite) as folder:
        texts = {TABLE: text.getvalue()}
        if xmp:
            texts |= {f"{name}{SIDECAR}": sidecar(list(words)) for name, words in photos_of.items() if words}
        for name in texts:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
        output_folder.write(folder, texts)
