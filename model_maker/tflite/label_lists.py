"""Label files of an output: one label a line, and the same in other languages."""

import re

from model_maker.errors import ModelError
from model_maker.tflite import metadata_schema as schema
from model_maker.tflite import zip_files


def read(output: schema.TensorMetadata, content: bytes) -> tuple[str, ...]:
    """Returns the labels that the metadata of an output names; empty where it names none."""
    for file in output.associated_files or []:
        if file.type == schema.AssociatedFileType.TENSOR_AXIS_LABELS:
            return _lines(file, content)
    return ()


def check(labels: tuple[str, ...], count: int) -> None:
    """Raises a ModelError unless there is a label for each score, and each fits in a line."""
    if len(labels) != count:
        raise ModelError(f"The model gives {count} scores, but there are {len(labels)} labels.")
    for label in labels:
        if not label or "\n" in label or "\r" in label:
            raise ModelError(f"The label {label!r} cannot stand in a line of its own.")


def display_names(output: schema.TensorMetadata, content: bytes) -> dict[str, tuple[str, ...]]:
    """Reads the label files that state a locale, where they have a name for each label."""
    labels, found = read(output, content), {}
    for file in output.associated_files or []:
        if file.type == schema.AssociatedFileType.TENSOR_AXIS_LABELS and file.locale:
            names = _lines(file, content)
            if len(names) == len(labels) and names is not labels:
                found[file.locale.decode()] = names
    return found


def put_display_names(
    output: schema.TensorMetadata, localized: dict[str, tuple[str, ...]], count: int, prefix: str
) -> dict[str, bytes]:
    """Names a label file for each locale in the output's metadata, and returns these files."""
    made = {}
    for locale, names in sorted(localized.items()):
        if not re.fullmatch(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]+)*", locale):
            raise ModelError(f"{locale!r} is not a locale. Give for example de, pt-BR or zh-Hans.")
        check(names, count)
        name = f"{prefix}labels_{locale}.txt"
        text = f"The labels in {locale}, in the order of the scores."
        kind = schema.AssociatedFileType.TENSOR_AXIS_LABELS
        output.associated_files = [
            *(output.associated_files or []),
            schema.AssociatedFile(name.encode(), text.encode(), kind, locale.encode()),
        ]
        made[name] = "\n".join(names).encode()
    return made


def _lines(file: schema.AssociatedFile, content: bytes) -> tuple[str, ...]:
    name = (file.name or b"").decode()
    packed = zip_files.read(content, name)
    if packed is None:
        raise ModelError(f"The model's metadata names the label file {name!r}, which is not in the file.")
    text = packed.decode().replace("\r\n", "\n")
    return tuple(text.removesuffix("\n").split("\n"))
