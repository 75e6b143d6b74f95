import dataclasses
import functools
import json
import math
import subprocess
from pathlib import Path
from shutil import which

import core_ml_program
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from needs import marks

import model_maker
from model_maker import Classifier
from model_maker.cli import export_command, parse
from model_maker.data import images
from model_maker.data.sources import read
from model_maker.errors import DataError, ModelError, OutputError
from model_maker.exporters import c_source
from model_maker.exporters import export as exports
from model_maker.normalization import Normalization
from model_maker.packaging import export_source
from model_maker.progress import Progress
from model_maker.system import extras
from model_maker.tflite import graph, metadata, quantize
from model_maker.tflite.interpreter import LiteRTRunner

pytestmark = pytest.mark.slow

LABELS = ("a", "b", "ü")
PIXELS = Normalization(127.0, 128.0)
FORMATS = [pytest.param(name, marks=marks(*exporter.modules)) for name, exporter in exports.EXPORTERS.items()]
# By how much a probability may differ from the float model's: see the constants in export.py; int8 rounds more here
# than in a real network, for three classes of noise lie close together.
# Core ML, which no export runs, adds up in float16.
TOLERANCES = {"float": 1e-5, "half": 0.02, "quantized": 0.1, exports.UNKNOWN: 0.02}


def for_formats(*names):
    """Marks a test by the packages that these formats need."""

    def decorate(test):
        for mark in marks(*{module for name in names for module in exports.EXPORTERS[name].modules}):
            test = mark(test)
        return test

    return decorate


@pytest.fixture(scope="module")
def folder(float_classifier, noise_photos, make_photos, tmp_path_factory):
    """A folder as `train` makes it, of the tiny model, and its photos."""
    home = tmp_path_factory.mktemp("tiny")
    paths = make_photos(home / "photos", dict.fromkeys(LABELS, 10))
    made = home / "model"
    made.mkdir()
    calibrator = quantize.Calibrator(float_classifier)
    photos = [*noise_photos, *(images.load(path, 8)[None] for path in paths)]
    seen = quantize.combine([calibrator.observe(PIXELS(photo)) for photo in photos])
    content = quantize.quantize(float_classifier, "int8", normalization=PIXELS, calibration=seen)
    content = graph.set_io(content, "uint8", mean=PIXELS.mean, std=PIXELS.std)
    (made / "model.tflite").write_bytes(metadata.write(content, metadata.ModelInfo(LABELS, PIXELS, name="tiny")))
    (made / "float.tflite").write_bytes(metadata.write(float_classifier, metadata.ModelInfo(LABELS, PIXELS)))
    options = {"validation": 0.1, "test": 0.2, "seed": 0}
    fingerprint = read(home / "photos").fingerprint
    record = {"options": options, "data": str(home / "photos"), "fingerprint": fingerprint}
    (made / "run.json").write_text(json.dumps(record))
    return made


@pytest.fixture(scope="module")
def pictures():
    """uint8 [6, 8, 8, 3]."""
    return np.random.default_rng(5).integers(0, 256, (6, 8, 8, 3), np.uint8)


@pytest.fixture(scope="module")
def expected(float_classifier, pictures):
    """float32 [6, 3]: LiteRT's answer, with the pixels normalized by hand."""
    runner = LiteRTRunner(float_classifier)
    return np.stack([runner.run(((picture[None] - 127.0) / 128.0).astype(np.float32))[0] for picture in pictures])


@pytest.fixture(scope="module")
def everything(folder, tmp_path_factory):
    return model_maker.export(folder, tmp_path_factory.mktemp("everything") / "exported")


@pytest.fixture(scope="module")
def classifier_of():
    """classifier_of(path): opened once, for TensorFlow takes seconds to start."""
    return functools.cache(Classifier)


