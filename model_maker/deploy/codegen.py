"""codegen(): a short typed wrapper around one very model, in the language of an app.

The code carries what the model's metadata says: input, labels as an enumeration, normalization, threshold. It resizes as
training did, so it gives the same answers as `Classifier`. Its text is in `templates`, one a language.
"""

from __future__ import annotations

import os
import re
import string
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from model_maker.data.images import Normalization
from model_maker.errors import DataError, ModelError, about
from model_maker.inference.classifier import Classifier, model_file
from model_maker.tflite import inspection, interpreter
from model_maker.tflite.inspection import TensorFacts

TOP_K = 3
PACKAGE = "modelmaker"
# A Kotlin enumeration is one method of at most 64 KB, some 30 bytes for an entry.
_MOST_KOTLIN_LABELS = 2000
_TEMPLATES = Path(__file__).parent / "templates"


class _Template(string.Template):
    delimiter = "@@"  # none of the languages has it


@dataclass(frozen=True)
class Language:
    """How code is written in a language.

    Attributes:
      suffix: of a file.
      name: makes an identifier of the words of a label.
      member: a line of the enumeration, of {name}, {text} and {index}.
      escape: writes a character that may not stand in a string as it is.
      scalar: the name of a tensor's type, by ours.
      to_input: an expression for a pixel (in Python all pixels), by the type of the input; of {mean} and {scale}.
      from_output: an expression for a score, by the type of the output; of {scale} and {zero_point}.
      taken: identifiers that a label may not have.
      special: characters beside backslash and quote that mean something inside a string.
      most_labels: how many the language bears.
    """

    suffix: str
    name: Callable[[Sequence[str]], str]
    member: str
    escape: Callable[[str], str]
    scalar: dict[str, str]
    to_input: dict[str, str]
    from_output: dict[str, str]
    taken: frozenset[str] = frozenset()
    special: str = ""
    most_labels: int | None = None


def codegen(
    model: str | os.PathLike,
    language: str,
    *,
    name: str | None = None,
    package: str = PACKAGE,
    top_k: int = TOP_K,
    threshold: float | None = None,
) -> str:
    """Writes the source code that classifies with a model.

    Args:
      model: a folder that `train` made, or a `.tflite` classifier with labels.
      language: a key of LANGUAGES.
      name: of the class; by the model's name unless told.
      package: of the Kotlin file.
      top_k: how many labels it gives unless told.
      threshold: lower scores are left out; the model's own unless told, which is mostly 0.

    Returns:
      The text of one file.

    Raises:
      DataError: a language, name or number that cannot be.
      ModelError: no classifier, or one that apps cannot run.

    Example:
      >>> import model_maker
      >>> code = model_maker.codegen("flowers_model", "kotlin")
      >>> "class FlowersClassifier" in code
      True
    """
    if language not in LANGUAGES:
        raise DataError(f"There is no language {language!r}: choose one of {', '.join(LANGUAGES)}.")
    _check_numbers(top_k, threshold)
    path = model_file(model)
    content = interpreter.read(path)
    with about(path):
        info = Classifier(content).info
        facts = inspection.inspect(content)
        image, scores = facts.inputs[0], facts.outputs[0]
        target = LANGUAGES[language]
        _check_edges(image, scores, target)
        if target.most_labels and len(info.labels) > target.most_labels:
            raise ModelError(f"it has {len(info.labels)} labels; an enumeration in {language} bears {target.most_labels}.")
    title = info.name or path.stem
    values = {
        "title": _one_line(f"The classifier {title}"),
        "class": _checked_name(name) if name is not None else _class_name(title),
        "package": _checked_package(package),
        "size": image.shape[1],
        "threshold": float(info.threshold if threshold is None else threshold),
        "top_k": top_k,
        **_edges(target, image, scores, info.normalization),
        **_labels(target, info.labels),
    }
    text = (_TEMPLATES / f"{language}.template").read_text(encoding="utf-8")
    return _Template(text).substitute(values)


