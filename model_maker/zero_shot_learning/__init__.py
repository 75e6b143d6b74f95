"""Classifiers for classes of which there are no photos, from their names; search and sorting of photos."""
