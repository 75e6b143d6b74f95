"""codegen(): a short typed wrapper around one very model, in the language of an app.

The code carries what the model's metadata says: input, labels as an enumeration, normalization, threshold. It fits
photos to the input as training did, so it gives the same answers as `Classifier`. Its text is in `templates`, one a
language.
"""

import hashlib
import os
import re
import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from model_maker import output_folder
from model_maker.apps import identifiers, picture_code, put_in_app
from model_maker.errors import DataError, ModelError, about
from model_maker.fitting import Fit
from model_maker.inference.classifier import FileClassifier, model_file
from model_maker.normalization import Normalization
from model_maker.packaging import self_test
from model_maker.tflite import inspection, logit_shares, metadata, vetting
from model_maker.tflite.inspection import TensorFacts
from model_maker.tflite.metadata import ModelInfo

TOP_K = 3
PACKAGE = "modelmaker"
# A Kotlin enumeration is one method of at most 64 KB, some 30 bytes for an entry.
_MOST_KOTLIN_LABELS = 2000
_KOTLIN_RUN = "interpreter.runForMultipleInputsOutputs(arrayOf<Any>(input), mapOf<Int, Any>({} to output))"
_TEMPLATES = Path(__file__).parent / "templates"
# Whose apps do the arithmetic of heads, too, and where.
_HEADS = {
    "kotlin": ("android", "app/src/main/kotlin/modelmaker/classifier/Head.kt"),
    "swift": ("ios", "Classifier/Head.swift"),
}


class _Template(string.Template):
    delimiter = "@@"  # none of the languages has it


@dataclass(frozen=True)
class Language:
    """How code is written in a language.

    Attributes:
      join: makes an identifier of the words of a label.
      member: a line of the enumeration, of {name}, {text} and {index}.
      escape: writes a character that may not stand in a string as it is.
      scalar: the name of a tensor's type, by ours.
      to_input: an expression for a pixel (in Python all pixels), by the type of the input; of {mean} and {scale}.
      from_output: an expression for a score, by the type of the output; of {scale} and {zero_point}.
      arrays: the name of an array of the input's values, by its type, where the code makes one.
      taken: identifiers that a label may not have.
      special: characters beside backslash and quote that mean something inside a string.
    """

    suffix: str
    join: Callable[[Sequence[str]], str]
    member: str
    escape: Callable[[str], str]
    scalar: dict[str, str]
    to_input: dict[str, str]
    from_output: dict[str, str]
    arrays: dict[str, str] = field(default_factory=lambda: {"uint8": "", "float32": ""})
    taken: frozenset[str] = frozenset()
    special: str = ""
    most_labels: int | None = None


def codegen(
    model: str | os.PathLike[str],
    language: str,
    *,
    name: str | None = None,
    package: str = PACKAGE,
    top_k: int | None = None,
    threshold: float | None = None,
    head: str | None = None,
) -> str:
    """Writes the source code that classifies with a model.

    Args:
      model: a folder that `train` made, or a `.tflite` classifier with labels; or a folder that `split_model` made,
        whose code takes any head for that backbone and learns further classes.
      language: a key of LANGUAGES.
      name: of the class; derived from the model name by default.
      package: of the Kotlin file.
      top_k: default number of labels; TOP_K, or all labels of a model that gives several.
      threshold: lower scores are omitted; the thresholds of the model or its labels by default, usually 0.
      head: which output of a file that `combine` made; the first by default.

    Returns:
      The text of one file.

    Raises:
      DataError: a language, name or number that cannot be.
      ModelError: no classifier, or one that apps cannot run.

    Examples:
      >>> import model_maker
      >>> code = model_maker.codegen("flowers_model", "kotlin")
      >>> "class FlowersClassifier" in code
      True
    """
    if language not in LANGUAGES:
        raise DataError(f"There is no language {language!r}: choose one of {', '.join(LANGUAGES)}.")
    _check_numbers(top_k, threshold)
    target = LANGUAGES[language]
    if (Path(model) / output_folder.HEAD).is_file():
        return _head_code(Path(model), language, package=identifiers.check_package(package), top_k=top_k or TOP_K)
    content = vetting.read(model_file(model))
    title, info, image, scores, place, side = _read(model, target, head)
    values = {
        "title": identifiers.one_line(f"The classifier {title}"),
        "class": identifiers.class_name(title) if name is None else identifiers.check_class(name),
        "package": identifiers.check_package(package),
        **picture_code.values(language, Fit.to(image.shape, info.resize), _TEMPLATES),
        "threshold": float(info.threshold if threshold is None else threshold),
        "own": ", ".join(map(str, info.label_thresholds if threshold is None else ())),
        **_promise(info),
        "tests": ", ".join(map(str, self_test.places(content))) if head is None else "",
        "top_k": top_k or (len(info.labels) if info.multi_label else TOP_K),
        "head": place,
        # The shorter call gives the first output alone.
        "run": "interpreter.run(input, output)" if place == 0 else _KOTLIN_RUN.format(place),
        **_edges(target, image, scores, info.normalization),
        **_labels(target, info.labels),
    }
    return _filled(language, language, values | {"shares": _shares(language, values, side)})


