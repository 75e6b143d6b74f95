"""The weights of a pair of towers by one set of names, whoever published them."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from model_maker.backbones.weights import read_tensors
from model_maker.clip.records import Blocks, Tower
from model_maker.errors import BackboneError

Array = np.ndarray

# From open_clip's names inside a block to Hugging Face's; of its attention it keeps three layers in one.
_BLOCK = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "attn.out_proj": "self_attn.out_proj",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}
_OUTSIDE = {
    "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
    "positional_embedding": "text_model.embeddings.position_embedding.weight",
    "ln_final.weight": "text_model.final_layer_norm.weight",
    "ln_final.bias": "text_model.final_layer_norm.bias",
    "visual.class_embedding": "vision_model.embeddings.class_embedding",
    "visual.conv1.weight": "vision_model.embeddings.patch_embedding.weight",
    "visual.positional_embedding": "vision_model.embeddings.position_embedding.weight",
    # Hugging Face's spelling.
    "visual.ln_pre.weight": "vision_model.pre_layrnorm.weight",
    "visual.ln_pre.bias": "vision_model.pre_layrnorm.bias",
    "visual.ln_post.weight": "vision_model.post_layernorm.weight",
    "visual.ln_post.bias": "vision_model.post_layernorm.bias",
    "logit_scale": "logit_scale",
}
TRUNK = "visual.trunk"
# What open_clip multiplies by from the right, Hugging Face's layers have transposed.
_TRANSPOSED = {"text_projection": "text_projection.weight", "visual.proj": "visual_projection.weight"}


class Tensors:
    """Weights by the names of Hugging Face's CLIP and SigLIP and of timm's FastViT, each checked when it is asked for.

    Args:
      source: what to say where they are not what they should be.

    Attributes:
      used: those that were asked for, as they are.
    """

    def __init__(self, tensors: Mapping[str, Array], source: str):
        self._tensors, self._source = tensors, source
        self.used: dict[str, Array] = {}

    def get(self, name: str, *shape: int) -> Array:
        """Returns a tensor as float32.

        Raises:
          BackboneError: see `table`.
        """
        return self.table(name, *shape).astype(np.float32, copy=False)

    def table(self, name: str, *shape: int) -> Array:
        """Returns a tensor as it is kept, for one of which few rows are used.

        Raises:
          BackboneError: there is none of that name, or it has another shape.
        """
        if name not in self._tensors:
            raise BackboneError(f"{self._source} ({name} is missing).")
        found = self._tensors[name]
        if found.shape != shape:
            raise BackboneError(f"{self._source} ({name} has the shape {list(found.shape)} and not {list(shape)}).")
        self.used[name] = found
        return found

    def number(self, name: str, default: float | None = None) -> float:
        """Returns the only value of a tensor, or the default where there is no such tensor and a default is given."""
        if name not in self._tensors and default is not None:
            return default
        shape = self._tensors[name].shape if name in self._tensors else ()
        return float(self.get(name, *(1 for _ in shape)).item())

    def dense(self, name: str, outputs: int, inputs: int) -> tuple[Array, Array]:
        """Returns kernel [outputs, inputs] and bias [outputs] of a layer."""
        return self.get(f"{name}.weight", outputs, inputs), self.get(f"{name}.bias", outputs)

    def convolution(self, name: str, outputs: int, inputs: int, kernel: int) -> tuple[Array, Array]:
        """Returns kernel [outputs, inputs, K, K] and bias [outputs] of a convolution."""
        return self.get(f"{name}.weight", outputs, inputs, kernel, kernel), self.get(f"{name}.bias", outputs)

    def scale(self, name: str, width: int) -> tuple[Array, Array]:
        """Returns factor and offset of a layer normalization."""
        return self.get(f"{name}.weight", width), self.get(f"{name}.bias", width)

    def joined(self, name: str, width: int) -> dict[str, tuple[Array, Array]]:
        """Returns the layers for queries, keys and values ("q", "k", "v"), which stand in one."""
        kernel = self.get(f"{name}.in_proj_weight", 3 * width, width)
        bias = self.get(f"{name}.in_proj_bias", 3 * width)
        return dict(zip("qkv", zip(np.split(kernel, 3), np.split(bias, 3), strict=True), strict=True))


def read(path: Path, tower: Tower) -> Tensors:
    """Reads the published file.

    Raises:
      BackboneError: another format, a damaged file, or the weights of another model.
    """
    tensors = read_tensors(path)
    source = f"{path} does not hold the weights of {tower.name}"
    if tower.layout in ("open_clip", "mobileclip"):
        tensors = _hugging_face(tensors, tower, source)
    return Tensors(tensors, source)


def _hugging_face(tensors: Mapping[str, Array], tower: Tower, source: str) -> dict[str, Array]:
    """Gives open_clip's tensors Hugging Face's names; those of a FastViT keep timm's."""
    image = {name: array for name, array in tensors.items() if name.startswith(f"{TRUNK}.")}
    # A text tower of its own kind stands under "text.", one of CLIP's kind beside the image tower.
    tensors = {name.removeprefix("text."): array for name, array in tensors.items()}
    found = {theirs: tensors[ours] for ours, theirs in _OUTSIDE.items() if ours in tensors}
    found |= {theirs: tensors[ours].T for ours, theirs in _TRANSPOSED.items() if ours in tensors}
    for ours, theirs, blocks in (
        ("transformer.resblocks", "text_model.encoder.layers", tower.text),
        ("visual.transformer.resblocks", "vision_model.encoder.layers", tower.image),
    ):
        if isinstance(blocks, Blocks):
            for index in range(blocks.layers):
                found |= _block(tensors, f"{ours}.{index}", f"{theirs}.{index}", blocks, source)
    return found | image


def _block(tensors: Mapping[str, Array], ours: str, theirs: str, blocks: Blocks, source: str) -> dict[str, Array]:
    layers = Tensors(tensors, source).joined(f"{ours}.attn", blocks.width)
    found: dict[str, Array] = {}
    for letter, (kernel, bias) in layers.items():
        found |= {f"{theirs}.self_attn.{letter}_proj.weight": kernel, f"{theirs}.self_attn.{letter}_proj.bias": bias}
    for name, other in _BLOCK.items():
        for part in ("weight", "bias"):
            if f"{ours}.{name}.{part}" in tensors:
                found[f"{theirs}.{other}.{part}"] = tensors[f"{ours}.{name}.{part}"]
    return found