def _edges(language: Language, image: TensorFacts, scores: TensorFacts, normalization: Normalization | None) -> dict:
    """The types of input and output, and how values get into one and out of the other."""
    mean, std = (normalization.mean, normalization.std) if normalization else (0.0, 1.0)
    quantization = {"scale": scores.scale or 1.0, "zero_point": scores.zero_point or 0}
    return {
        "input": language.scalar[image.dtype],
        "output": language.scalar[scores.dtype],
        "array": {"uint8": "Uint8Array", "float32": "Float32Array"}[image.dtype],
        "type": {"uint8": "UInt8", "float32": "Float"}[image.dtype],
        "input_bytes": {"uint8": 1, "float32": 4}[image.dtype],
        "output_bytes": {"uint8": 1, "float32": 4}[scores.dtype],
        "to_input": language.to_input[image.dtype].format(mean=mean, scale=1 / std),
        "from_output": language.from_output[scores.dtype].format(**quantization),
    }


def _labels(language: Language, labels: Sequence[str]) -> dict[str, str]:
    """The lines of the enumeration, and those of the texts where they stand apart."""
    quoted = [_quoted(label, language) for label in labels]
    names = _names(language, labels)
    members = [
        language.member.format(name=name, text=text, index=index)
        for index, (name, text) in enumerate(zip(names, quoted, strict=True))
    ]
    return {"members": "\n".join(members), "texts": "\n".join(f"    {text}," for text in quoted)}


def _names(language: Language, labels: Sequence[str]) -> list[str]:
    """An identifier a label, each once; what has no letters is called by its number."""
    names: list[str] = []
    seen = set(language.taken)
    for index, label in enumerate(labels):
        words = _words(label)
        if not words or words[0][0].isdecimal():
            words = ["label", *(words or [str(index)])]
        first = name = language.name(words)
        count = 2
        while name in seen:
            name, count = f"{first}_{count}", count + 1
        seen.add(name)
        names.append(name)
    return names


