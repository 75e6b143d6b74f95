import io
import json
import zipfile
from dataclasses import replace

import generated_schema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_maker.errors import ModelError
from model_maker.normalization import Normalization
from model_maker.tflite import graph, metadata, metadata_schema, thresholds, zip_files
from model_maker.tflite.interpreter import LiteRTRunner
from model_maker.tflite.metadata import ModelInfo

INFO = ModelInfo(
    labels=("daisy", "lily of the valley", "Gänseblümchen"),
    normalization=Normalization(127.0, 128.0),
    name="flowers",
    version="1",
    author="ü, the author",
    licence="Apache-2.0",
    description="Three kinds.",
    provenance={"fingerprint": "ab12", "metrics": {"top1": 0.925}},
)
# What may stand in a line of a label file; labels and free text are Unicode.
LABEL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), min_size=1, max_size=30)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
FINITE = st.floats(-1e6, 1e6, width=32)


@pytest.fixture(scope="module")
def bare(float_classifier):
    return graph.set_io(float_classifier, "uint8", mean=127, std=128)


@pytest.fixture(scope="module")
def written(bare):
    return metadata.write(bare, INFO)


def buffer_of(model):
    """The buffer that holds the metadata."""
    [entry] = [entry for entry in model.metadata if entry.name == b"TFLITE_METADATA"]
    return model.buffers[entry.buffer]


def edited(content, change):
    """The file with its metadata object changed by another hand; the files behind it stay."""
    model = graph.parse(content)
    found = metadata.tables(model)
    change(found)
    buffer_of(model).data = np.frombuffer(metadata_schema.pack(found), np.uint8)
    return zip_files.append(graph.pack(model), files(content))


