"""TOWERS against what is published of each."""

import dataclasses
from pathlib import Path

import pytest

from model_maker.clip.records import DEFAULT, TOWERS, Blocks

# Of repositories and the papers' tables: patch, widths and layers of image and text, vector, ImageNet zero-shot.
PUBLISHED = {
    "wkcn/TinyCLIP-ViT-40M-32-Text-19M-LAION400M": (32, 512, 12, 512, 6, 512, 59.8),
    "wkcn/TinyCLIP-ViT-8M-16-Text-3M-YFCC15M": (16, 256, 10, 256, 3, 512, 41.1),
    "laion/CLIP-ViT-B-32-DataComp.XL-s13B-b90K": (32, 768, 12, 512, 12, 512, 69.2),
    "google/siglip-base-patch16-224": (16, 768, 12, 768, 12, 768, 76.0),
    # Stages of the image tower in the place of widths and layers.
    "timm/MobileCLIP2-S0-OpenCLIP": (0, (64, 128, 256, 512), (2, 6, 10, 2), 512, 12, 512, 71.5),
}
TRANSFORMERS = {name: tower for name, tower in TOWERS.items() if isinstance(tower.image, Blocks)}


def test_records_say_what_is_published():
    def image(of):
        if isinstance(of, Blocks):
            return of.width, of.layers
        return tuple(stage.width for stage in of), tuple(stage.blocks for stage in of)

    found = {
        tower.repository: (tower.patch, *image(tower.image), tower.text.width, tower.text.layers,
                           tower.embedding_size, tower.top1)
        for tower in TOWERS.values()
    }  # fmt: skip
    assert found == PUBLISHED
    assert TOWERS[DEFAULT].repository == "wkcn/TinyCLIP-ViT-40M-32-Text-19M-LAION400M"


@pytest.mark.parametrize("tower", TRANSFORMERS.values(), ids=TRANSFORMERS)
def test_parameters_follow_from_the_shapes(tower):
    def dense(inputs, outputs):
        return inputs * outputs + outputs

    def blocks(of):
        attention = 4 * dense(of.width, of.width)
        return of.layers * (attention + dense(of.width, of.hidden) + dense(of.hidden, of.width) + 4 * of.width)

    patches, siglip = (tower.image_size // tower.patch) ** 2, tower.layout == "siglip"
    text = (tower.vocabulary + tower.context + 2) * tower.text.width + blocks(tower.text)
    image = (3 * tower.patch**2 + patches + 2) * tower.image.width + blocks(tower.image)
    if siglip:  # biases of patches and text head, the learned token with its attention, two layers, scale and bias
        text += dense(tower.text.width, tower.embedding_size)
        one_block = dataclasses.replace(tower.image, layers=1)
        image += tower.image.width + tower.image.width + blocks(one_block) - 2 * tower.image.width
        assert tower.parameters == text + image + 2
    else:  # the class token and its place, the normalization before the blocks, two projections, the scale
        text += tower.text.width * tower.embedding_size
        image += 4 * tower.image.width + tower.image.width * tower.embedding_size
        assert tower.parameters == text + image + 1


@pytest.mark.parametrize("tower", TOWERS.values(), ids=TOWERS)
def test_records_are_complete(tower):
    assert (tower.licence in ("MIT", "Apache-2.0")) == (tower.terms is None)
    assert tower.source.startswith("https://")
    assert all(file.repository == tower.repository and not file.alone for file in tower.files)
    assert tower.weights.file.endswith(".safetensors")  # no pickle is ever read
    blocks = [of for of in (tower.text, tower.image) if isinstance(of, Blocks)]
    assert all(of.width % of.heads == 0 and of.width // of.heads == 64 for of in blocks)
    with pytest.raises(dataclasses.FrozenInstanceError):
        tower.name = "other"


def test_the_reference_has_the_table():
    page = (Path(__file__).parents[2] / "docs/reference/towers.md").read_text(encoding="utf-8")
    rows = "".join(
        f"| {name}{' (default)' if name == DEFAULT else ''} | {tower.repository} | {tower.licence} | "
        f"{4 * tower.parameters / 1e6:.0f} MB | {tower.embedding_size} | {tower.top1} | {tower.scores} |\n"
        for name, tower in TOWERS.items()
    )
    assert rows in page.split("<!-- towers -->")[1]
    assert all(f"({tower.source})" in page for tower in TOWERS.values())