def entry_of(found, name):
    [entry] = [entry for entry in found.entries if entry.format == name]
    assert entry.failure == ""
    return entry


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_scores_as_the_float_model(everything, expected, pictures, classifier_of, name):
    entry = entry_of(everything, name)
    if name == "coreml":
        description, program = core_ml_program.read(entry.path)
        found = core_ml_program.scores(program, pictures)
    else:
        classifier = classifier_of(entry.path)
        assert classifier.labels == LABELS
        found = np.array(list(classifier.scores(list(pictures))))
    np.testing.assert_allclose(found, expected, atol=TOLERANCES[exports.EXPORTERS[name].precision])


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_says_what_it_is(everything, name):
    entry = entry_of(everything, name)
    home = everything.directory / name
    assert (home / "labels.txt").read_text(encoding="utf-8") == "a\nb\nü"
    text = (home / "README.md").read_text(encoding="utf-8")
    assert "8, 8, 3]" in text and "RGB" in text
    told = "not run here" if name == "coreml" else f"a probability differs by at most\n  {entry.difference:.2g}"
    assert told in text and (entry.difference is None) == (entry.same_top1 is None) == (name == "coreml")
    record = json.loads((everything.directory / "export.json").read_text())
    [row] = [row for row in record["formats"] if row["format"] == name]
    assert everything.directory / row["path"] == entry.path
    assert row["difference"] == entry.difference


@pytest.mark.parametrize("name", [name for name in FORMATS if name.values != ("coreml",)])
def test_a_folder_of_one_format_is_a_model(everything, pictures, classifier_of, name):
    entry = entry_of(everything, name)
    by_folder, by_file = Classifier(everything.directory / name), classifier_of(entry.path)
    assert by_folder.predict(list(pictures)) == by_file.predict(list(pictures))


def test_the_file_that_shipped_is_exported_as_it_is(everything, folder):
    shipped = (folder / "model.tflite").read_bytes()
    assert entry_of(everything, "tflite-int8").path.read_bytes() == shipped
    assert entry_of(everything, "edgetpu").path.read_bytes() == shipped


@for_formats("onnx", "openvino")
def test_batches_go_through_at_once(everything, expected, pictures):
    import onnxruntime
    import openvino

    session = onnxruntime.InferenceSession(entry_of(everything, "onnx").path)
    [found] = session.run(None, {session.get_inputs()[0].name: pictures.astype(np.float32)})
    np.testing.assert_allclose(found, expected, atol=1e-5)  # float32 in another order
    compiled = openvino.Core().compile_model(entry_of(everything, "openvino").path, "CPU")
    assert compiled(pictures.astype(np.float32))[0].shape == expected.shape


@for_formats("onnx", "openvino")
def test_onnx_and_openvino_hold_the_labels_inside(everything, tmp_path):
    for name, files in (("onnx", ["model.onnx"]), ("openvino", ["model.xml", "model.bin"])):
        entry = entry_of(everything, name)
        for file in files:
            (tmp_path / file).write_bytes((entry.path.parent / file).read_bytes())
        assert Classifier(tmp_path / files[0]).labels == LABELS


@for_formats("coreml")
def test_core_ml_takes_a_picture_and_names_the_classes(everything):
    description, _ = core_ml_program.read(entry_of(everything, "coreml").path)
    image = description.input[0].type.imageType
    assert (image.height, image.width) == (8, 8)
    assert image.ColorSpace.Name(image.colorSpace) == "RGB"
    assert json.loads(description.metadata.userDefined["labels"]) == list(LABELS)
    assert description.predictedFeatureName == "classLabel"


