"""The schema against its source, and against the classes that flatc makes of it."""

import dataclasses

import generated_schema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_maker.tflite import graph
from model_maker.tflite import metadata_schema as schema

PACKAGES = pytest.mark.parametrize("package", generated_schema.HOMES)
PUBLISHED = (
    "automl_labeler_model.tflite",
    "mobilenet_v1_0.25_128_quant.tflite",
    "mobilenet_v1_0.25_224_1_metadata_1.tflite",
    "mobilenet_v2_035_96_embedder_with_metadata.tflite",
    "mobilenet_v2_1.0_224_quant.tflite",
    "tf2_mobilenet_v2_1.0_224_ptq.tflite",
)
# Its outputs' content has the tag of a table, and no table: our trees lack both.
TAG_ALONE = "mobilenet_v1_0.25_224_1_metadata_1.tflite"

TEXT = st.none() | st.binary(max_size=20)
BYTE, UINT, INT = st.integers(-128, 127), st.integers(0, 2**32 - 1), st.integers(-(2**31), 2**31 - 1)
FLOAT = st.floats(width=32, allow_nan=False)


def some(items):
    return st.none() | st.lists(items, max_size=3)


FLOATS = some(FLOAT)
FILES = some(st.builds(schema.AssociatedFile, TEXT, TEXT, BYTE, TEXT, TEXT))
PROPERTIES = st.one_of(
    st.none(),
    st.builds(schema.FeatureProperties),
    st.builds(schema.ImageProperties, BYTE, st.none() | st.builds(schema.ImageSize, UINT, UINT)),
    st.builds(schema.BoundingBoxProperties, some(UINT), BYTE, BYTE),
    st.builds(schema.AudioProperties, UINT, UINT),
)
CONTENT = st.none() | st.builds(schema.Content, PROPERTIES, st.none() | st.builds(schema.ValueRange, INT, INT))
OPTIONS = st.one_of(
    st.none(),
    st.builds(schema.NormalizationOptions, FLOATS, FLOATS),
    st.builds(schema.ScoreCalibrationOptions, BYTE, FLOAT),
    st.builds(schema.ScoreThresholdingOptions, FLOAT),
    st.builds(schema.BertTokenizerOptions, FILES),
    st.builds(schema.SentencePieceTokenizerOptions, FILES, FILES),
    st.builds(schema.RegexTokenizerOptions, TEXT, FILES),
)
UNITS = some(st.builds(schema.ProcessUnit, OPTIONS))
STATS = st.none() | st.builds(schema.Stats, FLOATS, FLOATS)
TENSORS = some(st.builds(schema.TensorMetadata, TEXT, TEXT, some(st.binary(max_size=9)), CONTENT, UNITS, STATS, FILES))
GROUPS = some(st.builds(schema.TensorGroup, TEXT, some(st.binary(max_size=9))))
CUSTOM = some(st.builds(schema.CustomMetadata, TEXT, TEXT))


def trees(custom):
    parts = some(
        st.builds(schema.SubGraphMetadata, TEXT, TEXT, TENSORS, TENSORS, FILES, UNITS, UNITS, GROUPS, GROUPS, custom)
    )
    return st.builds(schema.ModelMetadata, TEXT, TEXT, TEXT, parts, TEXT, TEXT, FILES, TEXT)


def camel(name):
    first, *others = name.split("_")
    return first + "".join(word[0].upper() + word[1:] for word in others)


def assert_same(ours, theirs, where="metadata"):
    """Compares a tree with one of generated objects, field by field."""
    if isinstance(theirs, np.ndarray):
        theirs = theirs.tobytes() if isinstance(ours, bytes) else theirs.tolist()
    if dataclasses.is_dataclass(ours):
        assert f"{type(ours).__name__}T" == type(theirs).__name__, where
        names = [field.name for field in dataclasses.fields(ours)]
        assert {camel(name) for name in names} == {name for name in vars(theirs) if not is_tag(name, vars(theirs))}
        for name in names:
            assert_same(getattr(ours, name), getattr(theirs, camel(name)), f"{where}.{name}")
    elif isinstance(ours, list) and theirs and isinstance(theirs, list):
        assert len(ours) == len(theirs), where
        for index, pair in enumerate(zip(ours, theirs, strict=True)):
            assert_same(*pair, f"{where}[{index}]")
    else:
        assert ours == theirs, where


def is_tag(name, fields):
    return name.removesuffix("Type") in fields and name.endswith("Type")


def packed(content):
    """The metadata's flatbuffer as it stands in a file."""
    model = graph.parse(content)
    [entry] = [entry for entry in model.metadata if entry.name == b"TFLITE_METADATA"]
    return bytes(model.buffers[entry.buffer].data)


@PACKAGES
def test_the_tables_are_those_of_the_schema(package):
    tables, enums, unions = generated_schema.declarations(package)
    ours = {name: table for name, table in vars(schema).items() if dataclasses.is_dataclass(table)}
    assert set(ours) == set(tables) and len(tables) == 21
    numbers = {"uint": "UInt", "int": "Int", "float": "Float", **dict.fromkeys(enums, "Byte")}
    for name, declared in tables.items():
        assert [field.name for field in dataclasses.fields(ours[name])] == [field for field, _ in declared], name
        for field, (_, kind) in zip(dataclasses.fields(ours[name]), declared, strict=True):
            # A vector of numbers, strings or tables; data, which begins at multiples of 16; or one of these.
            item = numbers.get(kind.strip("[]"), kind.strip("[]")).replace("string", "bytes")
            expected = f"list[{item}] | None" if kind[0] == "[" else item if kind in numbers else f"{item} | None"
            assert field.type == ("Data | None" if kind == "[ubyte] (force_align: 16)" else expected), (name, field)
    for name, members in enums.items():
        assert {member.name: member.value for member in getattr(schema, name)} == members
    for name, members in unions.items():
        assert [table.__name__ for table in getattr(schema, name).__args__] == members


@PACKAGES
@settings(max_examples=200)
@given(tree=trees(st.none()))
def test_the_bytes_are_those_of_generated_classes(package, tree):
    found = generated_schema.read(generated_schema.classes(package), schema.pack(tree))
    assert_same(tree, found)
    assert generated_schema.pack(found) == schema.pack(tree)


@PACKAGES
@settings(max_examples=50)
@given(custom=CUSTOM)
def test_generated_classes_read_custom_metadata(package, custom):
    # Only read: flatc's Python forgets to align the data.
    tree = schema.ModelMetadata(subgraph_metadata=[schema.SubGraphMetadata(custom_metadata=custom)])
    assert_same(tree, generated_schema.read(generated_schema.classes(package), schema.pack(tree)))


@PACKAGES
@pytest.mark.parametrize("name", PUBLISHED)
def test_published_metadata_is_read_and_written_alike(package, name, shared_weights):
    content = packed((shared_weights / "tflite" / name).read_bytes())
    ours, theirs = schema.read(content), generated_schema.read(generated_schema.classes(package), content)
    assert_same(ours, theirs)
    again = schema.pack(ours)
    if name == TAG_ALONE:
        assert_same(ours, generated_schema.read(generated_schema.classes(package), again))
    else:
        assert again == generated_schema.pack(theirs)


@settings(max_examples=300)
@given(tree=trees(CUSTOM))
def test_what_is_written_is_read_back(tree):
    assert schema.read(schema.pack(tree)) == tree
