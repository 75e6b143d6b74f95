"""Derives kernels from class names: the prior of a head with few training photos."""

from dataclasses import dataclass

import numpy as np

from model_maker.errors import DataError
from model_maker.learning.heads import Prior
from model_maker.options import Options
from model_maker.progress import Progress
from model_maker.zero_shot_learning import head, known, tiers, words
from model_maker.zero_shot_learning.label_names import listed
from model_maker.zero_shot_learning.text_vectors import TextVectors, VectorFile


@dataclass(frozen=True)
class TextPrior:
    """Kernels derived from class names.

    Attributes:
      head: head towards which training is regularized.
      tier, source: the zero-shot tier that was used, and the source of its words.
      meanings: interpretation of each class name; classes without one have no prior.
    """

    head: Prior
    tier: str
    source: str
    meanings: dict[str, str]


def of(classes: tuple[str, ...], options: Options, progress: Progress) -> TextPrior | None:
    """Returns the prior that the options request; None if they request none.

    Raises:
      DataError: fewer than two names have a meaning.
      BackboneError: the model has no published kernels.
    """
    asked = options.labels_from_text
    if asked is None:
        return None
    with progress.stage("Make kernels from names"):
        published = head.published(options.model, options.weights, progress=progress)
        vectors: TextVectors | None = None
        if asked == known.NAME:
            tier, lacking = known.NAME, known.unknown(classes, len(published.kernel))
        elif asked == tiers.WORDS:
            tier, vectors, lacking = tiers.WORDS, tiers.tower(progress=progress), list[str]()
        else:
            tier, vectors = tiers.WORDS, (file := VectorFile(asked))
            lacking = file.lacking(classes)
        having = tuple(name for name in classes if name not in lacking)
        if len(having) < 2:
            raise DataError(
                f"`labels_from_text={asked}` knows {len(having)} of the {len(classes)} classes, and two are needed; it "
                f"does not know {listed(lacking)}. Rename classes to words that it knows, or leave it out."
            )
        if vectors is None:  # photos distinguish classes that names do not
            found = known.fit(having, published, distinct=False)
        else:
            found = words.fit(having, published, vectors, progress=progress)
    if lacking:
        progress.note(
            f"The names {listed(lacking)} have no meaning in the tier {tier}: these classes start from nothing."
        )
    rows = [classes.index(name) for name in having]
    kernel, bias = np.zeros((len(classes), found.kernel.shape[1])), np.zeros(len(classes))
    kernel[rows], bias[rows] = found.kernel, found.bias
    meanings = dict(zip(having, found.meanings, strict=True))
    return TextPrior(Prior(kernel, bias), found.tier, found.source, meanings)