def files(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def with_files(content, contents):
    return zip_files.append(graph.pack(graph.parse(content)), contents)


@settings(max_examples=60, deadline=None)
@given(
    labels=st.tuples(LABEL, LABEL, LABEL),
    mean=FINITE,
    std=FINITE.filter(lambda std: std != 0),
    texts=st.tuples(TEXT, TEXT, TEXT, TEXT, TEXT),
    provenance=st.dictionaries(TEXT, JSON, max_size=3),
    threshold=st.floats(0, 1, width=32),
)
def test_what_is_written_is_read_back(bare, labels, mean, std, texts, provenance, threshold):
    name, version, author, licence, description = texts
    norm = Normalization(mean, std)
    info = ModelInfo(labels, norm, name, version, author, licence, description, provenance, threshold)
    assert metadata.read(metadata.write(bare, info)) == info


@pytest.mark.parametrize("package", generated_schema.HOMES)
def test_the_generated_reader_finds_every_field(written, package):
    schema = generated_schema.classes(package)
    content = bytes(buffer_of(graph.parse(written)).data)
    assert schema.ModelMetadata.ModelMetadataBufferHasIdentifier(content, 0)
    found = schema.ModelMetadata.GetRootAs(content, 0)
    assert found.Name() == b"flowers" and found.Version() == b"1" and found.License() == b"Apache-2.0"
    assert found.Author().decode() == "ü, the author" and found.Description() == b"Three kinds."
    assert found.SubgraphMetadataLength() == 1
    part = found.SubgraphMetadata(0)
    assert part.InputTensorMetadataLength() == part.OutputTensorMetadataLength() == 1
    image, scores = part.InputTensorMetadata(0), part.OutputTensorMetadata(0)

    assert image.Content().ContentPropertiesType() == schema.ContentProperties.ImageProperties
    properties = schema.ImageProperties()
    table = image.Content().ContentProperties()
    properties.Init(table.Bytes, table.Pos)
    assert properties.ColorSpace() == schema.ColorSpaceType.RGB
    assert image.ProcessUnitsLength() == 1
    assert image.ProcessUnits(0).OptionsType() == schema.ProcessUnitOptions.NormalizationOptions
    options = schema.NormalizationOptions()
    options.Init(image.ProcessUnits(0).Options().Bytes, image.ProcessUnits(0).Options().Pos)
    assert (options.MeanAsNumpy().tolist(), options.StdAsNumpy().tolist()) == ([127], [128])

    assert scores.Content().ContentPropertiesType() == schema.ContentProperties.FeatureProperties
    assert scores.AssociatedFilesLength() == 1
    labels = scores.AssociatedFiles(0)
    assert (labels.Name(), labels.Type()) == (b"labels.txt", schema.AssociatedFileType.TENSOR_AXIS_LABELS)


@pytest.mark.parametrize(
    ("edges", "image", "scores"),
    # Raw pixels; or (0 - 127) / 128 to (255 - 127) / 128. Raw steps; or probabilities.
    [("uint8", (0, 255), (0, 255)), ("float32", (-127 / 128, 1), (0, 1))],
)
def test_ranges_tell_what_the_tensors_hold(float_classifier, edges, image, scores):
    content = metadata.write(graph.set_io(float_classifier, edges, mean=127, std=128), INFO)
    [part] = metadata.tables(graph.parse(content)).subgraph_metadata
    [[of_image], [of_scores]] = part.input_tensor_metadata, part.output_tensor_metadata
    for tensor, (low, high) in ((of_image, image), (of_scores, scores)):
        assert (tensor.stats.min, tensor.stats.max) == ([low], [high])


def test_files_lie_uncompressed_behind_the_model_with_a_fixed_date(written):
    with zipfile.ZipFile(io.BytesIO(written)) as archive:
        assert archive.testzip() is None
        entries = archive.infolist()
    assert [entry.filename for entry in entries] == ["labels.txt", "labels_without_background.txt", "model_maker.json"]
    for entry in entries:
        assert entry.compress_type == zipfile.ZIP_STORED and entry.compress_size == entry.file_size
        assert entry.date_time == (1980, 1, 1, 0, 0, 0)
        # Clients map the text in place.
        assert files(written)[entry.filename] in written[entry.header_offset :]


def test_label_files_hold_one_line_a_class_and_nothing_more(written):
    for name in ("labels.txt", "labels_without_background.txt"):
        text = files(written)[name]
        # At most one newline may trail; none is the safest for clients that split at newlines.
        assert text == "daisy\nlily of the valley\nGänseblümchen".encode()
        assert len(text.decode().split("\n")) == len(text.decode().splitlines()) == 3


def test_provenance_is_readable_json(written):
    assert json.loads(files(written)["model_maker.json"]) == INFO.provenance


def test_equal_inputs_give_equal_bytes(bare, written):
    reordered = replace(INFO, provenance=dict(reversed(INFO.provenance.items())))
    assert metadata.write(bare, INFO) == written
    assert metadata.write(bare, reordered) == written


def test_the_model_still_runs_and_scores_the_same(bare, written, noise_photos):
    before, after = LiteRTRunner(bare), LiteRTRunner(written)
    for photo in noise_photos[:3]:
        np.testing.assert_array_equal(after.run(photo), before.run(photo))


def test_thresholds_are_read_as_they_were_written(bare):
    for one, own in ((0.0, ()), (0.25, ()), (0.5, (0.5, 0.853, 0.9))):
        found = metadata.read(metadata.write(bare, replace(INFO, threshold=one, label_thresholds=own)))
        assert (found.threshold, found.label_thresholds) == (one, own)
        np.testing.assert_array_equal(found.limits, np.float32(own or [one] * 3))


@pytest.mark.parametrize("own", [(0.5, 0.5), (0.5, 0.5, 0.5, 0.5)])
def test_each_label_has_a_threshold_or_none(bare, own):
    with pytest.raises(ModelError, match=f"{len(own)} thresholds of single labels need 3 labels and a threshold for"):
        metadata.write(bare, replace(INFO, threshold=0.5, label_thresholds=own))
    with pytest.raises(ModelError, match="a threshold for all"):
        metadata.write(bare, replace(INFO, label_thresholds=(0.5, 0.5, 0.5)))


@pytest.mark.parametrize("text", [b"1,1,0,0.5\n1,1,0,0.5", b"1,1,0", b"1,1,0,a\n" * 3, b"\xff"])
def test_damaged_thresholds_are_one_clear_line(bare, text):
    content = metadata.write(bare, replace(INFO, threshold=0.5, label_thresholds=(0.5, 0.5, 0.5)))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()} | {thresholds.LABEL_THRESHOLDS: text}
    with pytest.raises(ModelError, match="thresholds of 2 labels|metadata is damaged"):
        metadata.read(zip_files.append(graph.pack(graph.parse(content)), files))


