"""Near duplicates: photos of the same image, and how much they inflate accuracy.

Compares the perceptual hashes of all pairs; a pair counts only if its embeddings are similar, too. This finds other
encodings, sizes and mirror images, but not crops or other shots of the same subject. Time grows with the square of the
number of photos (2 x 10^10 comparisons for 100,000, about a minute), memory with the number.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from model_maker.doctor import label_errors

Array = np.ndarray

# Maximum number of differing bits, of 64, and the cosine of centered embeddings that is required then. Re-encoded at
# qualities 50 to 85 and 0.85 to 1.1 times the size, 100 photos of flowers differed in 0 to 2 bits at cosines of 0.74
# and more; none of 180,000 pairs of different photos differed in fewer than 12 bits.
_LIKENESS = ((4, 0.4), (8, 0.7))
# Below this spread of its pixels an image has nearly a single color, and its hash carries no information.
_LEAST_SPREAD = 4.0
# Comparisons per batch.
BLOCK = 1 << 24


def groups(digests: Sequence[str], hashes: Array, mirrored: Array, spreads: Array, vectors: Array | None) -> Array:
    """Numbers photos so that near duplicates share a number.

    Args:
      hashes, mirrored: uint64 [N], perceptual hashes of the photos and of their mirror images.
      spreads: float [N], spread of their pixels; hashes of nearly uniform images are not compared.
      vectors: float32 [N, D], embeddings as `label_errors.directions` returns them; None compares hashes only.

    Returns:
      int [N], each group's number being the index of its first photo.
    """
    parent = list(range(len(digests)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = index = parent[parent[index]]
        return index

    def join(one: int, other: int) -> None:
        low, high = sorted((root(one), root(other)))
        parent[high] = low

    first: dict[str, int] = {}
    for index, digest in enumerate(digests):
        join(index, first.setdefault(digest, index))
    # One of each group of exact copies is compared, so that a thousand copies do not make a million pairs.
    rows = np.array([index for index in first.values() if spreads[index] >= _LEAST_SPREAD], int)
    for one, other, bits in _near(hashes[rows], mirrored[rows]):
        one, other = rows[one], rows[other]
        alike = 1.0 if vectors is None else float(vectors[one] @ vectors[other])
        if any(bits <= most and alike >= least for most, least in _LIKENESS):
            join(int(one), int(other))
    return np.array([root(index) for index in range(len(parent))], int)


def _near(hashes: Array, mirrored: Array) -> Iterator[tuple[int, int, int]]:
    """Yields pairs of rows whose hashes, mirrored or not, differ in few bits, and the number of bits."""
    most = max(bits for bits, _ in _LIKENESS)
    step = max(1, BLOCK // max(1, len(hashes)))
    for start in range(0, len(hashes), step):
        block = hashes[start : start + step, None]
        later = hashes[None, start:], mirrored[None, start:]
        differ = np.minimum(*(np.bitwise_count(block ^ others) for others in later))
        for one, other in zip(*np.nonzero(differ <= most), strict=True):
            if other > one:
                yield start + int(one), start + int(other), int(differ[one, other])


def sizes(numbers: Array) -> Array:
    """Returns, for each photo, how many photos share its number, including itself."""
    _, inverse, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    return counts[inverse]


def inflation_by_folds(vectors: Array, labels: Array, numbers: Array) -> dict | None:
    """Measures how much near duplicates inflate accuracy: cross-validates with them together and apart.

    Photos without near duplicates are in the same folds both times, so nothing else differs.

    Returns:
      Plain JSON types: number of `photos` with a near duplicate of their class, `top1_apart`, `top1_together`, and
      their difference in `points`; None without near duplicates, or if classes are too small.
    """
    kept = label_errors.assessable(labels, numbers)
    vectors, labels, numbers = vectors[kept], np.unique(labels[kept], return_inverse=True)[1], numbers[kept]
    copies = int((sizes(numbers * (labels.max(initial=0) + 1) + labels) > 1).sum())
    if not copies or len(np.unique(labels)) < 2:
        return None
    right = np.zeros(2)
    seeds = label_errors.divisions(len(labels))[:2]
    for seed in seeds:
        together = label_errors.folds(labels, numbers, seed=seed)
        apart = (together + _ranks(numbers)) % (together.max() + 1)
        for index, folds in enumerate((apart, together)):
            right[index] += (label_errors.held_out(vectors, labels, folds).argmax(1) == labels).mean()
    spread, grouped = (float(value) for value in right / len(seeds))
    return {
        "photos": copies,
        "top1_apart": round(spread, 4),
        "top1_together": round(grouped, 4),
        "points": round(100 * (spread - grouped), 2),
    }


def inflation_on_test(vectors: Array, labels: Array, numbers: Array, learns: Array, tests: Array) -> dict | None:
    """Measures how much near duplicates inflate test accuracy: compares heads trained with and without them.

    Args:
      vectors, labels, numbers: as for `inflation_by_folds`.
      learns, tests: bool [N], the training photos and the test photos.

    Returns:
      Plain JSON types: number of test `photos` with a near duplicate in training, and of all `tested`; then, if
      classes have enough photos, `top1` with them, `top1_without`, and their difference in `points`.
    """
    seen = tests & np.isin(numbers, numbers[learns])
    if not seen.any():
        return None
    found: dict = {"photos": int(seen.sum()), "tested": int(tests.sum())}
    without = learns & ~np.isin(numbers, numbers[tests])
    counts = np.bincount(labels[without], minlength=labels.max() + 1)
    if counts.min() < label_errors.LEAST or len(counts) < 2:
        return found
    with_twins, honest = (
        float((label_errors.fit(vectors[part], labels[part]).logits(vectors[tests]).argmax(1) == labels[tests]).mean())
        for part in (learns, without)
    )
    points = round(100 * (with_twins - honest), 2)
    return found | {"top1": round(with_twins, 4), "top1_without": round(honest, 4), "points": points}


def _ranks(numbers: Array) -> Array:
    """Returns the position of each photo in its group, 0 for the first."""
    order = np.argsort(numbers, kind="stable")
    ranks = np.empty(len(numbers), int)
    _, starts, counts = np.unique(numbers[order], return_index=True, return_counts=True)
    ranks[order] = np.arange(len(numbers)) - np.repeat(starts, counts)
    return ranks
