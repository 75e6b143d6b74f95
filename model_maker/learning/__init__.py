"""Trains a classifier on embeddings."""
