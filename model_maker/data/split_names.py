"""Recognizes common names of splits: `train`, `Training Data`, `seg_test`, `val2017`."""

import re
from collections.abc import Sequence

from model_maker.data.entries import PART_NAMES

# Words that may accompany the name of a split without further meaning.
_FILLERS = frozenset({
    "set", "sets", "data", "dataset", "datasets", "image", "images", "imgs", "img", "photo", "photos", "picture",
    "pictures", "pics", "folder", "dir", "split", "part", "subset", "sample", "samples", "files", "final", "the",
})  # fmt: skip
_WORDS = PART_NAMES | {
    "trn": "train",
    "validate": "validation",
    "valset": "validation",
    "tst": "test",
    "tests": "test",
    "eval": "test",
    "evaluation": "test",
    "evaluate": "test",
    "holdout": "test",
}
# Beside a test split, these mean validation.
_EVALUATION = frozenset({"eval", "evaluation", "evaluate"})
# Splits of competitions without labels.
_UNLABELLED = frozenset(
    ["pred", "predict", "prediction", "predictions", "unlabeled", "unlabelled", "inference", "submission"]
)
_TOKENS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def read(names: Sequence[str]) -> dict[str, str]:
    """Returns the split that each name states; "" for a split without labels.

    Omits names that state no split. The rest of the name must be the same in all of them, as in `seg_train` and
    `seg_test`; `drug test` and `blood test` are two classes.
    """
    found = {name: words for name in names if (words := _split(name))}
    groups: dict[tuple[str, ...], dict[str, str]] = {}
    for name, (word, rest) in found.items():
        groups.setdefault(rest, {})[name] = word
    if not groups:
        return {}
    rest, group = max(groups.items(), key=lambda item: (len(item[1]), not item[0]))
    if rest and len({_WORDS.get(word, "") for word in group.values()}) < 2:
        return {}
    tested = any(_WORDS.get(word) == "test" and word not in _EVALUATION for word in group.values())
    return {
        name: "validation" if tested and word in _EVALUATION else _WORDS.get(word, "") for name, word in group.items()
    }


def says_nothing(name: str) -> bool:
    """Returns whether a folder's name is a generic word, such as `images` or `dataset`."""
    return bool(tokens := _tokens(name)) and all(token in _FILLERS or token.isdigit() for token in tokens)


def _split(name: str) -> tuple[str, tuple[str, ...]] | None:
    """Returns the word for the split, and the rest of the name."""
    tokens = [_bare(token) for token in _tokens(name)]
    words = [token for token in tokens if token in _WORDS or token in _UNLABELLED]
    if len(words) != 1:
        return None
    return words[0], tuple(token for token in tokens if token != words[0] and token not in _FILLERS)


def _tokens(name: str) -> list[str]:
    # Other characters, such as letters of other scripts, are kept to distinguish names.
    rest = _TOKENS.sub("", name)
    others = [letters for letters in re.split(r"[\W_]+", rest) if letters]
    return [token.lower() for token in _TOKENS.findall(name)] + others


def _bare(token: str) -> str:
    """Returns the word for the split from a compound such as `trainset`."""
    for word in (*_WORDS, *_UNLABELLED):
        if token.startswith(word) and token[len(word) :] in _FILLERS:
            return word
        if token.endswith(word) and token[: len(token) - len(word)] in _FILLERS:
            return word
    return token