@for_formats("tfjs")
def test_the_web_model_runs_in_tensorflow_js(everything, expected, pictures, tmp_path):
    loadable = [which("node") or "false", "-e", "require('@tensorflow/tfjs')"]
    if subprocess.run(loadable, capture_output=True, check=False).returncode:
        pytest.skip("no node with @tensorflow/tfjs (npm ci)")
    (tmp_path / "pixels").write_bytes(pictures.tobytes())
    script = """
        const tf = require('@tensorflow/tfjs'), fs = require('fs'), [folder, pixels] = process.argv.slice(1);
        const json = JSON.parse(fs.readFileSync(folder + '/model.json'));
        const parts = json.weightsManifest.flatMap(group => group.paths.map(p => fs.readFileSync(folder + '/' + p)));
        const weightData = Uint8Array.from(Buffer.concat(parts)).buffer;
        const weightSpecs = json.weightsManifest.flatMap(group => group.weights);
        (async () => {
          const model = await tf.loadGraphModel({load: async () => ({...json, weightSpecs, weightData})});
          const image = tf.tensor(Float32Array.from(fs.readFileSync(pixels)), [6, 8, 8, 3]);
          console.log(JSON.stringify(await model.predict(image).array()));
        })();
    """
    home = everything.directory / "tfjs"
    done = subprocess.run(
        ["node", "-e", script, str(home), str(tmp_path / "pixels")], capture_output=True, text=True, check=True
    )
    np.testing.assert_allclose(json.loads(done.stdout.splitlines()[-1]), expected, atol=1e-5)


@pytest.mark.parametrize(("compiler", "standard"), [(("gcc", "-x", "c"), "c11"), (("g++", "-x", "c++"), "c++11")])
def test_the_c_sources_compile_and_hold_the_file(everything, tmp_path, compiler, standard):
    if which(compiler[0]) is None:
        pytest.skip(f"no {compiler[0]}")
    entry = entry_of(everything, "c_header")
    main = tmp_path / "main.c"
    main.write_text(
        '#include "model.h"\n#include <stdio.h>\nint main(void) {'
        "  fwrite(model_data, 1, model_data_length, stdout);"
        '  for (int i = 0; i < MODEL_LABEL_COUNT; ++i) fprintf(stderr, "%s\\n", model_labels[i]);'
        "  return (unsigned long)model_data % 16 != 0; }"
    )
    sources = [str(main), str(entry.path)]
    program = tmp_path / "program"
    command = [
        *compiler,
        f"-std={standard}",
        "-Wall",
        "-Werror",
        f"-I{entry.path.parent}",
        *sources,
        "-o",
        str(program),
    ]
    subprocess.run(command, check=True)
    done = subprocess.run([program], capture_output=True, check=False)
    assert done.returncode == 0  # aligned
    assert done.stderr.decode() == "a\nb\nü\n"
    # The bytes are a model with int8 input; LiteRT runs it on the pixel less 128.
    runner = LiteRTRunner(done.stdout)
    assert runner.input_dtype == np.int8


def test_c_strings_hide_what_c_reads_otherwise():
    # By hand: quote, backslash, question mark, ü in UTF-8; a digit behind an escape stays a digit.
    assert c_source.escaped('a"\\?ü1') == r"a\042\134\077\303\2741"


def test_the_header_lists_the_operators(everything):
    text = (everything.directory / "c_header" / "model.h").read_text()
    for call in ("AddConv2D()", "AddMean()", "AddFullyConnected()", "AddSoftmax()"):
        assert f"resolver.{call}" in text
    assert "MicroMutableOpResolver<4>" in text
    assert "Quantize" not in text  # int8 input needs none


def test_int8_edges_answer_as_uint8_ones(folder, pictures, tmp_path):
    heard = Progress()
    found = model_maker.export(folder, tmp_path / "x", formats="tflite-int8", io="int8", progress=heard)
    assert any("phone apps need" in note for note in heard.notes)
    by_int8 = np.array(list(Classifier(found.entries[0].path).scores(list(pictures))))
    by_uint8 = np.array(list(Classifier(folder).scores(list(pictures))))
    np.testing.assert_array_equal(by_int8, by_uint8)  # the same integers inside, the same steps of 1/256


