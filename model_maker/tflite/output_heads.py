"""Combines classifiers on one backbone into a network with several outputs, and extracts one again.

Common operators are found by hashing each with everything that it depends on, and are stored once.
"""

import copy
import hashlib
from collections.abc import Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from model_maker.errors import ModelError
from model_maker.tflite import cut, graph

_WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


def combine(contents: Sequence[bytes], names: Sequence[str]) -> bytes:
    """Returns one network with a named output for each classifier, in order, without metadata.

    Raises:
      ModelError: they are not on the same backbone; the message says what differs, without file names.
    """
    merged = _Merged(graph.parse(contents[0]), names[0])
    for content, name in zip(contents[1:], names[1:], strict=True):
        with graph.explained():
            merged.add(graph.parse(content), name)
    main = merged.model.subgraphs[0]
    main.outputs = merged.outputs
    for index, name in zip(merged.outputs, names, strict=True):
        main.tensors[index].name = name.encode()
    merged.model.metadata, merged.model.metadataBuffer = [], None
    graph.sign(merged.model, names)
    return graph.pack(merged.model)


def extract(content: bytes, index: int) -> bytes:
    """Returns a network with one output and the operators that it needs, without metadata."""
    model = graph.parse(content)
    with graph.explained():
        main = model.subgraphs[0]
        main.outputs = [int(main.outputs[index])]
        cut.prune(model)
        main.tensors[main.outputs[0]].name = graph.OUTPUT.encode()
        graph.sign(model)
        return graph.pack(model)


class _Merged:
    """A network into which others are merged."""

    def __init__(self, model: schema.ModelT, name: str):
        self.model, self._main = model, model.subgraphs[0]
        self._known: dict[bytes, int] = {}
        self.outputs = [int(self._main.outputs[0])]
        with graph.explained():
            for index, digest in _digests(model).items():
                self._known.setdefault(digest, index)

    def add(self, other: schema.ModelT, name: str) -> None:
        """Adds the operators of another network that this one lacks."""
        main = other.subgraphs[0]
        ours, theirs = (each.tensors[int(each.inputs[0])] for each in (self._main, main))
        if list(ours.shape) != list(theirs.shape) or ours.type != theirs.type:
            kinds = [f"{list(each.shape)} {graph.TYPE_NAMES[each.type].lower()}" for each in (ours, theirs)]
            raise ModelError(f"their inputs differ: {kinds[0]} and {kinds[1]}.")
        digests = _digests(other)
        places = {int(main.inputs[0]): int(self._main.inputs[0])}
        places |= {index: self._known[digest] for index, digest in digests.items() if digest in self._known}
        added = [one for one in main.operators if not {int(index) for index in one.outputs} <= places.keys()]
        weighted = [one for one in added if graph.operator_name(other, one) in _WEIGHTED]
        last = [one for one in main.operators if graph.operator_name(other, one) in _WEIGHTED][-1:]
        if weighted != last:
            if not weighted:
                raise ModelError("they are the same classifier, or differ in nothing but labels.")
            raise ModelError(
                f"they are on different backbones: {len(weighted)} layers with weights differ where only the last may. "
                "Train them with the same `model`, `image_size` and `io`, without fine-tuning."
            )
        for operator in added:
            for index in map(int, (*operator.inputs, *operator.outputs)):
                if index >= 0 and index not in places:
                    places[index] = self._copied(other, main.tensors[index], name)
            self._main.operators.append(self._operator(other, operator, places))
        for index, digest in digests.items():
            if index in places:
                self._known.setdefault(digest, places[index])
        self.outputs.append(places[int(main.outputs[0])])

    def _copied(self, other: schema.ModelT, tensor: schema.TensorT, name: str) -> int:
        own = copy.copy(tensor)
        data = other.buffers[tensor.buffer].data
        constant = data is not None and len(data) > 0
        own.buffer = graph.add_buffer(self.model, np.asarray(data, np.uint8)) if constant else 0
        own.name = f"{name}/{(tensor.name or b'').decode(errors='replace')}".encode()
        self._main.tensors.append(own)
        return len(self._main.tensors) - 1

    def _operator(self, other: schema.ModelT, operator: schema.OperatorT, places: dict[int, int]) -> schema.OperatorT:
        own, code = copy.copy(operator), other.operatorCodes[operator.opcodeIndex]
        own.inputs = [places.get(int(index), -1) for index in operator.inputs]
        own.outputs = [places[int(index)] for index in operator.outputs]
        for place, known in enumerate(self.model.operatorCodes):
            if (known.builtinCode, known.version, known.customCode) == (
                code.builtinCode,
                code.version,
                code.customCode,
            ):
                own.opcodeIndex = place
                return own
        self.model.operatorCodes.append(code)
        own.opcodeIndex = len(self.model.operatorCodes) - 1
        return own


def _digests(model: schema.ModelT) -> dict[int, bytes]:
    """Returns a hash for each tensor of everything that its values depend on."""
    main = model.subgraphs[0]
    found: dict[int, bytes] = {int(main.inputs[0]): _hash(b"input", _described(main.tensors[int(main.inputs[0])]))}

    def of(index: int) -> bytes:
        if index < 0:
            return b"none"
        if index not in found:
            data = model.buffers[main.tensors[index].buffer].data
            values = b"" if data is None else np.asarray(data, np.uint8).tobytes()
            found[index] = _hash(b"constant", _described(main.tensors[index]), values)
        return found[index]

    for operator in main.operators:
        options = operator.builtinOptions
        stated = "" if options is None else repr(sorted((key, str(value)) for key, value in vars(options).items()))
        inputs = [of(int(index)) for index in operator.inputs]
        for place, index in enumerate(map(int, operator.outputs)):
            name = graph.operator_name(model, operator).encode()
            found[index] = _hash(name, stated.encode(), *inputs, bytes([place]), _described(main.tensors[index]))
    return found


def _described(tensor: schema.TensorT) -> bytes:
    quantized = tensor.quantization
    steps: tuple = (None, None)
    if quantized is not None and quantized.scale is not None:
        zero = quantized.zeroPoint
        steps = ([float(one) for one in quantized.scale], None if zero is None else [int(one) for one in zero])
    shape = list(graph.shape(tensor))
    return repr((shape, tensor.type, steps)).encode()


def _hash(*parts: bytes) -> bytes:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.digest()
