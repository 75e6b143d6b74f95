"""Labels, normalization and provenance inside the `.tflite`, as the phone clients read them.

Its schema is `metadata_schema`.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as model_schema

from model_maker.errors import ModelError
from model_maker.fitting import RESIZES, STRETCH, Fit
from model_maker.normalization import Normalization
from model_maker.tflite import graph, in_place, label_lists, label_sets, thresholds, zip_files
from model_maker.tflite import metadata_schema as schema
from model_maker.tflite.label_sets import LabelSets

LABELS = "labels.txt"
# The LiteRT sample apps look for this name; the same lines under both names suit every client.
LABELS_AGAIN = "labels_without_background.txt"
PROVENANCE = "model_maker.json"
# The schema has no field for it; clients need none, since the graph itself ends in a sigmoid.
_MULTI_LABEL = "multi_label"
_ENTRY = b"TFLITE_METADATA"
# Says how photos are fitted to the input; absent where they are stretched, which is what the schema's clients do.
RESIZE = "resize.txt"
# The first parser version that knows all the fields written here (tflite-support's own computation).
_MIN_PARSER = b"1.0.0"


@dataclass(frozen=True)
class ModelInfo:
    """What a classifier says of itself.

    Attributes:
      name, version, author, licence, description: free text.
      labels: one a class, in the order of the output; empty where the file has none.
      normalization: what a float input expects; None where the file does not say.
      provenance: plain JSON types: fingerprint of the dataset, options, metrics.
      threshold: the score below which clients leave a label out.
      label_thresholds: the same of each label, where they have some of their own; then `threshold` is above 0.
      resize: how photos are fitted to the input, a key of `fitting.RESIZES`.
      display_names: by locale, for example "de", what each label is called there, in the order of the labels.
      multi_label: whether a photo may have several labels, or none; then each score stands for itself.
      label_sets: how many labels to show for a stated coverage; None without such a promise.
    """

    labels: tuple[str, ...] = ()
    normalization: Normalization | None = None
    name: str = ""
    version: str = ""
    author: str = ""
    licence: str = ""
    description: str = ""
    provenance: dict[str, Any] = field(default_factory=dict)
    threshold: float = 0.0
    label_thresholds: tuple[float, ...] = ()
    display_names: dict[str, tuple[str, ...]] = field(default_factory=dict)
    multi_label: bool = False
    resize: str = STRETCH
    label_sets: LabelSets | None = None

    @property
    def limits(self) -> np.ndarray:
        """The score from which on each label is an answer, float32 [C]; 0 for any."""
        limits = np.full(len(self.labels), self.threshold, np.float32)
        return np.maximum(limits, np.array(self.label_thresholds, np.float32)) if self.label_thresholds else limits


def write(content: bytes, info: ModelInfo, *, embedder: bool = False) -> bytes:
    """Returns the model with metadata: a flatbuffer inside, the labels as a zip behind.

    Args:
      embedder: whether the output is a feature vector, which has no labels.

    Raises:
      ModelError: the number of labels is not the number of scores, a label cannot stand in a line, or there is no
        normalization.
    """
    model = graph.parse(content)
    if info.normalization is None:
        raise ModelError("The metadata lacks the input's normalization, without which phone clients refuse a model.")
    tensors = model.subgraphs[0].tensors
    image, scores = tensors[model.subgraphs[0].inputs[0]], tensors[model.subgraphs[0].outputs[0]]
    if not embedder:
        label_lists.check(info.labels, int(scores.shape[-1]))
    output = _vector_metadata() if embedder else _scores_metadata(scores)
    more = ({} if embedder else _put_rules(output, info)) | _resize_file(info)
    _set_entry(model, schema.pack(_model_metadata(info, _image_metadata(info, image), output)))
    lines = "\n".join(info.labels).encode()
    stated = info.provenance | ({_MULTI_LABEL: True} if info.multi_label else {})
    provenance = json.dumps(stated, sort_keys=True, ensure_ascii=False, indent=1).encode()
    labels = {} if embedder else {LABELS: lines, LABELS_AGAIN: lines}
    return zip_files.append(graph.pack(model), {**labels, **more, PROVENANCE: provenance})


def write_heads(content: bytes, heads: Mapping[str, ModelInfo]) -> bytes:
    """Writes the metadata of a network with several outputs: each has labels of its own, and its name.

    Args:
      heads: what is known of each output, by name, in order; what they share is that of the first.

    Raises:
      ModelError: see `write`.
    """
    model, (first, *_) = graph.parse(content), heads.values()
    if first.normalization is None:
        raise ModelError("The metadata lacks the input's normalization, without which phone clients refuse a model.")
    main = model.subgraphs[0]
    outputs, files = [], dict[str, bytes]()
    for index, (name, info) in zip(main.outputs, heads.items(), strict=True):
        tensor = main.tensors[int(index)]
        label_lists.check(info.labels, int(tensor.shape[-1]))
        output = _scores_metadata(tensor, name, f"{name}.txt")
        files |= _put_rules(output, info, _prefix(output, len(main.outputs)))
        files[f"{name}.txt"] = "\n".join(info.labels).encode()
        outputs.append(output)
    files |= _resize_file(first)
    image = _image_metadata(first, main.tensors[int(main.inputs[0])])
    _set_entry(model, schema.pack(_model_metadata(first, image, *outputs)))
    provenance = {name: info.provenance for name, info in heads.items()}
    text = json.dumps({"heads": provenance}, sort_keys=True, ensure_ascii=False, indent=1).encode()
    files |= {LABELS_AGAIN: "\n".join(first.labels).encode(), PROVENANCE: text}
    return zip_files.append(graph.pack(model), files)


def read_heads(content: bytes) -> dict[str, ModelInfo]:
    """Reads the metadata of a network with several outputs, by their names; of one output, an empty dictionary.

    Raises:
      ModelError: the metadata is damaged, or an output has not as many labels as scores.
    """
    model = graph.parse(content)
    metadata, main = tables(model), model.subgraphs[0]
    if metadata is None or len(main.outputs) < 2:
        return {}
    with graph.explained("The model's metadata"):
        whole, [part, *_] = read(content), metadata.subgraph_metadata or [schema.SubGraphMetadata()]
        found = {}
        for index, output in zip(main.outputs, part.output_tensor_metadata or [], strict=False):
            labels = label_lists.read(output, content)
            label_lists.check(labels, int(main.tensors[int(index)].shape[-1]))
            name = (output.name or b"").decode()
            stated = whole.provenance.get("heads")
            own = stated.get(name, {}) if isinstance(stated, dict) else {}
            found[name] = replace(
                whole,
                labels=labels,
                name=name,
                provenance=own,
                **_rules(output, content, labels, _prefix(output, len(main.outputs))),
            )
        return found if len(found) == len(main.outputs) else {}


def read(content: bytes) -> ModelInfo:
    """Reads metadata of the first output, ours or another tool's; a file without any gives an empty ModelInfo.

    Raises:
      ModelError: the metadata is damaged, or the number of labels is not the number of scores.
    """
    with graph.explained():
        entry, shapes = in_place.metadata_entry(content, _ENTRY), in_place.output_shapes(content)
    if entry is None:
        return ModelInfo()
    with graph.explained("The model's metadata"):
        metadata = schema.read(entry)
        part = (metadata.subgraph_metadata or [schema.SubGraphMetadata()])[0]
        inputs, outputs = part.input_tensor_metadata or [], part.output_tensor_metadata or []
        labels = label_lists.read(outputs[0], content) if outputs else ()
        normalization = _normalization(inputs[0]) if inputs else None
        resize = _resize(inputs[0], content) if inputs else STRETCH
        # What JSON has no word for is nothing, so that it can be written again.
        provenance = json.loads(
            zip_files.read(content, PROVENANCE) or "{}", parse_constant=lambda _: None, parse_float=_finite
        )
        if not isinstance(provenance, dict):
            raise ModelError(f"The model's {PROVENANCE} is not a JSON object.")
        multi_label = provenance.pop(_MULTI_LABEL, False) is True
        text: dict[str, Any] = {ours: (getattr(metadata, theirs) or b"").decode() for ours, theirs in _TEXTS.items()}
        if labels:
            _check_count(labels, shapes)
        rules = _rules(outputs[0], content, labels, _prefix(outputs[0], len(shapes))) if outputs else {}
    return ModelInfo(
        labels,
        normalization,
        provenance=provenance,
        multi_label=multi_label,
        resize=resize,
        **rules,
        **text,
    )


def check_single(info: ModelInfo, what: str, advice: str) -> None:
    """Checks that a model gives one label a photo.

    Args:
      what: that supposes it, as the subject of the message.
      advice: what to do instead.

    Raises:
      ModelError: it gives several.
    """
    if info.multi_label:
        raise ModelError(f"{what} needs a model of one label a photo, and this one gives several. {advice}")


def tables(model: model_schema.ModelT) -> schema.ModelMetadata | None:
    """Returns the metadata of a model as it stands there; None where there is none.

    Raises:
      ModelError: it is damaged.
    """
    entry = next((entry for entry in model.metadata or [] if entry.name == _ENTRY), None)
    if entry is None:
        return None
    with graph.explained("The model's metadata"):
        return schema.read(bytes(model.buffers[entry.buffer].data))


_TEXTS = {
    "name": "name",
    "version": "version",
    "author": "author",
    "licence": "license",
    "description": "description",
}


def _model_metadata(
    info: ModelInfo, image: schema.TensorMetadata, *outputs: schema.TensorMetadata
) -> schema.ModelMetadata:
    provenance = schema.AssociatedFile(
        PROVENANCE.encode(),
        b"How this model was made, and its measured accuracy.",
        schema.AssociatedFileType.UNKNOWN,
    )
    return schema.ModelMetadata(
        **{theirs: getattr(info, ours).encode() for ours, theirs in _TEXTS.items()},
        subgraph_metadata=[
            schema.SubGraphMetadata(input_tensor_metadata=[image], output_tensor_metadata=list(outputs))
        ],
        associated_files=[provenance],
        min_parser_version=_MIN_PARSER,
    )


def _image_metadata(info: ModelInfo, tensor: model_schema.TensorT) -> schema.TensorMetadata:
    fit, normalization = Fit.to(tensor.shape, info.resize), info.normalization
    assert normalization is not None  # checked by the callers
    # The range of what the tensor holds: raw pixels, or normalized ones.
    low, high = (0.0, 255.0) if tensor.type == model_schema.TensorType.UINT8 else normalization(np.array([0, 255]))
    return schema.TensorMetadata(
        b"image",
        f"An RGB photo, {fit.description}.".encode(),
        content=schema.Content(schema.ImageProperties(schema.ColorSpaceType.RGB)),
        process_units=[schema.ProcessUnit(schema.NormalizationOptions([normalization.mean], [normalization.std]))],
        stats=schema.Stats(min=[float(low)], max=[float(high)]),
        associated_files=[_RESIZE_FILE] if _resize_file(info) else None,
    )


_RESIZE_FILE = schema.AssociatedFile(
    RESIZE.encode(), b"How photos are fitted to the input.", schema.AssociatedFileType.DESCRIPTIONS
)


def _resize_file(info: ModelInfo) -> dict[str, bytes]:
    return {} if info.resize == STRETCH else {RESIZE: info.resize.encode()}


def _resize(image: schema.TensorMetadata, content: bytes) -> str:
    """Reads how photos are fitted to the input; files from before that was a choice, and from others, do not say.

    Raises:
      ModelError: in a way that this version does not know.
    """
    if all(file.name != _RESIZE_FILE.name for file in image.associated_files or []):
        return STRETCH
    return parse_resize(zip_files.read(content, RESIZE) or b"")


def parse_resize(stated: bytes) -> str:
    """Returns what the file RESIZE says, a key of RESIZES.

    Raises:
      ModelError: it says nothing that this version knows.
    """
    text = stated.decode(errors="replace").strip()
    if text not in RESIZES:
        raise ModelError(f"its {RESIZE} says {text[:40]!r}; known are {', '.join(RESIZES)}. Update model-maker.")
    return text


def _scores_metadata(
    tensor: model_schema.TensorT, name: str = "probability", file: str = LABELS
) -> schema.TensorMetadata:
    labels = schema.AssociatedFile(
        file.encode(),
        b"One label a line, in the order of the scores.",
        schema.AssociatedFileType.TENSOR_AXIS_LABELS,
    )
    return schema.TensorMetadata(
        name.encode(),
        b"The probability of each label.",
        content=schema.Content(schema.FeatureProperties()),
        stats=schema.Stats(min=[0.0], max=[255.0 if tensor.type == model_schema.TensorType.UINT8 else 1.0]),
        associated_files=[labels],
    )


def _vector_metadata() -> schema.TensorMetadata:
    content = schema.Content(schema.FeatureProperties())
    return schema.TensorMetadata(b"embedding", b"The features of the photo.", content=content)


def _set_entry(model: model_schema.ModelT, packed: bytes) -> None:
    model.metadata = [entry for entry in model.metadata or [] if entry.name != _ENTRY]
    buffer, entry = model_schema.BufferT(), model_schema.MetadataT()
    buffer.data = np.frombuffer(packed, np.uint8)
    model.buffers.append(buffer)
    entry.name, entry.buffer = _ENTRY, len(model.buffers) - 1
    model.metadata.append(entry)


def _finite(number: str) -> float | None:
    value = float(number)
    return value if math.isfinite(value) else None


def _prefix(output: schema.TensorMetadata, outputs: int) -> str:
    """Returns what the files of an output begin with: its name, where there are several."""
    return f"{(output.name or b'').decode()}_" if outputs > 1 else ""


def _put_rules(output: schema.TensorMetadata, info: ModelInfo, prefix: str = "") -> dict[str, bytes]:
    """Writes into an output's metadata which labels are shown and how they are called; returns the files for it."""
    count = len(info.labels)
    files = thresholds.put(output, info.threshold, info.label_thresholds, labels=count, prefix=prefix)
    files |= label_lists.put_display_names(output, info.display_names, count, prefix)
    return files | ({f"{prefix}{label_sets.LABEL_SETS}": label_sets.pack(info.label_sets)} if info.label_sets else {})


