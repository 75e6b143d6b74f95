"""Finds phrases in the project's prose that read as translated or use another term than the field's.

`make check` runs it: python tests/helpers/wording.py [FILE ...]
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PLACES = ("README.md", "docs", "model_maker", "benchmarks", "tests", "colab")
SUFFIXES = {".py", ".md", ".html", ".ipynb", ".template", ".js", ".mjs"}
# These quote the phrases.
EXEMPT = {"tests/helpers/wording.py", "tests/product/test_wording.py"}

# A phrase, as a regular expression, to a better one.
PHRASES = {
    r"unless (?:told|stated otherwise)": "by default",
    r"hears?(?: of)?": "receives",
    r"(?:is|are|was|were) told": "is reported, is listed, or active voice",
    r"twins?": "near duplicate",
    r"data sets?": "dataset",
    r"as 0\.\d+": "for example 0.5",
    r"smaller, or surer": "smaller or more reliable",
    r"surest": "most confident",
    r"to the same bytes": "byte-identical",
    r"the same bytes": "byte-identical",
    r"byte for byte": "byte-identical, or byte by byte for a comparison",
    r"a page to look at": "an HTML report",
    r"what became of": "API mapping, or the result of",
    r"what became of what": "API mapping",
    r"can its scores be believed": "calibration",
    r"when it is sure enough": "score thresholds",
    r"what is taken for what": "confusion matrix",
    r"hangs? on": "depends on",
    r"whoever reaches": "anyone who can reach",
    r"(?:hold|holds|held) (?:it|them|this|that|what \w+ \w+)? ?against": "check against, or compare with",
    r"wherever it may have to run": "in every available runtime",
    r"clients demand": "requirements of clients",
    r"let pass": "allowed",
    r"taken for damaged": "probably damaged",
    r"names? no photos": "is not a dataset; pass ...",
    r"half-made": "partial",
    r"mend(?:ed|ing)": "fix",
    r"mend (?:it|this|by)": "fix",
    r"begun anew": "restarted",
    r"puts? (?:\w+ )?back": "move back, restore",
    r"(?<!there\s)is no (?:backbone|class|file|folder|image|list|model|name|number|path|photo|picture|table|text)\b": (
        "is not a ..."
    ),
    r"(?:models?|files?|\.tflite) of others": "third-party",
    r"goes on (?:behind|with|from)": "continues",
    r"(?:divides?|divided|division of) (?:the |its |their |your )?(?:photos|data)": "split",
    r"what stands (?:below|beside|here)": "name the thing",
    r"means? nothing here": "has no effect",
}
# Words of a phrase may be separated by the end of a line, in a comment too.
_GAP = r"[ \n#]+"
_FOUND = re.compile(
    "|".join(
        rf"(?P<p{number}>(?<![\w`-]){phrase.replace(' ', _GAP)}(?![\w-]))" for number, phrase in enumerate(PHRASES)
    ),
    re.IGNORECASE,
)


def find(text: str) -> Iterator[tuple[int, str, str]]:
    """Yields the line, from 1, of each phrase, the phrase, and a better one."""
    for found in _FOUND.finditer(text):
        better = list(PHRASES.values())[int(found.lastgroup[1:])] if found.lastgroup else ""
        yield text.count("\n", 0, found.start()) + 1, " ".join(found[0].replace("#", " ").split()), better


def files() -> list[Path]:
    """Returns the files of PLACES that Git knows."""
    listed = subprocess.run(["git", "ls-files", "-z", *PLACES], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in listed.stdout.split("\0") if Path(name).suffix in SUFFIXES and name not in EXEMPT]


def main(paths: Iterable[Path]) -> int:
    """Prints each phrase as file:line; returns the exit code."""
    code = 0
    for path in paths:
        for line, phrase, better in find(path.read_text(encoding="utf-8")):
            print(f"{path.relative_to(ROOT) if path.is_relative_to(ROOT) else path}:{line}: {phrase!r}: {better}")
            code = 1
    return code


if __name__ == "__main__":
    sys.exit(main([Path(argument) for argument in sys.argv[1:]] or files()))
