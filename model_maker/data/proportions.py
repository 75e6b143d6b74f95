"""Photos with extreme proportions: so unlike the input's shape that the way of resizing affects accuracy."""

from model_maker.data import images
from model_maker.data.dataset import Dataset
from model_maker.errors import DataError
from model_maker.fitting import CROP, LETTERBOX, STRETCH, Fit

# Longer side / shorter side, in the input's pixels. Cameras and screens produce up to 16:9 and 2:1. On panoramas of
# 1.5:1 stretching was as good as cropping, of 2:1 it cost 3 points; see docs/MEASUREMENTS.md.
EXTREME = 2.0
# Share of the photos. Fewer than one in ten affect overall accuracy by a point or two at most: cropping gained 3 points
# on panoramas of 2:1, and up to 17 on those of 3:1.
MANY = 0.1
# Sample size; the standard error of a share of one in ten is then 0.027.
_LOOKED = 128
_SIDEWAYS = range(5, 9)  # EXIF orientations that exchange width and height
_DOES = {
    STRETCH: "stretching distorts them",
    LETTERBOX: "letterboxing leaves most of the input black",
    CROP: "cropping cuts off more than half of each",
}
_ALTERNATIVES = {
    STRETCH: "`stretch` shows all of a photo, distorted",
    LETTERBOX: "`letterbox` shows all of it, small and undistorted",
    CROP: "`crop` shows the center alone, large",
}


def is_extreme(width: int, height: int, fit: Fit | None = None) -> bool:
    """Returns whether an upright photo has extreme proportions relative to an input; None for a square one."""
    across, down = (width / fit.width, height / fit.height) if fit else (width, height)
    return max(across, down) > EXTREME * min(across, down)


def note(photos: Dataset, fit: Fit) -> str:
    """Returns a note if many photos have extreme proportions, else an empty string.

    Up to 128 photos are opened, only to read their sizes.
    """
    ordered = photos.by_digest()[:_LOOKED]
    found = [size for sample in ordered if (size := _size(sample.path))]
    extreme = sum(is_extreme(*size, fit) for size in found)
    if not found or extreme < MANY * len(found):
        return ""
    looked = f"{len(found)} photos" + ("" if len(photos) <= _LOOKED else " that were looked at")
    others = " and ".join(text for resize, text in _ALTERNATIVES.items() if resize != fit.resize)
    return (
        f"{extreme} of {looked} have extreme proportions, more than {EXTREME:g} to 1 beside the input's: "
        f"{_DOES[fit.resize]}. Other values of `resize`: {others}. Compare their accuracy with `folds=5`."
    )


def _size(photo) -> tuple[int, int] | None:
    """Returns width and height of a photo turned upright."""
    try:
        with images.opened(photo) as image:
            width, height = image.size
            return (height, width) if images.orientation(image.getexif()) in _SIDEWAYS else (width, height)
    except DataError:
        return None
