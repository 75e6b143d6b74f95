"""Embeddings whole in memory, as tests compare them."""

from model_maker.embeddings.computing import feature_maps


def embed(dataset, embedder, normalization, **options):
    """Returns what `feature_maps` finds, read: [N, D] of plain photos, else [N, K, D]; and what was skipped."""
    found, skipped = feature_maps(dataset, embedder, normalization, **options)
    vectors = found.read()
    return vectors if found.views > 1 else vectors[:, 0], skipped