def test_writing_again_replaces(written):
    again = metadata.write(written, replace(INFO, name="other", labels=("x", "y", "z"), provenance={}))
    assert metadata.read(again) == replace(INFO, name="other", labels=("x", "y", "z"), provenance={})
    assert len(files(again)) == 3
    assert len([entry for entry in graph.parse(again).metadata if entry.name == b"TFLITE_METADATA"]) == 1


def test_other_metadata_of_the_model_stays(bare):
    model = graph.parse(bare)
    entry = graph.schema.MetadataT()
    entry.name, entry.buffer = b"min_runtime_version", 0
    model.metadata = [entry]
    names = [entry.name for entry in graph.parse(metadata.write(graph.pack(model), INFO)).metadata]
    assert names == [b"min_runtime_version", b"TFLITE_METADATA"]


def test_a_model_without_metadata_says_nothing(bare):
    assert metadata.read(bare) == ModelInfo()


@pytest.mark.parametrize("labels", [(), ("a", "b"), ("a", "b", "c", "d")])
def test_the_number_of_labels_must_be_the_number_of_scores(bare, labels):
    with pytest.raises(ModelError, match=f"gives 3 scores, but there are {len(labels)} labels"):
        metadata.write(bare, replace(INFO, labels=labels))


@pytest.mark.parametrize("label", ["", "two\nlines", "carriage\rreturn"])
def test_a_label_must_fit_into_a_line(bare, label):
    with pytest.raises(ModelError, match="cannot stand in a line") as caught:
        metadata.write(bare, replace(INFO, labels=("a", label, "c")))
    assert "\n" not in str(caught.value)


def test_a_model_cannot_be_written_without_normalization(bare):
    with pytest.raises(ModelError, match="normalization"):
        metadata.write(bare, replace(INFO, normalization=None))


@pytest.mark.parametrize("text", [b"a\nb\nc", b"a\nb\nc\n", b"a\r\nb\r\nc\r\n"])
def test_label_files_of_other_tools_are_read(written, text):
    assert metadata.read(with_files(written, {"labels.txt": text})).labels == ("a", "b", "c")


@pytest.mark.parametrize(("text", "count"), [(b"a\nb", 2), (b"a\nb\nc\nd\n", 4), (b"a\nb\nc\n\n", 4), (b"", 1)])
def test_a_label_file_that_does_not_fit_is_refused(written, text, count):
    with pytest.raises(ModelError, match=f"gives 3 scores but carries {count} labels; they must match"):
        metadata.read(with_files(written, {"labels.txt": text}))


@pytest.mark.parametrize("contents", [{}, {"other.txt": b"a\nb\nc"}])
def test_a_missing_label_file_is_named(written, contents):
    with pytest.raises(ModelError, match="names the label file 'labels.txt', which is not in the file"):
        metadata.read(with_files(written, contents))


@pytest.mark.parametrize(
    "contents", [{"labels.txt": b"\xff\xfe\n\n"}, {"labels.txt": b"a\nb\nc", "model_maker.json": b"{"}]
)
def test_unreadable_files_are_one_clear_line(written, contents):
    with pytest.raises(ModelError, match="metadata is damaged") as caught:
        metadata.read(with_files(written, contents))
    assert "\n" not in str(caught.value)


