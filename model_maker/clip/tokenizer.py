"""From text to tokens, by the library `tokenizers`, from whichever files a repository holds."""

import re
import string
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tokenizers
from tokenizers import AddedToken, models, normalizers, pre_tokenizers, processors

from model_maker.clip.records import Tower
from model_maker.errors import BackboneError, first_line
from model_maker.system import protobuf

Array = np.ndarray

_BEGIN, _END = "<|startoftext|>", "<|endoftext|>"
# Radford et al. 2021, CLIP: what is cut apart before pairs of bytes are merged.
_WORDS = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+"
# How sentencepiece writes a space.
_SPACE = "▁"
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def load(files: Sequence[Path], tower: Tower) -> tokenizers.Tokenizer:
    """Reads the tokenizer of a pair of towers: `tokenizer.json`, `vocab.json` and `merges.txt`, or `spiece.model`.

    Raises:
      BackboneError: a file is damaged, or does not know as many tokens as the text tower.
    """
    try:
        tokenizer = _READERS[files[0].suffix if len(files) == 1 else ""](files)
    except Exception as error:  # `tokenizers` raises plain Exception
        raise BackboneError(
            f"{' and '.join(map(str, files))} cannot be read as a tokenizer ({first_line(error)})."
        ) from error
    if tokenizer.get_vocab_size() != tower.vocabulary:
        raise BackboneError(
            f"{files[0]} is not the tokenizer of {tower.name}: it knows {tokenizer.get_vocab_size()} tokens, the text "
            f"tower {tower.vocabulary}."
        )
    tokenizer.no_padding()
    tokenizer.enable_truncation(tower.context)
    return tokenizer


def encode(tokenizer: tokenizers.Tokenizer, tower: Tower, texts: Sequence[str]) -> tuple[Array, Array]:
    """Cuts texts into tokens.

    Returns:
      tokens, int [N, T], and how many of them are each text's, int [N]. T is the longest text's length; of towers that
      were trained on padding, always the context.
    """
    siglip = tower.layout == "siglip"
    found = [entry.ids for entry in tokenizer.encode_batch([_canonical(text) if siglip else text for text in texts])]
    lengths = np.array([len(ids) for ids in found], np.int64)
    longest = max(lengths, default=0) if tower.causal else tower.context
    padding = tokenizer.token_to_id("</s>") if siglip else 0
    tokens = np.full((len(found), longest), padding, np.int64)
    for row, ids in zip(tokens, found, strict=True):
        row[: len(ids)] = ids
    return tokens, lengths


def _published(files: Sequence[Path]) -> tokenizers.Tokenizer:
    return tokenizers.Tokenizer.from_str(files[0].read_text(encoding="utf-8"))


def _byte_pairs(files: Sequence[Path]) -> tokenizers.Tokenizer:
    """CLIP's: lower case, words, bytes, pairs of which are merged."""
    vocabulary, merges = models.BPE.read_file(*map(str, files))
    tokenizer = tokenizers.Tokenizer(
        models.BPE(vocabulary, merges, unk_token=_END, continuing_subword_prefix="", end_of_word_suffix="</w>")
    )
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(tokenizers.Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(tokenizers.Regex(_WORDS), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.add_special_tokens([AddedToken(name, normalized=False) for name in (_BEGIN, _END)])
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{_BEGIN} $A {_END}", special_tokens=[(name, vocabulary[name]) for name in (_BEGIN, _END)]
    )
    return tokenizer


def _canonical(text: str) -> str:
    """What SigLIP was trained on: lower case, no punctuation, single spaces, one before the first word."""
    text = (_SPACE + text.replace(_SPACE, " ")).lower().translate(_NO_PUNCTUATION)
    return re.sub(r"\s+", " ", text).strip()


def _pieces(files: Sequence[Path]) -> tokenizers.Tokenizer:
    """Sentencepiece's, of the kind "unigram": the most probable pieces, from its own file."""
    content = files[0].read_bytes()
    pieces: list[tuple[str, float]] = []
    unknown, rules = 0, b""
    for number, value in protobuf.fields(content):
        if number == 1:  # SentencePiece: its text, its score, its kind
            piece = dict(protobuf.fields(value))
            if piece.get(3) == 2:
                unknown = len(pieces)
            pieces.append((piece[1].decode(), float(np.frombuffer(piece.get(2, bytes(4)), "<f4")[0])))
        elif number == 3:  # NormalizerSpec: its table of replacements
            rules = dict(protobuf.fields(value)).get(2, b"")
    tokenizer = tokenizers.Tokenizer(models.Unigram(pieces, unknown, byte_fallback=False))
    steps = [normalizers.Precompiled(rules)] if rules else []
    tokenizer.normalizer = normalizers.Sequence(
        [
            *steps,
            normalizers.Replace(tokenizers.Regex(" {2,}"), " "),
            normalizers.Replace(" ", _SPACE),
            normalizers.Replace(tokenizers.Regex(f"{_SPACE}+$"), ""),
        ]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", tokenizer.token_to_id("</s>"))]
    )
    return tokenizer


_READERS = {".json": _published, "": _byte_pairs, ".model": _pieces}
