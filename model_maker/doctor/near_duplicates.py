"""Twins: photos that are the same picture, byte by byte or to the eye, and how much they flatter an accuracy.

Pictures are compared by perceptual hash, every pair of them, and a pair counts only if the network sees it alike, too.
Found are other encodings, sizes and mirror images; crops, and other shots of the same thing, are not. Comparing takes
time by the square of the number of photos (2 x 10^10 comparisons for 100,000, about a minute) and memory by the number.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from model_maker.doctor import label_errors

Array = np.ndarray

# Bits in which hashes of one picture differ, of 64, and how alike (cosine of centred embeddings) the network must see
# it then. Re-encoded at qualities 50 to 85 and 0.85 to 1.1 times the size, 100 photos of flowers differed in 0 to 2
# bits at cosines of 0.74 and more; of 180,000 pairs of different ones, none came below 12 bits.
_LIKENESS = ((4, 0.4), (8, 0.7))
# Below this spread of its pixels a picture is nearly one colour, and its hash tells nothing.
_LEAST_SPREAD = 4.0
# Comparisons in one go.
BLOCK = 1 << 24


def groups(digests: Sequence[str], hashes: Array, mirrored: Array, spreads: Array, vectors: Array | None) -> Array:
    """Numbers photos so that those of one picture share a number.

    Args:
      digests: sha256 of each photo.
      hashes, mirrored: uint64 [N], perceptual hashes of the photos and of their mirror images.
      spreads: float [N], how much their pixels differ; hashes of what is nearly one colour are not compared.
      vectors: float32 [N, D], embeddings as `judgement.directions` gives them; None compares hashes only.

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
    # Of exact copies one stands for all, so that a thousand copies make no million pairs.
    rows = np.array([index for index in first.values() if spreads[index] >= _LEAST_SPREAD], int)
    for one, other, bits in _near(hashes[rows], mirrored[rows]):
        one, other = rows[one], rows[other]
        alike = 1.0 if vectors is None else float(vectors[one] @ vectors[other])
        if any(bits <= most and alike >= least for most, least in _LIKENESS):
            join(int(one), int(other))
    return np.array([root(index) for index in range(len(parent))], int)


def _near(hashes: Array, mirrored: Array) -> Iterator[tuple[int, int, int]]:
    """Yields pairs of rows whose hashes, mirrored or not, differ in few bits, and in how many."""
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
    """Returns, for each photo, how many share its number, itself counted."""
    _, inverse, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    return counts[inverse]


def flattery(vectors: Array, labels: Array, numbers: Array) -> dict | None:
    """Measures by how much twins flatter an accuracy: by folds, with twins kept together and with twins apart.

    Photos without a twin lie in the same folds both times, so that nothing else differs.

    Args:
      vectors: float [N, D], embeddings.
      labels: int [N].
      numbers: int [N], from `groups`.

    Returns:
      Plain JSON types: `photos` that have a twin of their own class, `top1_apart`, `top1_together`, and `points`
      between them; None without twins, or where classes are too small to tell.
    """
    kept = label_errors.judged(labels, numbers)
    vectors, labels, numbers = vectors[kept], np.unique(labels[kept], return_inverse=True)[1], numbers[kept]
    twins = int((sizes(numbers * (labels.max(initial=0) + 1) + labels) > 1).sum())
    if not twins or len(np.unique(labels)) < 2:
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
        "photos": twins,
        "top1_apart": round(spread, 4),
        "top1_together": round(grouped, 4),
        "points": round(100 * (spread - grouped), 2),
    }


def flattered_part(vectors: Array, labels: Array, numbers: Array, learns: Array, tests: Array) -> dict | None:
    """Measures by how much twins flatter the accuracy on a test part: a head that saw them, and one that did not.

    Args:
      vectors, labels, numbers: as for `flattery`.
      learns, tests: bool [N], the photos that training sees, and those that accuracy is measured on.

    Returns:
      Plain JSON types: `photos` of the test part whose twin is learned from, of how many `tested`; then, as far as
      classes have photos enough, `top1` with them, `top1_without`, and `points` between the two.
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
    """Returns the place of each photo in its group, 0 for the first."""
    order = np.argsort(numbers, kind="stable")
    ranks = np.empty(len(numbers), int)
    _, starts, counts = np.unique(numbers[order], return_index=True, return_counts=True)
    ranks[order] = np.arange(len(numbers)) - np.repeat(starts, counts)
    return ranks
