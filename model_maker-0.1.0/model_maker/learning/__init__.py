"""From embeddings to a classifier."""
