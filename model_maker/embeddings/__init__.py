"""Embeddings of photos: computed on this machine or on a cluster, cached by content hash."""
