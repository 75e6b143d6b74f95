"""RULES: what phone clients require of a classifier `.tflite`, each found by experiment.

A file that breaks a rule may open in LiteRT and still be refused by apps or lose its class names. Files are checked as
they are, whichever tool wrote them.
"""

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ai_edge_litert import schema_py_generated as model_schema

from model_maker.errors import ModelError
from model_maker.system import limited_process
from model_maker.tflite import graph, interpreter, metadata, vetting, zip_files
from model_maker.tflite import metadata_schema as schema

# The engines inside the phones' sample apps.
TASK_LIBRARY, MEDIAPIPE = "TFLite Task Library", "MediaPipe Tasks"
_TYPES = {value: name.lower() for name, value in vars(model_schema.TensorType).items() if not name.startswith("_")}
_ENGINES = f"{TASK_LIBRARY}, {MEDIAPIPE}"
LITERT_SAMPLES = "LiteRT's samples"
_AGAIN = "`model_maker export` writes the metadata anew."
_BY_MAKER = "Only who made the model knows them: write its metadata there."


@dataclass(frozen=True)
class Contents:
    """The parts of a file that rules check.

    Attributes:
      inputs, outputs: tensors of the model.
      image, scores: its metadata of each input and output.
      entries: files of the zip appended to the model, by name.
      labels: content of the label file; None if there is none.
    """

    inputs: tuple[model_schema.TensorT, ...]
    outputs: tuple[model_schema.TensorT, ...]
    described: bool
    image: tuple[schema.TensorMetadata, ...]
    scores: tuple[schema.TensorMetadata, ...]
    entries: dict[str, zipfile.ZipInfo]
    labels: bytes | None

    @property
    def label_files(self) -> list[str]:
        """Names of the label files that the metadata lists for the first output."""
        return _label_files(self.scores)


@dataclass(frozen=True)
class Rule:
    """One requirement.

    Attributes:
      demand: the requirement, in words.
      by: the clients that refuse or misread a file that breaks it.
      broken: returns what the file has instead; empty if it follows the rule.
      binding: whether breaking it is an error; otherwise some apps only lose a feature.
    """

    demand: str
    by: str
    broken: Callable[[Contents], str]
    advice: str
    binding: bool = True


@dataclass(frozen=True)
class RuleCheck:
    """Whether a file follows a rule; `received` says what it has instead."""

    rule: Rule
    received: str

    @property
    def passed(self) -> bool:
        return not self.received


def check(content: bytes) -> list[RuleCheck]:
    """Checks a `.tflite` against RULES.

    Raises:
      ModelError: it is damaged.
    """
    with graph.explained():
        contents = _read(content)
        return [RuleCheck(rule, rule.broken(contents)) for rule in RULES]


def check_apart(path: Path) -> list[RuleCheck]:
    """Checks an untrusted file in a process with limits: files that break a rule may fail `vetting`.

    Raises:
      ModelError: it is damaged, or exceeds the limits of time or memory.
    """
    packed = limited_process.run(__name__, str(path), what="It", limit_s=vetting.LIMIT_S, error=ModelError)
    return [RuleCheck(rule, received) for rule, received in zip(RULES, json.loads(packed), strict=True)]


def _received(path: str) -> bytes:
    return json.dumps([entry.received for entry in check(interpreter.read(path))]).encode()


def _read(content: bytes) -> Contents:
    model = graph.parse(content)
    main, tables = model.subgraphs[0], metadata.tables(model)
    part = (tables.subgraph_metadata if tables else None) or [schema.SubGraphMetadata()]
    entries = {}
    if zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = {entry.filename: entry for entry in archive.infolist()}
    scores = tuple(part[0].output_tensor_metadata or ())
    names = _label_files(scores)
    return Contents(
        tuple(main.tensors[index] for index in main.inputs),
        tuple(main.tensors[index] for index in main.outputs),
        tables is not None,
        tuple(part[0].input_tensor_metadata or ()),
        scores,
        entries,
        zip_files.read(content, names[0]) if names else None,
    )


def _label_files(scores: tuple[schema.TensorMetadata, ...]) -> list[str]:
    files = (scores[0].associated_files or []) if scores else []
    return [(file.name or b"").decode() for file in files if file.type == schema.AssociatedFileType.TENSOR_AXIS_LABELS]


