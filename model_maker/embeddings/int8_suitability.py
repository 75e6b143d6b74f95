"""Checks that an int8 backbone is accurate on the given photos, and calibrates it on them if it is not."""

import dataclasses

import numpy as np

from model_maker.backbones import int8_backbone
from model_maker.backbones.embedder import Embedder
from model_maker.backbones.int8_backbone import Int8Backbone, QuantizedEmbedder
from model_maker.data.dataset import Dataset
from model_maker.embeddings import computing
from model_maker.errors import ModelError
from model_maker.progress import Progress
from model_maker.tflite import network_layers

# Photos on which both forms of a backbone are compared.
_COMPARED = 32
# Allowed quantization error of a layer, relative to how much its features vary between photos (ratio of standard
# deviations). On photographs it is 0.07 to 0.1, on photos of low contrast 0.2; see docs/MEASUREMENTS.md.
BLUR = 0.15


def prepare(
    base: Embedder, train: Dataset, progress: Progress, *, threads: int | None = None, known: Int8Backbone | None = None
) -> QuantizedEmbedder:
    """Adds its int8 form to a backbone; all later steps use it to compute features.

    If the int8 form is too inaccurate, as it may be on photos unlike those that its ranges come from, it is calibrated
    on these photos, with a note. A `known` int8 form is used however accurate it is on these photos.
    """
    if known:
        return QuantizedEmbedder.of(base, known, is_chosen=True)
    photos = train.by_digest()
    paths, digests = [sample.path for sample in photos], [sample.digest for sample in photos]
    try:
        form = int8_backbone.int8_backbone(base, paths, progress=progress, threads=threads)
    except ModelError as error:
        progress.note(f"{error} So its float form computes, and the head sees its last layer.")
        return QuantizedEmbedder.of(base, None)
    sample = dataclasses.replace(train, samples=tuple(photos[:_COMPARED]))
    both = QuantizedEmbedder.of(base, form)
    layer, blur = blurred(both, sample, threads=threads)
    if blur > BLUR:
        own = int8_backbone.calibrated_on(base, paths, digests, progress=progress, threads=threads)
        if own.content != form.content:  # equal if it already came from these photos
            progress.note(
                f"These photos are unlike those that {base.name} was quantized on: in int8 its layer {layer} differs "
                f"by {100 * blur:.0f} % of its spread, above {100 * BLUR:.0f} %. Its ranges are taken from these "
                "photos."
            )
            return QuantizedEmbedder.of(base, own)
    return both


def blurred(backbone: QuantizedEmbedder, photos: Dataset, *, threads: int | None = None) -> tuple[str, float]:
    """Measures the quantization error of an int8 backbone on photos.

    Returns:
      The layer with the largest error, and the error: the standard deviation of the errors of its features, relative to
      that of the features. A constant error does not count, because a head compensates for it.
    """
    form, expected = backbone.int8, (backbone.normalization, backbone.resize)
    real, _ = computing.feature_maps(photos, backbone.joined, *expected, threads=threads)
    if form is None or len(real) < 2:
        return backbone.layers[-1].name, 0.0
    values = real.read()[:, 0].astype(np.float32)
    # Not cached: the photos are embedded later anyway, and progress then counts those that were already cached.
    whole = computing.look_up(photos, form.embedder, backbone.resize, threads=threads)
    error = (whole * np.float32(form.step) - values).var(axis=0)
    spread = values.var(axis=0)
    shares = {}
    for layer in form.layers:
        columns = network_layers.features(form.layers, [layer])
        shares[layer.name] = float(np.sqrt(error[columns].mean() / max(float(spread[columns].mean()), 1e-12)))
    worst = max(shares, key=lambda name: shares[name])
    return worst, shares[worst]
