"""Files from outside are tried in a process of their own first: the real one, with its limits."""

import io
import resource
import time
import zipfile

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from model_maker import Classifier
from model_maker.errors import ModelError
from model_maker.system import limited_process
from model_maker.tflite import graph, interpreter, metadata, vetting


@pytest.fixture
def never(monkeypatch):
    """No process may be started."""

    def run(*_, **__):
        raise AssertionError("a process was started")

    monkeypatch.setattr(limited_process, "run", run)


def refusal(content, purpose="xnnpack"):
    with pytest.raises(ModelError) as caught:
        vetting.vet(content, purpose)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_file_is_tried_once_and_remembered_for_what_it_was_tried_for(make_tiny_model, empty_cache, monkeypatch):
    content, tried, run = make_tiny_model(), [], limited_process.run

    def count(*arguments, **more):
        tried.append(arguments[-1])
        return run(*arguments, **more)

    monkeypatch.setattr(limited_process, "run", count)
    for purpose in ("xnnpack", "xnnpack", vetting.READ, "reference", "xnnpack", vetting.READ):
        vetting.vet(content, purpose)
    assert tried == ["xnnpack", vetting.READ, "reference"]
    [record] = [path for path in (empty_cache / "vetted").rglob("*") if path.is_file()]
    assert record.stat().st_size < 100  # a cache of thousands of models stays small


def test_what_was_made_here_is_not_tried(make_tiny_model, empty_cache, never):
    content = make_tiny_model()
    vetting.trust(content)
    for purpose in (vetting.READ, *interpreter.KERNELS):
        vetting.vet(content, purpose)
    Classifier(content).predict(np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(AssertionError, match="a process was started"):
        vetting.vet(content + b"\0")


def test_a_cache_that_cannot_be_written_is_no_hindrance(make_tiny_model, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MODEL_MAKER_CACHE", str(tmp_path / "file"))
    vetting.vet(make_tiny_model())
    vetting.trust(make_tiny_model())
    assert "is damaged" in refusal(make_tiny_model()[:900])
    assert [path.name for path in tmp_path.iterdir()] == ["file"] and not (tmp_path / "file").read_bytes()


def test_damage_is_told_as_where_it_is_found(make_tiny_model, empty_cache):
    assert "is damaged" in refusal(make_tiny_model()[:900], vetting.READ)
    assert not (empty_cache / "vetted").exists()  # what was refused is tried anew


def with_operator(content, name):
    model = graph.parse(content)
    code = model.operatorCodes[model.subgraphs[0].operators[0].opcodeIndex]
    code.builtinCode = getattr(schema.BuiltinOperator, name)
    code.deprecatedBuiltinCode = min(code.builtinCode, 127)
    return graph.pack(model)


def test_what_litert_does_not_run_is_refused_with_its_reason(float_classifier, empty_cache):
    assert refusal(with_operator(float_classifier, "TRANSPOSE")).startswith("LiteRT cannot run this model (xnnpack): ")


def crowded(times):
    """A small file that unfolds into a huge tree: `times` graphs of `times` tensors, all of them the same bytes."""
    builder = flatbuffers.Builder(1024)
    tensors = repeated(builder, schema.SubGraphStartTensorsVector, schema.TensorT().Pack(builder), times)
    schema.SubGraphStart(builder)
    schema.SubGraphAddTensors(builder, tensors)
    graphs = repeated(builder, schema.ModelStartSubgraphsVector, schema.SubGraphEnd(builder), times)
    buffers = repeated(builder, schema.ModelStartBuffersVector, schema.BufferT().Pack(builder), 1)
    schema.ModelStart(builder)
    schema.ModelAddSubgraphs(builder, graphs)
    schema.ModelAddBuffers(builder, buffers)
    builder.Finish(schema.ModelEnd(builder), b"TFL3")
    return bytes(builder.Output())


def repeated(builder, start, entry, times):
    start(builder, times)
    for _ in range(times):
        builder.PrependUOffsetTRelative(entry)
    return builder.EndVector()


def test_a_file_that_unfolds_without_end_is_ended(empty_cache, monkeypatch):
    content = crowded(10_000)  # a hundred million tensors
    assert len(content) < 100_000
    monkeypatch.setattr(vetting, "LIMIT_S", 3)
    begin = time.monotonic()
    assert refusal(content, vetting.READ) == "It could not be opened within 3 seconds, so it is taken for damaged."
    assert time.monotonic() - begin < 30  # on a busy machine; by itself it would go on for an hour


def test_a_model_that_asks_for_all_memory_is_refused(float_classifier, empty_cache):
    model = graph.parse(float_classifier)
    model.subgraphs[0].tensors[0].shape = [1, 40_000, 40_000, 3]  # 19 GB
    assert "needs 17.9 GB of memory" in refusal(graph.pack(model))


def zipped(content, name, text, packing):
    whole = io.BytesIO(graph.pack(graph.parse(content)))
    whole.seek(0, io.SEEK_END)
    with zipfile.ZipFile(whole, "a", packing) as archive:
        archive.writestr(name, text)
    return whole.getvalue()


@pytest.mark.parametrize("packing", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_packing_whose_size_cannot_be_limited_is_refused(make_tiny_model, empty_cache, packing):
    assert "packed in another way" in refusal(zipped(make_tiny_model(), "labels.txt", b"a\nb\nc", packing))


def test_files_in_a_model_that_nobody_asks_for_stay_packed(make_tiny_model):
    # A gigabyte, of which nothing is unfolded.
    content = make_tiny_model()
    whole = io.BytesIO(content)
    whole.seek(0, io.SEEK_END)
    with zipfile.ZipFile(whole, "a", zipfile.ZIP_DEFLATED) as archive:
        for number in range(64):
            archive.writestr(f"{number}.bin", bytes(1 << 20))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert metadata.read(whole.getvalue()).labels == ("a", "b", "ü")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 30_000  # kB


def test_what_training_wrote_is_known(trained, never):
    for folder in trained.values():
        assert Classifier(folder).predict(np.zeros((8, 8, 3), np.uint8))
        for name in ("model.tflite", "float.tflite"):
            assert vetting.read(folder / name) == (folder / name).read_bytes()