def _rules(output: schema.TensorMetadata, content: bytes, labels: tuple[str, ...], prefix: str) -> dict[str, Any]:
    """Reads what `_put_rules` wrote, as fields of ModelInfo.

    Raises:
      ModelError: there are thresholds or limits of other labels.
    """
    threshold, own = thresholds.get(output, partial(zip_files.read, content))
    if own and len(own) != len(labels):
        raise ModelError(f"it holds thresholds of {len(own)} labels, and {len(labels)} labels.")
    packed = zip_files.read(content, f"{prefix}{label_sets.LABEL_SETS}") if labels else None
    return {
        "threshold": threshold,
        "label_thresholds": own,
        "display_names": label_lists.display_names(output, content),
        "label_sets": None if packed is None else label_sets.unpack(packed, labels=len(labels)),
    }


def _normalization(image: schema.TensorMetadata) -> Normalization | None:
    for unit in image.process_units or []:
        if isinstance(unit.options, schema.NormalizationOptions):
            means, deviations = set(unit.options.mean or []), set(unit.options.std or [])
            # A deviation of 0 is refused by the phone clients, too.
            if len(means) == len(deviations) == 1 and np.isfinite([*means, *deviations]).all() and deviations != {0.0}:
                return Normalization(means.pop(), deviations.pop())
    return None


def _check_count(labels: tuple[str, ...], outputs: Sequence[tuple[int, ...]]) -> None:
    count = outputs[0][-1]
    if len(labels) != count:
        raise ModelError(f"The model gives {count} scores but carries {len(labels)} labels; they must match.")
