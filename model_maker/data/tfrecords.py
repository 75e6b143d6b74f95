"""TFRecord files of tf.Example as a source, as TensorFlow Datasets writes them; read without TensorFlow."""

import functools
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_maker.data.entries import PART_NAMES, ListedPhoto, class_name
from model_maker.data.web import MAX_BYTES
from model_maker.errors import DataError

# `flowers-train.tfrecord-00000-of-00002`, `train.tfrecord`
_NAME = re.compile(r"(?:^|.*[-_.])?([A-Za-z]+)\.tfrecords?(?:-\d+-of-\d+)?$|.*\.tfrecords?(?:-\d+-of-\d+)?$")
# Common feature names: of TensorFlow Datasets, then of the older TF-Slim.
_IMAGES = ("image", "image/encoded")
_LABELS = ("image/class/text", "label", "image/class/label", "label/text")
_HEADER_BYTES, _FOOTER_BYTES = 12, 4
# Castagnoli's polynomial, reversed, and the mask of TensorFlow's record format (tensorflow/core/lib/hash/crc32c.h).
_POLYNOMIAL, _MASK = 0x82F63B78, 0xA282EAD8


@dataclass(frozen=True, slots=True)
class ExampleRecord:
    """A tf.Example in a TFRecord file: its index in the file from 0, its offset and size in bytes."""

    file: str
    number: int
    offset: int
    size: int

    def __str__(self) -> str:
        return f"{self.file}[{self.number}]"

    def read_bytes(self) -> bytes:
        return _image(self, _example(self))


def accepts(path: Path) -> bool:
    return bool(files_in(path))


def entries(path: Path, notes: list[str]) -> Iterator[ListedPhoto]:
    """Lists the examples of one file or of all files in a folder; the names of files state the split.

    Args:
      path: a TFRecord file, or a folder of them. `label.labels.txt` next to them names the classes.

    Raises:
      DataError: a file is damaged, or an example has no label.
    """
    found = files_in(path)
    for file in found:
        match = _NAME.match(file.name)
        part = PART_NAMES.get((match and match[1] or "").lower(), "")
        names = _names(file.parent)
        for record in _records(file):
            yield ListedPhoto(record, _label(record, names), part)


def files_in(path: Path) -> list[Path]:
    candidates = sorted(path.iterdir(), key=lambda file: file.name) if path.is_dir() else [path]
    return [file for file in candidates if _NAME.match(file.name) and file.is_file()]


def _names(folder: Path) -> list[str]:
    for name in ("label.labels.txt", "labels.txt"):
        if (folder / name).is_file():
            return (folder / name).read_text(encoding="utf-8").splitlines()
    return []


def _records(path: Path) -> Iterator[ExampleRecord]:
    """Walks the frames: length, its checksum, content, its checksum. The content is checked when it is decoded."""
    size, offset, number = path.stat().st_size, 0, 0
    with open(path, "rb") as file:
        while offset < size:
            file.seek(offset)
            header = file.read(_HEADER_BYTES)
            if len(header) < _HEADER_BYTES:
                raise DataError(f"{path} ends in the middle of record {number}. Download it again.")
            length, check = struct.unpack("<QI", header)
            if _masked_crc(header[:8]) != check:
                raise DataError(f"{path} is damaged or compressed at record {number}. Pass plain TFRecord files.")
            if offset + _HEADER_BYTES + length + _FOOTER_BYTES > size:
                raise DataError(f"{path} ends in the middle of record {number}. Download it again.")
            yield ExampleRecord(str(path), number, offset + _HEADER_BYTES, length)
            offset, number = offset + _HEADER_BYTES + length + _FOOTER_BYTES, number + 1


def _example(record: ExampleRecord) -> Any:
    if record.size > MAX_BYTES:
        raise DataError(f"{record}: more than {MAX_BYTES >> 20} MB; a photo is smaller")
    from google.protobuf.message import DecodeError

    with open(record.file, "rb") as file:
        file.seek(record.offset)
        content = file.read(record.size)
    try:
        return _message().FromString(content).features.feature
    except DecodeError as error:
        raise DataError(f"{record}: damaged (no tf.Example)") from error


def _image(record: ExampleRecord, features: Any) -> bytes:
    for name in _IMAGES:
        if name in features and features[name].bytes_list.value:
            return features[name].bytes_list.value[0]
    raise DataError(f"{record}: no image among its features ({', '.join(sorted(features)[:5])})")


def _label(record: ExampleRecord, names: list[str]) -> str:
    features = _example(record)
    for name in _LABELS:
        if name not in features:
            continue
        texts, numbers = features[name].bytes_list.value, features[name].int64_list.value
        if len(texts) + len(numbers) != 1:
            raise DataError(f"{record} has {len(texts) + len(numbers)} values of {name}; each photo needs one label.")
        if texts:
            return class_name(texts[0].decode(errors="replace"), record)
        if names and not 0 <= numbers[0] < len(names):
            raise DataError(f"{record} has the label {numbers[0]}, but there are only {len(names)} names.")
        return class_name(names[numbers[0]], record) if names else str(numbers[0])
    raise DataError(f"{record} has no label among its features ({', '.join(sorted(features)[:5])}).")


@functools.cache
def _message() -> Any:
    """Builds tf.Example's message class: Features is a map of names to lists of bytes, floats or integers."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="model_maker/example.proto", package="example", syntax="proto3")

    def field(message, name: str, number: int, kind: int, type_name: str = "", *, many: bool = False) -> None:
        label = kinds.LABEL_REPEATED if many else kinds.LABEL_OPTIONAL
        message.field.add(name=name, number=number, type=kind, type_name=type_name or None, label=label)

    lists = {"BytesList": kinds.TYPE_BYTES, "FloatList": kinds.TYPE_FLOAT, "Int64List": kinds.TYPE_INT64}
    for name, kind in lists.items():
        field(file.message_type.add(name=name), "value", 1, kind, many=True)
    feature = file.message_type.add(name="Feature")
    for number, name in enumerate(("bytes_list", "float_list", "int64_list"), 1):
        field(feature, name, number, kinds.TYPE_MESSAGE, f".example.{name.title().replace('_', '')}")
    features = file.message_type.add(name="Features")
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    field(entry, "key", 1, kinds.TYPE_STRING)
    field(entry, "value", 2, kinds.TYPE_MESSAGE, ".example.Feature")
    field(features, "feature", 1, kinds.TYPE_MESSAGE, ".example.Features.FeatureEntry", many=True)
    field(file.message_type.add(name="Example"), "features", 1, kinds.TYPE_MESSAGE, ".example.Features")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    descriptor = pool.FindMessageTypeByName("example.Example")
    if hasattr(message_factory, "GetMessageClass"):
        return message_factory.GetMessageClass(descriptor)
    return message_factory.MessageFactory(pool).GetPrototype(descriptor)  # protobuf 3, together with tflite-support


@functools.cache
def _crc_table() -> list[int]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
        table.append(value)
    return table


def _masked_crc(content: bytes) -> int:
    crc, table = 0xFFFFFFFF, _crc_table()
    for byte in content:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + _MASK) & 0xFFFFFFFF
