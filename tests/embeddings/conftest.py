"""What several tests of embeddings need."""

import pytest


@pytest.fixture
def data(tmp_path, make_photos, empty_cache):
    """Twelve photos of 8 x 8, which the tiny embedders take without resizing, and a cache of their own."""
    make_photos(tmp_path / "data", {"a": 5, "b": 7}, side=8)
    return tmp_path / "data"
