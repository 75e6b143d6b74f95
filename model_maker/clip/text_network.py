"""The text tower's transformer in numpy, which a sentence takes a millisecond or two of."""

from collections.abc import Callable

import numpy as np

from model_maker.clip.records import Tower
from model_maker.clip.tensors import Tensors

Array = np.ndarray


class TextNetwork:
    """Maps tokens to vectors; the tower's record describes the network.

    Raises:
      BackboneError: the weights are another network's.
    """

    def __init__(self, tower: Tower, tensors: Tensors):
        self._tower, width = tower, tower.text.width
        prefix = "text_model"
        self._tokens = tensors.table(f"{prefix}.embeddings.token_embedding.weight", tower.vocabulary, width)
        self._positions = tensors.get(f"{prefix}.embeddings.position_embedding.weight", tower.context, width)
        self._blocks = [
            _Block(tower, tensors, f"{prefix}.encoder.layers.{index}") for index in range(tower.text.layers)
        ]
        self._last_norm = tensors.scale(f"{prefix}.final_layer_norm", width)
        self._bias: Array | float = 0.0
        if tower.layout == "siglip":
            self._projection, self._bias = tensors.dense(f"{prefix}.head", tower.embedding_size, width)
        else:
            self._projection = tensors.get("text_projection.weight", tower.embedding_size, width)

    def run(self, tokens: Array, lengths: Array) -> Array:
        """Embeds texts.

        Args:
          tokens: int [N, T]; what stands behind a text's end matters unless the tower is `causal`.
          lengths: int [N], tokens of each text, its end included.

        Returns:
          float32 [N, D], not normalized.
        """
        x = self._tokens[tokens].astype(np.float32, copy=False) + self._positions[: tokens.shape[1]]
        mask = None
        if self._tower.causal:
            mask = np.triu(np.full((tokens.shape[1], tokens.shape[1]), -np.inf, np.float32), 1)
        for block in self._blocks:
            x = block.run(x, mask)
        # CLIP reads the end of the text, SigLIP the last token, which mostly is padding.
        last = tokens.shape[1] - 1 if self._tower.layout == "siglip" else lengths - 1
        pooled = _normalize(x[np.arange(len(x)), last], self._last_norm, self._tower.epsilon)
        return pooled @ self._projection.T + self._bias


class _Block:
    """Attention and two dense layers, each behind a layer normalization and added to what came in."""

    def __init__(self, tower: Tower, tensors: Tensors, name: str):
        width, hidden = tower.text.width, tower.text.hidden
        self._heads, self._epsilon, self._activate = tower.text.heads, tower.epsilon, ACTIVATIONS[tower.activation]
        self._norms = [tensors.scale(f"{name}.layer_norm{number}", width) for number in (1, 2)]
        self._qkv = [tensors.dense(f"{name}.self_attn.{letter}_proj", width, width) for letter in "qkv"]
        self._out = tensors.dense(f"{name}.self_attn.out_proj", width, width)
        self._widen = tensors.dense(f"{name}.mlp.fc1", hidden, width)
        self._narrow = tensors.dense(f"{name}.mlp.fc2", width, hidden)

    def run(self, x: Array, mask: Array | None) -> Array:
        x = x + self._attend(_normalize(x, self._norms[0], self._epsilon), mask)
        hidden = self._activate(_dense(_normalize(x, self._norms[1], self._epsilon), self._widen))
        return x + _dense(hidden, self._narrow)

    def _attend(self, x: Array, mask: Array | None) -> Array:
        count, length, width = x.shape
        query, key, value = (
            _dense(x, layer).reshape(count, length, self._heads, -1).transpose(0, 2, 1, 3) for layer in self._qkv
        )
        scores = query @ key.transpose(0, 1, 3, 2) * np.float32((width // self._heads) ** -0.5)
        if mask is not None:
            scores += mask
        shares = np.exp(scores - scores.max(-1, keepdims=True))
        shares /= shares.sum(-1, keepdims=True)
        return _dense((shares @ value).transpose(0, 2, 1, 3).reshape(count, length, width), self._out)


def _dense(x: Array, layer: tuple[Array, Array]) -> Array:
    kernel, bias = layer
    # One product of two matrices, which BLAS takes on all cores; of three axes numpy makes many small ones.
    return (x.reshape(-1, x.shape[-1]) @ kernel.T + bias).reshape(*x.shape[:-1], -1)


def _normalize(x: Array, layer: tuple[Array, Array], epsilon: float) -> Array:
    factor, offset = layer
    centred = x - x.mean(-1, keepdims=True)
    variance = np.square(centred).mean(-1, keepdims=True)
    return centred / np.sqrt(variance + np.float32(epsilon)) * factor + offset


def _quick_gelu(x: Array) -> Array:
    from scipy.special import expit

    return x * expit(np.float32(1.702) * x)


def _gelu(x: Array) -> Array:
    from scipy.special import erf

    return x * np.float32(0.5) * (1 + erf(x * np.float32(0.5**0.5)))


def _gelu_tanh(x: Array) -> Array:
    # Hendrycks & Gimpel 2016, "Gaussian Error Linear Units": the approximation by a hyperbolic tangent.
    inner = np.float32((2 / np.pi) ** 0.5) * (x + np.float32(0.044715) * x * x * x)
    return x * np.float32(0.5) * (1 + np.tanh(inner))


ACTIVATIONS: dict[str, Callable[[Array], Array]] = {"quick_gelu": _quick_gelu, "gelu": _gelu, "gelu_tanh": _gelu_tanh}
