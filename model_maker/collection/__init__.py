"""Unlabeled photos: search by photo or words, keywords, and sorting into folders."""
