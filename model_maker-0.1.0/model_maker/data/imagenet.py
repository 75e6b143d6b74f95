"""The 1000 classes of ImageNet (ILSVRC 2012), which published classifiers know."""

from __future__ import annotations

import functools
from importlib import resources


@functools.cache
def labels() -> tuple[str, ...]:
    """Returns one unique English name a class, in the order of published classifiers: by WordNet's number.

    Source: the first word of each synset in WordNet 3.0; four that would be alike carry what tells them apart.
    """
    text = resources.files("model_maker.data").joinpath("imagenet_labels.txt").read_text(encoding="utf-8")
    return tuple(text.splitlines())