def test_an_export_that_answers_otherwise_is_refused(folder, tmp_path, monkeypatch):
    exporter = exports.EXPORTERS["tflite-float32"]

    def write(origin, target, **edges):
        base = dataclasses.replace(origin.base, normalization=Normalization(0.0, 128.0))
        wrong = dataclasses.replace(origin, base=base, info=dataclasses.replace(origin.info, normalization=PIXELS))
        (target / "model.tflite").write_bytes(metadata.write(wrong.pixels_model, wrong.info))
        return target / "model.tflite", None

    monkeypatch.setitem(exports.EXPORTERS, "tflite-float32", dataclasses.replace(exporter, write=write))
    with pytest.raises(ModelError, match="does not answer as the float model"):
        model_maker.export(folder, tmp_path / "x", formats="tflite-float32")
    assert list(tmp_path.iterdir()) == []


def test_scores_that_are_no_numbers_are_refused():
    with pytest.raises(ModelError, match="does not answer"):
        exports.check_answers("quantized", np.full((2, 3), math.nan), np.zeros((2, 3)), uint8=False)


@pytest.mark.parametrize("name", ["onnx", "openvino", "coreml"])
def test_a_missing_package_is_named_with_its_extra(folder, tmp_path, monkeypatch, name):
    plain = extras.is_here
    monkeypatch.setattr(extras, "is_here", lambda module: module not in extras.EXTRAS[name] and plain(module))
    monkeypatch.setattr(extras, "PYTHON", (3, 13))  # and a system for which all of them have a release
    monkeypatch.setattr(extras, "MACHINE", "Linux x86_64")
    for formats in (name, ["tflite-float32", name]):  # before any work, so nothing else is made, either
        with pytest.raises(ModelError, match=rf"`formats='{name}'` needs .*pip install 'model-maker\[{name}[^']*\]'"):
            model_maker.export(folder, tmp_path / "x", formats=formats)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(("formats", "code"), [("tflite-float32,edgetpu", 1), ("all", 0)])
def test_the_exit_code_states_what_was_asked_for_and_failed(folder, tmp_path, monkeypatch, capsys, formats, code):
    kept = {name: exports.EXPORTERS[name] for name in ("tflite-float32", "edgetpu")}
    monkeypatch.setattr(exports, "EXPORTERS", kept)
    arguments = ["model_maker", "export", str(folder), "--output", str(tmp_path / "x"), "--format", formats, "--json"]
    arguments += ["--io", "float32"]
    assert export_command.run(parse(arguments)) == code
    said = capsys.readouterr()
    assert [row["format"] for row in json.loads(said.out)["formats"]] == list(kept)
    assert "edgetpu: The Edge TPU needs integer input and output" in said.err


def test_unknown_formats_and_edges_are_one_line(folder, tmp_path):
    with pytest.raises(DataError, match="`formats='onyx'`: choose from tflite-int8, .*coreml, or all"):
        model_maker.export(folder, tmp_path / "x", formats="onyx")
    with pytest.raises(DataError, match="`io='int16'`: choose one of uint8, float32, int8"):
        model_maker.export(folder, tmp_path / "x", io="int16")
    with pytest.raises(ModelError, match="Edge TPU needs integer input and output"):
        model_maker.export(folder, tmp_path / "x", formats="edgetpu", io="float32")
    with pytest.raises(ModelError, match="int8 input and output need"):
        model_maker.export(folder, tmp_path / "x", formats="tflite-float32", io="int8")
    assert list(tmp_path.iterdir()) == []


def test_only_an_export_is_replaced(folder, tmp_path):
    make = functools.partial(model_maker.export, folder, formats="tflite-float32", overwrite=True)
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "precious.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"holds no export.json"):
        make(tmp_path / "x")
    with pytest.raises(OutputError, match="holds the model itself"):
        make(folder)
    make(tmp_path / "y")
    (tmp_path / "y" / "old.txt").write_text("of an earlier export")
    make(tmp_path / "y")
    assert sorted(path.name for path in (tmp_path / "y").iterdir()) == ["export.json", "tflite-float32"]
    assert (folder / "model.tflite").exists()


