"""The layout of flatbuffers, and malicious ones, with the tables of TFLite's metadata."""

import struct
import tracemalloc

import flatbuffers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_maker.errors import ModelError
from model_maker.tflite import metadata_schema as schema


def test_the_layout_is_that_of_flatbuffers():
    # Counted by hand: offset of the root, mark; vtable of 8 fields without those that trail (3 here: name is the
    # first, version the third), 10 bytes and 2 before it for alignment; the table, 12 bytes: way back to the vtable,
    # offsets of version and name; each string with its length, a zero behind it, filled up to a multiple of 4.
    expected = (
        struct.pack("<I4s", 20, b"M001")
        + struct.pack("<2xHHHHH", 10, 12, 8, 0, 4)
        + struct.pack("<iII", 10, 8, 12)
        + struct.pack("<I4s", 1, b"2")
        + struct.pack("<I4s", 3, b"rex")
    )
    tree = schema.ModelMetadata(name=b"rex", version=b"2")
    assert schema.pack(tree) == expected
    assert schema.read(expected) == tree


def test_custom_data_begins_at_a_multiple_of_16():
    for size in range(1, 40):
        custom = schema.CustomMetadata(b"c", b"\xaa" * size)
        part = schema.SubGraphMetadata(custom_metadata=[custom])
        content = schema.pack(schema.ModelMetadata(subgraph_metadata=[part]))
        assert content.index(custom.data) % 16 == 0


def test_members_of_unions_that_are_not_known_are_passed_over():
    # A later schema may have another kind of options; files that use them are sound.
    unit = schema.ProcessUnit(schema.ScoreThresholdingOptions(0.25))
    tree = schema.ModelMetadata(subgraph_metadata=[schema.SubGraphMetadata(input_process_units=[unit])])
    content = schema.pack(tree)
    assert content.count(b"\3") == 1  # the tag of these options
    unit.options = None
    assert schema.read(content.replace(b"\3", b"\7")) == tree


def every_table():
    """A tree with something in each field that a classifier's metadata may use."""
    file = schema.AssociatedFile(b"labels.txt", b"Labels.", 2, b"en", b"1")
    unit = schema.ProcessUnit(schema.NormalizationOptions([127.0, 127.5], [128.0]))
    properties = schema.ImageProperties(1, schema.ImageSize(224, 224))
    content = schema.Content(properties, schema.ValueRange(-1, 1))
    stats = schema.Stats([1.0], [0.0])
    image = schema.TensorMetadata(b"image", b"A photo.", [b"N", b"H"], content, [unit], stats, [file])
    groups, custom = [schema.TensorGroup(b"g", [b"image"])], [schema.CustomMetadata(b"c", b"data")]
    part = schema.SubGraphMetadata(b"main", b"", [image], [image], [file], [unit], [unit], groups, groups, custom)
    return schema.ModelMetadata(b"flowers", b"Three kinds.", b"1", [part], "ü".encode(), b"-", [file], b"1.0.0")


def is_refused(content):
    with pytest.raises(ModelError, match="The model's metadata is damaged") as caught:
        schema.read(content)
    return str(caught.value)


def test_half_a_buffer_is_refused():
    content = schema.pack(every_table())
    for size in range(0, len(content) - 8, 7):
        # What the root refers to lies behind it, and the name last of all: some of that is missing.
        is_refused(content[:size])


def with_shared(*slots, count, text=None):
    """A buffer of tables in tables, each a vector at a slot, all of whose items are the same table or text."""
    builder = flatbuffers.Builder(0)
    if text is None:
        builder.StartObject(0)
    place = builder.EndObject() if text is None else builder.CreateString(text)
    for slot in slots:
        builder.StartVector(4, count, 4)
        for _ in range(count):
            builder.PrependUOffsetTRelative(place)
        vector = builder.EndVector()
        builder.StartObject(slot + 1)
        builder.PrependUOffsetTRelativeSlot(slot, vector, 0)
        place = builder.EndObject()
    builder.Finish(place, b"M001")
    return bytes(builder.Output())


# The slots of associated_files, input_tensor_metadata and subgraph_metadata.
LEVELS = (6, 2, 3)


def test_tables_may_be_shared():
    file, found = schema.AssociatedFile(), schema.read(with_shared(*LEVELS, count=2))
    tensor = schema.TensorMetadata(associated_files=[file] * 2)
    part = schema.SubGraphMetadata(input_tensor_metadata=[tensor] * 2)
    assert found == schema.ModelMetadata(subgraph_metadata=[part] * 2)


def test_a_small_buffer_does_not_unfold_to_a_large_tree():
    content = with_shared(*LEVELS, count=3000)  # 36 KB that stand for 27 thousand million tables
    assert len(content) < 40_000
    tracemalloc.start()
    try:
        assert "more than 16 MB" in is_refused(content)
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()


def test_a_long_text_is_not_read_many_times():
    # The slots of tensor_names, input_tensor_groups and subgraph_metadata.
    assert "more than 16 MB" in is_refused(with_shared(1, 7, 3, count=1000, text=b"x" * 1_000_000))


@pytest.mark.parametrize("count", [2**32 - 1, 2**31, 2**20, 200])
@pytest.mark.parametrize(
    "tree",
    [
        schema.ModelMetadata(name=b"flowers"),
        schema.ModelMetadata(associated_files=[schema.AssociatedFile()] * 7),
        schema.ModelMetadata(
            subgraph_metadata=[
                schema.SubGraphMetadata(
                    input_process_units=[schema.ProcessUnit(schema.NormalizationOptions([1.0] * 7))]
                )
            ]
        ),
    ],
    ids=["string", "tables", "numbers"],
)
def test_a_vector_longer_than_the_buffer_is_refused(tree, count):
    content = schema.pack(tree)
    seven = struct.pack("<I", 7)
    assert content.count(seven) == 1
    is_refused(content.replace(seven, struct.pack("<I", count)))


@pytest.mark.parametrize("value", [0, 1, 2**31 - 1, 2**31, 2**32 - 1, 2**32 - 64])
def test_offsets_that_lead_elsewhere_end_in_a_tree_or_one_line(value):
    content = schema.pack(every_table())
    for at in range(0, len(content) - 3, 2):
        read_or_refused(content[:at] + struct.pack("<I", value) + content[at + 4 :])


def test_a_vtable_before_the_buffer_is_refused():
    # The way back from the table is longer than the way to the beginning; Python would go on from the end.
    content = bytearray(schema.pack(schema.ModelMetadata(name=b"rex")))
    [root] = struct.unpack_from("<I", content)
    struct.pack_into("<i", content, root, root + 4)
    is_refused(bytes(content))


@settings(max_examples=500)
@given(st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=8))
def test_damage_ends_in_a_tree_or_one_line(hurts):
    content = bytearray(schema.pack(every_table()))
    for place, value in hurts:
        content[int(place * len(content))] = value
    read_or_refused(bytes(content))


@given(st.binary(max_size=200))
def test_anything_ends_in_a_tree_or_one_line(content):
    read_or_refused(content)


def read_or_refused(content):
    try:
        assert isinstance(schema.read(content), schema.ModelMetadata)
    except ModelError as error:
        assert "The model's metadata is damaged" in str(error) and "\n" not in str(error)