def test_damage_in_the_zip_is_noticed(written):
    broken = written.replace("Gänseblümchen".encode(), "Gänseblömchen".encode())  # the checksum does not fit
    with pytest.raises(ModelError, match="damaged"):
        metadata.read(broken)


def test_a_zip_bomb_does_not_unfold(written):
    whole = io.BytesIO(graph.pack(graph.parse(written)))
    whole.seek(0, io.SEEK_END)
    with zipfile.ZipFile(whole, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("labels.txt", bytes(17 << 20))
    with pytest.raises(ModelError, match="labels.txt in the model is .* too large"):
        metadata.read(whole.getvalue())


def normalization_of(means, deviations):
    def change(found):
        options = found.subgraph_metadata[0].input_tensor_metadata[0].process_units[0].options
        options.mean, options.std = means, deviations

    return change


@pytest.mark.parametrize(
    ("means", "deviations", "expected"),
    [
        ([127.5] * 3, [127.5] * 3, Normalization(127.5, 127.5)),
        ([0.0], [255.0] * 3, Normalization(0, 255)),
        ([123.0, 117, 104], [1.0] * 3, None),  # a Normalization is the same in all channels
        ([0.0], [0.0], None),  # nothing can be divided by it
        ([float("nan")], [128.0], None),
        ([127.0], [float("inf")] * 3, None),
    ],
)
def test_normalizations_of_other_tools_are_read(written, means, deviations, expected):
    assert metadata.read(edited(written, normalization_of(means, deviations))).normalization == expected


@pytest.mark.parametrize("provenance", [b"[1]", b"7", b"[" * 100_000, b"{", b"\xff", b"9" * 5000])
def test_provenance_that_is_no_object_is_damage(written, provenance):
    with pytest.raises(ModelError, match="model_maker.json is not a JSON object|metadata is damaged"):
        metadata.read(with_files(written, files(written) | {"model_maker.json": provenance}))


def test_metadata_without_tensors_or_texts_is_read(written):
    def empty(found):
        found.subgraph_metadata = found.name = found.author = found.associated_files = None

    info = metadata.read(edited(written, empty))
    assert (info.labels, info.normalization, info.name, info.author) == ((), None, "", "")
    assert info.licence == "Apache-2.0"


def test_a_model_that_names_no_metadata_is_damaged(float_classifier):
    model = graph.parse(float_classifier)
    for buffer in (10_000, 0):  # there is no such buffer; the first one is empty
        entry = graph.schema.MetadataT()
        entry.name, entry.buffer = b"TFLITE_METADATA", buffer
        model.metadata = [entry]
        with pytest.raises(ModelError, match="The model's metadata is damaged"):
            metadata.tables(model)


LABELLED = {
    "automl_labeler_model.tflite": (5, "daisy", "AutoML image classifier"),
    "mobilenet_v1_0.25_128_quant.tflite": (1001, "background", None),
    "mobilenet_v1_0.25_224_1_metadata_1.tflite": (1001, "background", None),
    "mobilenet_v1_0.25_224_float.tflite": (0, None, ""),
    "mobilenet_v1_1.0_224_quant_embedding_extractor.tflite": (0, None, ""),
    "mobilenet_v2_035_96_embedder_with_metadata.tflite": (0, None, "ImageEmbedder"),
    "mobilenet_v2_1.0_224_quant.tflite": (1001, "background", None),
    "tf2_mobilenet_v2_1.0_224_ptq.tflite": (1001, "background", None),
    "tflite_support_mobilenet_v2_1.0_224_quant.tflite": (0, None, ""),
}


@pytest.mark.parametrize("name", LABELLED)
def test_published_models_are_understood(shared_weights, name):
    info = metadata.read((shared_weights / "tflite" / name).read_bytes())
    count, first, title = LABELLED[name]
    assert len(info.labels) == count
    assert (info.labels[0] if info.labels else None) == first
    assert title is None or info.name == title
    if name == "mobilenet_v2_035_96_embedder_with_metadata.tflite":
        assert info.normalization == Normalization(127.5, 127.5)
