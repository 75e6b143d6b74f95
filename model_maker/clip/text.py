"""TextTower: words as vectors."""

import math
from collections.abc import Sequence

import numpy as np
import tokenizers

from model_maker.backbones import weights
from model_maker.clip import cached, records, tensors, text_network, tokenizer
from model_maker.clip.text_network import TextNetwork
from model_maker.progress import SILENT, Progress

Array = np.ndarray

# Texts that go through the network together, of similar length: enough for BLAS, few enough for any memory.
_BATCH = 64
_TOKENIZER = "tokenizer.json"


class TextTower:
    """From texts to vectors that can be compared with those of the same model's `ImageTower`.

    What it needs is downloaded on first use, announced, and kept as float16; after that it works offline.

    Args:
      name: a key of TOWERS.
      accept_licence: the licence that you accept; needed for towers that are not for every use.
      progress: receives what is downloaded, from where, and kilobytes.

    Attributes:
      record: what is known of the model.
      logit_scale, logit_bias: what turns the similarity of a text and a photo into the number of which the record's
        `scores` makes a score: `similarity * logit_scale + logit_bias`.

    Raises:
      BackboneError: an unknown name, a licence that was not accepted, or files that cannot be had, are damaged, or are
        another model's.

    Examples:
      >>> tower = TextTower()  # doctest: +SKIP
      >>> tower.embed(["a photo of a cat", "a photo of a dog"]).shape  # doctest: +SKIP
      (2, 512)
    """

    def __init__(self, name: str = records.DEFAULT, *, accept_licence: str | None = None, progress: Progress = SILENT):
        self.record = records.get(name, accept_licence=accept_licence)
        if self.record.terms:
            progress.note(f"{name} is for {self.record.terms}.")
        content = cached.content(
            self.record,
            "text",
            ".safetensors",
            lambda: _make(self.record, progress),
            modules=(tensors, text_network, tokenizer, weights),
        )
        from safetensors.numpy import load

        found = load(content)
        self._tokenizer = tokenizers.Tokenizer.from_str(found.pop(_TOKENIZER).tobytes().decode())
        kept = tensors.Tensors(found, f"The cached text tower of {name} is damaged")
        self.logit_scale, self.logit_bias = _scale(kept)
        self._network = TextNetwork(self.record, kept)

    def embed(self, texts: Sequence[str], *, progress: Progress = SILENT) -> Array:
        """Embeds texts, float32 [N, D], rows of length 1; of longer ones than the model knows, the end is cut."""
        tokens, lengths = tokenizer.encode(self._tokenizer, self.record, texts)
        result = np.empty((len(texts), self.record.embedding_size), np.float32)
        order = np.argsort(lengths, kind="stable")
        progress.step(0, len(texts))
        for begin in range(0, len(texts), _BATCH):
            some = order[begin : begin + _BATCH]
            longest = lengths[some].max() if self.record.causal else tokens.shape[1]
            result[some] = self._network.run(tokens[some, :longest], lengths[some])
            progress.step(begin + len(some), len(texts))
        return cached.unit(result)


def _make(tower: records.Tower, progress: Progress) -> bytes:
    """Returns all that a text tower needs in one file: its weights in float16, and its tokenizer."""
    from safetensors.numpy import save

    weights_file, *tokenizer_files = [file.path(progress=progress) for file in tower.files]
    found = tensors.read(weights_file, tower)
    TextNetwork(tower, found)
    _scale(found)
    cut = tokenizer.load(tokenizer_files, tower).to_str().encode()
    kept = {
        name: np.ascontiguousarray(array, np.float32 if array.size == 1 else np.float16)
        for name, array in found.used.items()
    }
    return save(kept | {_TOKENIZER: np.frombuffer(cut, np.uint8)})


def _scale(found: tensors.Tensors) -> tuple[float, float]:
    """Returns scale and bias of similarities; the file has the scale's logarithm, and CLIP no bias."""
    return math.exp(found.number("logit_scale")), found.number("logit_bias", 0.0)
