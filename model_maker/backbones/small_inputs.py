"""Warns before training how much accuracy smaller inputs cost: measured for one backbone, published for others."""

from itertools import pairwise

from model_maker.backbones.registry import BACKBONES, Backbone

# Top-1 in percent by input size: EfficientNet-Lite0, which was trained at 224 x 224 pixels, int8, on 600 photos of
# flowers in 5 folds; `train --image-size N --folds 5`. The 95 % interval is about 2 to 4 points to each side.
MEASURED = {32: 62.5, 48: 72.7, 64: 78.8, 96: 84.7, 128: 87.7, 160: 90.5, 192: 90.7, 224: 91.3}
_LEARNED_AT = 224
# The smallest loss of top-1 that is reported, in points.
_TOLD = 2.0


def warning(backbone: Backbone) -> str | None:
    """Returns a warning about a backbone at a smaller input size than its own; None if the loss is small."""
    own = BACKBONES[backbone.name]
    sizes = {own.image_size: own.top1} | {size: published.top1 for size, published in own.sizes}
    asked = backbone.image_size
    if asked >= own.image_size:
        return None
    # The size at which its weights were trained.
    learned_at = min(sizes, key=lambda size: (abs(size - asked), size != own.image_size))
    said = []
    published, best = sizes[learned_at], own.top1
    if learned_at < own.image_size and published and best and best - published >= _TOLD:
        said.append(
            f"its weights for {learned_at} pixels have a published ImageNet top-1 of {published:g} %, those for "
            f"{own.image_size} {best:g} %"
        )
    share = asked / learned_at
    if share < 1 and (loss := MEASURED[_LEARNED_AT] - _at(share * _LEARNED_AT)) >= _TOLD:
        said.append(
            f"its weights are for {learned_at} pixels, and as much smaller inputs cost EfficientNet-Lite0 {loss:.0f} "
            f"points of top-1 on photos of flowers ({MEASURED[_LEARNED_AT]:g} % at {_LEARNED_AT} pixels)"
        )
    if not said:
        return None
    advice = f"A larger `image_size`, up to {own.image_size}, is more accurate and slower."
    return f"`image_size={asked}` makes {backbone.name} less accurate: {', and '.join(said)}. {advice}"


def _at(size: float) -> float:
    """Interpolates the measured curve; constant below its smallest size."""
    ends = sorted(MEASURED.items())
    for (low, worse), (high, better) in pairwise(ends):
        if low <= size <= high:
            return worse + (better - worse) * (size - low) / (high - low)
    return ends[0][1]