def _input_shape(file: Contents) -> str:
    if len(file.inputs) != 1:
        return f"{len(file.inputs)} inputs"
    shape = list(graph.shape(file.inputs[0]))
    return "" if len(shape) == 4 and (shape[0], shape[3]) == (1, 3) else f"input of shape {shape}"


def _output_shape(file: Contents) -> str:
    shapes = [list(graph.shape(tensor)) for tensor in file.outputs]
    # Several outputs are heads of one classifier if the metadata describes each; otherwise only one is allowed.
    described = len(shapes) == 1 or len(file.scores) == len(shapes) > 1
    # Older classifiers have four-dimensional outputs.
    fits = described and all(len(shape) in (2, 4) and set(shape[:-1]) == {1} for shape in shapes)
    return "" if fits else f"outputs of shape {shapes}"


def _other_type(tensors: tuple[model_schema.TensorT, ...]) -> str:
    names = [_TYPES.get(tensor.type, str(tensor.type)) for tensor in tensors]
    return "" if set(names) <= {"uint8", "float32"} else ", ".join(names)


def _one_description(file: Contents) -> str:
    return "" if len(file.image) == 1 or not file.described else f"metadata of {len(file.image)} inputs"


def _normalization(file: Contents) -> str:
    if not file.inputs or file.inputs[0].type != model_schema.TensorType.FLOAT32:
        return ""
    units = [unit for entry in file.image[:1] for unit in entry.process_units or []]
    found = [unit.options for unit in units if isinstance(unit.options, schema.NormalizationOptions)]
    if not found:
        return "float input, and no NormalizationOptions"
    means, deviations = found[0].mean or [], found[0].std or []
    one_each = len(set(means)) == len(set(deviations)) == 1 and 0.0 not in deviations
    return "" if one_each else f"mean {means}, std {deviations}"


def _label_file(file: Contents) -> str:
    names = file.label_files  # more than one where labels are translated
    lost = [name for name in names if name not in file.entries]
    return f"{lost[0]}, which is not in the zip" if lost else "" if names else "no file of labels"


def _compression(file: Contents) -> str:
    packed = [name for name, entry in file.entries.items() if entry.compress_type != zipfile.ZIP_STORED]
    return f"{', '.join(packed)} compressed" if packed else ""


def _lines(file: Contents) -> str:
    return "lines that end in CR LF" if b"\r" in (file.labels or b"") else ""


def _count(file: Contents) -> str:
    if file.labels is None or not file.outputs:
        return ""
    lines, scores = len(file.labels.removesuffix(b"\n").split(b"\n")), graph.shape(file.outputs[0])[-1]
    return "" if lines == scores else f"{lines} labels for {scores} scores"


def _labels_again(file: Contents) -> str:
    return "" if metadata.LABELS_AGAIN in file.entries else "not in the zip"


RULES = (
    Rule("one input [1, H, W, 3]", _ENGINES, _input_shape, "Convert an image model with a batch of 1."),
    Rule(
        "input uint8 or float32",
        _ENGINES,
        lambda file: _other_type(file.inputs),
        "`model_maker export --io uint8` or `--io float32` makes it again.",
    ),
    Rule("one output [1, N]", _ENGINES, _output_shape, "Keep the scores of the classes as the only output."),
    Rule(
        "output uint8 or float32",
        _ENGINES,
        lambda file: _other_type(file.outputs),
        "`model_maker export --io uint8` or `--io float32` makes it again.",
    ),
    Rule("metadata, if any, of exactly one input", TASK_LIBRARY, _one_description, _AGAIN),
    Rule(
        "float input: one mean and one std, not 0",
        _ENGINES,
        _normalization,
        f"State them in NormalizationOptions. {_BY_MAKER}",
    ),
    Rule("a file of labels, in the zip", _ENGINES, _label_file, f"Add it as TENSOR_AXIS_LABELS. {_BY_MAKER}"),
    Rule("files in the zip stored, not compressed", _ENGINES, _compression, _AGAIN),
    Rule("labels in lines that end in LF", TASK_LIBRARY, _lines, _AGAIN),
    Rule("as many labels as scores", _ENGINES, _count, "Write one label a line, and no blank lines."),
    Rule(f"{metadata.LABELS_AGAIN} in the zip", LITERT_SAMPLES, _labels_again, _AGAIN, binding=False),
)


if __name__ == "__main__":
    limited_process.answer(_received, memory_bytes=vetting.MEMORY_BYTES, cpu_s=2 * vetting.LIMIT_S)
