"""The row of a class where nothing is known of the photos of the others: a row like the old ones."""

import numpy as np

from model_maker.learning import new_class
from model_maker.tflite.class_rows import Rows

NONE = np.empty((0, 0))


def old_rows(classes, features):
    random = np.random.default_rng(2)
    scales = np.geomspace(1, 0.05, features)
    kernel = 0.3 + random.normal(size=(classes, features)) * scales
    return Rows(kernel.astype(np.float32), random.normal(size=classes).astype(np.float32))


def expected_kernel(rows, photos):
    """By the definition: the root of the covariance times the mean photo, as long as old rows, on their mean."""
    mean = rows.kernel.mean(axis=0)
    centered = (rows.kernel - mean).astype(float)
    values, vectors = np.linalg.eigh(centered.T @ centered)
    direction = vectors @ (np.sqrt(np.clip(values, 0, None)) * (vectors.T @ photos.mean(axis=0)))
    length = 0.95 * np.linalg.norm(centered, axis=1).mean()  # see docs/how-to/classes.md
    return mean + direction * length / np.linalg.norm(direction)


def test_the_row_is_the_root_of_the_covariance_times_the_photos():
    rows, photos = old_rows(60, 80), np.abs(np.random.default_rng(3).normal(size=(4, 80))).astype(np.float32)
    row = new_class.imprint(rows, photos, NONE)
    expected = expected_kernel(rows, photos)
    # Lanczos' method stops early: some thousandths of the length.
    assert np.linalg.norm(row.kernel - expected) < 0.01 * np.linalg.norm(expected)
    assert row.bias == np.float32(rows.bias.mean())


def test_held_out_margins_are_of_rows_without_the_photo():
    rows, photos = old_rows(60, 80), np.abs(np.random.default_rng(4).normal(size=(3, 80))).astype(np.float32)
    found = new_class.imprint(rows, photos, NONE).held_out
    for at, margin in enumerate(found):
        kernel = expected_kernel(rows, np.delete(photos, at, axis=0))
        own = photos[at] @ kernel + rows.bias.mean()
        np.testing.assert_allclose(margin, own - rows.logits(photos[at : at + 1]).max(), rtol=0.02, atol=0.05)


def test_with_more_classes_than_features_new_photos_give_up_half_of_their_lead():
    rows = old_rows(90, 20)
    center = 4 * rows.kernel[:1] / np.linalg.norm(rows.kernel[0])
    photos = (center + 0.05 * np.random.default_rng(5).normal(size=(4, 20))).astype(np.float32)
    row = new_class.imprint(rows, photos, NONE)
    leads = []
    for at in range(len(photos)):
        kernel = expected_kernel(rows, np.delete(photos, at, axis=0))
        leads.append(photos[at] @ kernel + rows.bias.mean() - rows.logits(photos[at : at + 1]).max())
    assert np.mean(leads) > 0
    expected = rows.bias.mean() - np.mean(leads) / 2
    np.testing.assert_allclose(row.bias, expected, atol=0.02)


def test_one_photo_has_no_held_out_margin():
    rows, photos = old_rows(60, 80), np.ones((1, 80), np.float32)
    row = new_class.imprint(rows, photos, NONE)
    assert row.held_out.size == 0 and np.isfinite(row.kernel).all()