def _shares(language: str, values: dict[str, Any], side: int | None) -> str:
    """Returns the method that says where an answer comes from, of a file of `export --why`; else nothing."""
    place = _TEMPLATES / f"shares_{language}.template"
    if side is None or not place.exists():
        return ""
    return _Template(place.read_text(encoding="utf-8")).substitute(values | {"side": side})


def _promise(info: ModelInfo) -> dict[str, Any]:
    """The coverage of the model's label sets, 0 for none, and the limits that they take."""
    sets = info.label_sets
    return {"coverage": sets.coverage if sets else 0.0, "limits": ", ".join(map(str, sets.limits if sets else ()))}


def _filled(template: str, language: str, values: dict[str, Any]) -> str:
    """Fills in a template, and in it what cuts a part out of pictures and what resizes them."""

    def text(name: str, more: dict[str, Any]) -> str:
        content = (_TEMPLATES / f"{name}.template").read_text(encoding="utf-8")
        return _Template(content).substitute(values | more)

    parts = {name: text(f"{name}_{language}", {}).rstrip("\n") for name in ("part", "picture")}
    tests = "\n" + text(f"self_test_{language}", {}) if values.get("tests") else ""  # of a model that has a self-test
    return text(template, parts) + tests


def _head_code(folder: Path, language: str, *, package: str, top_k: int) -> str:
    """Writes what classifies with the backbone and the head that `split_model` put in a folder."""
    path = folder / output_folder.BACKBONE
    content = vetting.read(path)
    with about(path):
        vetting.vet(content)
        info, facts = metadata.read(content), inspection.inspect(content)
        image, vector = facts.inputs[0], facts.outputs[0]
        if image.dtype not in LANGUAGES[language].scalar or vector.dtype != "float32" or len(image.shape) != 4:
            raise ModelError("it is not a backbone that `export --split` wrote. Export it again.")
    values = {
        **picture_code.values(language, Fit.to(image.shape, info.resize), _TEMPLATES),
        "arithmetic": _arithmetic(language),
        "sha256": hashlib.sha256(content).hexdigest(),
        "package": package,
        "top_k": top_k,
        **_edges(LANGUAGES[language], image, vector, info.normalization),
    }
    return _filled(f"head_{language}", language, values)


def _arithmetic(language: str) -> str:
    """Returns the class `Head` of our own app in that language: what follows its imports."""
    if language not in _HEADS:
        return ""
    platform, place = _HEADS[language]
    text = (put_in_app.sources(platform) / place).read_text(encoding="utf-8")
    documented = re.search(r"^(/\*\*|/// )", text, re.MULTILINE)
    assert documented
    return text[documented.start() :].strip()


def _read(
    model: str | os.PathLike[str], language: Language, head: str | None
) -> tuple[str, ModelInfo, TensorFacts, TensorFacts, int, int | None]:
    """Returns a model's title, what it says of itself, input, output, its index, and the grid of its shares."""
    path = model_file(model)
    content = vetting.read(path)
    with about(path):
        info, facts = FileClassifier(content, head=head).info, inspection.inspect(content)
        place = 0 if head is None else [*metadata.read_heads(content)].index(head)
        image, scores = facts.inputs[0], facts.outputs[place]
        if not {image.dtype, scores.dtype} <= set(language.scalar):
            raise ModelError(
                f"its input and output are {image.dtype} and {scores.dtype}; apps take uint8 or float32. Use "
                "model_maker export MODEL --format tflite-int8 --io uint8 --output DIR."
            )
        if language.most_labels and len(info.labels) > language.most_labels:
            raise ModelError(f"it has {len(info.labels)} labels; an enumeration bears {language.most_labels} there.")
        [*_, last] = facts.outputs
        side = last.shape[1] if len(facts.outputs) == 2 and last.name.startswith(logit_shares.SHARES) else None
    return info.name or path.stem, info, image, scores, place, side