def _words(label: str) -> list[str]:
    """Splits a label where a character is no letter or digit; accents go, other alphabets stay."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", label) if not unicodedata.combining(c))
    kept = "".join(c if unicodedata.category(c) in ("Lu", "Ll", "Lt", "Lo", "Nd") else " " for c in plain)
    return unicodedata.normalize("NFC", kept).split()


def _quoted(text: str, language: Language) -> str:
    """A string literal; what is invisible or turns the line around is written as a code."""
    special = f'\\"{language.special}'
    characters = (
        f"\\{c}" if c in special else language.escape(c) if unicodedata.category(c) in _INVISIBLE else c for c in text
    )
    return f'"{"".join(characters)}"'


_INVISIBLE = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def _units(character: str) -> str:
    """UTF-16, as Kotlin and JavaScript write it."""
    data = character.encode("utf-16-be")
    return "".join(f"\\u{data[at]:02x}{data[at + 1]:02x}" for at in range(0, len(data), 2))


def _upper(words: Sequence[str]) -> str:
    # Of what upper() makes of a letter, some is no letter any more.
    return "_".join(_words(" ".join(words).upper()))


def _camel(words: Sequence[str]) -> str:
    return words[0].lower() + "".join(word[:1].upper() + word[1:] for word in words[1:])


def _class_name(title: str) -> str:
    words = re.sub(r"[^A-Za-z0-9]+", " ", " ".join(_words(title))).split()
    name = "".join(word[:1].upper() + word[1:] for word in words)
    return f"{'' if name[:1].isalpha() else 'Image'}{name}".removesuffix("Classifier") + "Classifier"


def _one_line(text: str) -> str:
    return " ".join("".join(c if unicodedata.category(c) not in _INVISIBLE else " " for c in text).split())


def _checked_name(name: str) -> str:
    if not re.fullmatch(r"[A-Z][A-Za-z0-9_]*", name) or name in _TAKEN_CLASSES:
        raise DataError(f"--name {name}: give the name of a class, as FlowersClassifier.")
    return name


# What the templates call their own, or import.
_TAKEN_CLASSES = frozenset(
    "Label Prediction Failure Interpreter InterpreterApi Image ImageOps NamedTuple Tensor Bitmap ByteBuffer ByteOrder "
    "DataType AutoCloseable Data Float Int String Bool Double Error FloatArray List Math Object None True False "
    "Number OffscreenCanvas CGImage CGContext CGColorSpace CGRect Array Type Any Self SIZE THRESHOLD TEXTS LABELS "
    "Float32Array Uint8Array Promise Set Map UInt8 Unit Nothing CaseIterable".split()
)


def _checked_package(package: str) -> str:
    parts = package.split(".")
    if not all(re.fullmatch(r"[a-z][A-Za-z0-9_]*", part) for part in parts) or _KOTLIN_WORDS & set(parts):
        raise DataError(f"--package {package}: give a Kotlin package, as com.example.app.")
    return package


_KOTLIN_WORDS = frozenset(
    "as break class continue do else false for fun if in interface is null object package return super this throw true "
    "try typealias typeof val var when while".split()
)
_SWIFT_WORDS = frozenset(
    "as associatedtype async await break case catch class continue default defer deinit do else enum extension "
    "fallthrough false fileprivate for func guard if import in init inout internal is let nil open operator "
    "precedencegroup private protocol public repeat rethrows return self static struct subscript super switch throw "
    "throws true try typealias var where while".split()
)


def _check_numbers(top_k: int, threshold: float | None) -> None:
    if top_k < 1:
        raise DataError(f"--top-k {top_k}: give 1 or more.")
    if threshold is not None and not 0 <= threshold <= 1:
        raise DataError(f"--threshold {threshold:g}: give a score from 0 to 1.")


def _check_edges(image: TensorFacts, scores: TensorFacts, language: Language) -> None:
    for edge in (image, scores):
        if edge.dtype not in language.scalar:
            raise ModelError(
                f"its edges are {image.dtype} and {scores.dtype}; apps take uint8 or float32. Make such a file with "
                "model_maker export MODEL --format tflite-int8 --io uint8 --output DIR."
            )


_FLOAT_OR_BYTE = {"uint8": "uint8", "float32": "float32"}

LANGUAGES = {
    "kotlin": Language(
        ".kt",
        _upper,
        "        {name}({text}),",
        _units,
        {"uint8": "UINT8", "float32": "FLOAT32"},
        {"uint8": "input.put(value.toByte())", "float32": "input.putFloat((value - {mean}f) * {scale}f)"},
        {
            "uint8": "((output.get().toInt() and 0xFF) - {zero_point}) * {scale}f",
            "float32": "output.getFloat()",
        },
        special="$",
        most_labels=_MOST_KOTLIN_LABELS,
    ),
    "swift": Language(
        ".swift",
        _camel,
        "    case {name}",
        lambda c: f"\\u{{{ord(c):x}}}",
        {"uint8": "uInt8", "float32": "float32"},
        {"uint8": "value", "float32": "(Float(value) - {mean}) * {scale}"},
        {
            "uint8": "data.map {{ Float(Int($0) - {zero_point}) * {scale} }}",
            "float32": "data.withUnsafeBytes {{ Array($0.bindMemory(to: Float.self)) }}",
        },
        taken=_SWIFT_WORDS | {"text", "allCases", "rawValue", "hashValue", "hash", "some", "none", "type"},
    ),
    "js": Language(
        ".mjs",
        _upper,
        "  {name}: {index},",
        _units,
        _FLOAT_OR_BYTE,
        {"uint8": "value", "float32": "(value - {mean}) * {scale}"},
        {"uint8": "(value - {zero_point}) * {scale}", "float32": "value"},
    ),
    "python": Language(
        ".py",
        _upper,
        "    {name} = {index}",
        lambda c: f"\\U{ord(c):08x}",
        _FLOAT_OR_BYTE,
        {
            "uint8": "pixels[np.newaxis]",
            "float32": "((pixels.astype(np.float32) - np.float32({mean})) * np.float32({scale}))[np.newaxis]",
        },
        {
            "uint8": "(output.astype(np.float32) - {zero_point}) * np.float32({scale})",
            "float32": "output",
        },
    ),
}
