"""Putting a model into phone apps: our own, published samples, typed wrappers."""