def _edges(
    language: Language, image: TensorFacts, scores: TensorFacts, normalization: Normalization | None
) -> dict[str, Any]:
    """The types of input and output, and how values get into one and out of the other."""
    mean, std = (normalization.mean, normalization.std) if normalization else (0.0, 1.0)
    quantization = {"scale": scores.scale or 1.0, "zero_point": scores.zero_point or 0}
    return {
        "input": language.scalar[image.dtype],
        "output": language.scalar[scores.dtype],
        "array": language.arrays[image.dtype],
        "type": {"uint8": "UInt8", "float32": "Float"}[image.dtype],
        "input_bytes": {"uint8": 1, "float32": 4}[image.dtype],
        "output_bytes": {"uint8": 1, "float32": 4}[scores.dtype],
        "to_input": language.to_input[image.dtype].format(mean=mean, scale=1 / std),
        "from_output": language.from_output[scores.dtype].format(**quantization),
    }


def _labels(language: Language, labels: Sequence[str]) -> dict[str, str]:
    """The lines of the enumeration, and those of the texts where they stand apart."""
    quoted = [identifiers.quoted(label, language.escape, language.special) for label in labels]
    names = identifiers.names(labels, language.join, language.taken)
    members = [
        language.member.format(name=name, text=text, index=index)
        for index, (name, text) in enumerate(zip(names, quoted, strict=True))
    ]
    return {"members": "\n".join(members), "texts": "\n".join(f"    {text}," for text in quoted)}


def _check_numbers(top_k: int | None, threshold: float | None) -> None:
    if top_k is not None and top_k < 1:
        raise DataError(f"`top_k={top_k}`: pass 1 or more.")
    if threshold is not None and not 0 <= threshold <= 1:
        raise DataError(f"`threshold={threshold:g}`: pass a score from 0 to 1.")


_FLOAT_OR_BYTE = {"uint8": "uint8", "float32": "float32"}

LANGUAGES = {
    "kotlin": Language(
        ".kt",
        identifiers.upper,
        "        {name}({text}),",
        identifiers.utf16,
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
        identifiers.camel,
        "    case {name}",
        lambda c: f"\\u{{{ord(c):x}}}",
        {"uint8": "uInt8", "float32": "float32"},
        {"uint8": "value", "float32": "(Float(value) - {mean}) * {scale}"},
        {
            "uint8": "data.map {{ Float(Int($0) - {zero_point}) * {scale} }}",
            "float32": "data.withUnsafeBytes {{ Array($0.bindMemory(to: Float.self)) }}",
        },
        taken=identifiers.SWIFT_WORDS,
    ),
    "js": Language(
        ".mjs",
        identifiers.upper,
        "  {name}: {index},",
        identifiers.utf16,
        _FLOAT_OR_BYTE,
        {"uint8": "value", "float32": "(value - {mean}) * {scale}"},
        {"uint8": "(value - {zero_point}) * {scale}", "float32": "value"},
        {"uint8": "Uint8Array", "float32": "Float32Array"},
    ),
    "dart": Language(
        ".dart",
        identifiers.ascii_camel,
        "  {name}({text}),",
        lambda c: f"\\u{{{ord(c):x}}}",
        _FLOAT_OR_BYTE,
        {"uint8": "value", "float32": "(value - {mean}) * {scale}"},
        {
            "uint8": "(output.getUint8(index) - {zero_point}) * {scale}",
            "float32": "output.getFloat32(4 * index, Endian.little)",
        },
        {"uint8": "Uint8List", "float32": "Float32List"},
        taken=identifiers.DART_WORDS,
        special="$",
    ),
    "python": Language(
        ".py",
        identifiers.upper,
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
