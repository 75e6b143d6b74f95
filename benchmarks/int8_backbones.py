"""What int8 needs beyond the float weights of packaged backbones; `python -m benchmarks.int8_backbones FOLDER...`.

The folders hold the photos whose ranges are taken. The recipes in the package come from the 36 photos of ImageNet and
the four others (parrot, cat, burger, cats and dogs) that docs/MEASUREMENTS.md names; none of them is in the package.
"""

import sys
from pathlib import Path

from absl import logging

from model_maker.backbones import BACKBONES, embedder, int8_backbone
from model_maker.backbones.weights import PackagedWeights
from model_maker.data.images import FORMATS


def main(folders: list[str]) -> None:
    """Writes the recipe of every backbone whose weights are a package."""
    logging.set_verbosity(logging.INFO)
    files = (path for folder in folders for path in sorted(Path(folder).rglob("*")))
    photos = [path for path in files if path.suffix.lower() in FORMATS]
    for name, backbone in BACKBONES.items():
        if isinstance(backbone.weights, PackagedWeights):
            recipe = int8_backbone.RECIPES / f"{name}.npz"
            int8_backbone.write_recipe(embedder.embedder(backbone), photos, recipe)
            logging.info("%s: %d photos, %d bytes.", recipe, len(photos), recipe.stat().st_size)


if __name__ == "__main__":
    main(sys.argv[1:])