def test_the_same_export_is_the_same_bytes(folder, everything, tmp_path):
    stable = ("tflite-float16", "tflite-dynamic", "openvino", "onnx", "tfjs", "c_header")
    names = [name for name in stable if all(map(extras.is_here, exports.EXPORTERS[name].modules))]
    again = model_maker.export(folder, tmp_path / "again", formats=names)
    for name in names:
        for file in (everything.directory / name).iterdir():
            assert file.read_bytes() == (again.directory / name / file.name).read_bytes(), file


def test_a_bare_file_becomes_float_with_a_note(make_tiny_model, expected, pictures, tmp_path):
    (tmp_path / "bare.tflite").write_bytes(make_tiny_model())
    heard = Progress()
    found = model_maker.export(tmp_path / "bare.tflite", tmp_path / "x", formats="tflite-float32", progress=heard)
    assert "no float.tflite beside bare.tflite" in heard.notes[0]
    assert "generated images" in heard.notes[1]
    scores = np.array(list(Classifier(found.entries[0].path).scores(list(pictures))))
    # int8 weights and biases, computed in float: what is left is their rounding.
    np.testing.assert_allclose(scores, expected, atol=0.05)


@pytest.mark.parametrize("kind", ["int8", "float16"])
def test_a_mean_that_is_no_whole_number_stays_exact(float_classifier, calibrated, pictures, tmp_path, kind):
    """A uint8 input rounds the mean 127.5 and makes up for it inside; the float model made of it must, too."""
    half = Normalization(127.5, 127.5)
    content = quantize.quantize(float_classifier, kind, normalization=half, calibration=calibrated)
    content = graph.set_io(content, "uint8", mean=half.mean, std=half.std)
    (tmp_path / "m.tflite").write_bytes(metadata.write(content, metadata.ModelInfo(LABELS, half)))
    found = model_maker.export(tmp_path / "m.tflite", tmp_path / "x", formats="tflite-float32")
    runner = LiteRTRunner(float_classifier)
    expected = np.stack([runner.run(((p[None] - 127.5) / 127.5).astype(np.float32))[0] for p in pictures])
    scores = np.array(list(Classifier(found.entries[0].path).scores(list(pictures))))
    np.testing.assert_allclose(scores, expected, atol={"int8": 0.05, "float16": 2e-3}[kind])  # rounding of weights


def test_data_names_the_photos(folder, make_photos, tmp_path):
    make_photos(tmp_path / "photos", {"anything": 12})
    heard = Progress()
    origin = export_source.read(folder, data=tmp_path / "photos", progress=heard)
    assert {Path(photo).parent.name for photo in origin.photos} == {"anything"}
    assert origin.probes.shape == (8, 8, 8, 3)


def test_a_float_file_of_another_model_is_refused(folder, tmp_path):
    for file in ("model.tflite", "run.json"):
        (tmp_path / file).write_bytes((folder / file).read_bytes())
    other = metadata.write(
        graph.pack(graph.parse((folder / "float.tflite").read_bytes())), metadata.ModelInfo(("x", "y", "z"), PIXELS)
    )
    (tmp_path / "float.tflite").write_bytes(other)
    with pytest.raises(ModelError, match="different labels"):
        model_maker.export(tmp_path, tmp_path.parent / "x_export", formats="tflite-float32")


@pytest.mark.parametrize(
    ("kind", "type_", "share"), [("int8", "INT8", 0.4), ("float16", "FLOAT16", 0.6), ("dynamic", "INT8", 0.4)]
)
def test_a_published_file_of_2019_is_quantized(shared_weights, tmp_path, kind, type_, share):
    """Its operators are stated in the narrow field only."""
    path = shared_weights / "tflite" / "mobilenet_v1_0.25_224_1_metadata_1.tflite"
    [entry] = model_maker.export(path, tmp_path / "x", formats=f"tflite-{kind}").entries
    content = Path(entry.path).read_bytes()
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    buffers = [(tensor.type, model.buffers[tensor.buffer].data) for tensor in model.subgraphs[0].tensors]
    large = {kind for kind, data in buffers if data is not None and len(data) > 10_000}
    assert large == {getattr(schema.TensorType, type_)}
    assert len(content) < share * path.stat().st_size
