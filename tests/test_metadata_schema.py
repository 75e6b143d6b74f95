"""Wherever the schema comes from, metadata is read and written alike."""

import dataclasses
import importlib.util
import json
import subprocess
import sys

import pytest

from model_maker.data.images import Normalization
from model_maker.tflite import metadata
from model_maker.tflite.metadata import ModelInfo

# Every field that metadata can hold.
INFO = ModelInfo(
    labels=("daisy", "lily of the valley", "Gänseblümchen"),
    normalization=Normalization(127.0, 128.0),
    name="flowers",
    version="1",
    author="ü, the author",
    licence="Apache-2.0",
    description="Three kinds.",
    provenance={"fingerprint": "ab12", "metrics": {"top1": 0.925}},
    threshold=0.25,
    label_thresholds=(0.25, 0.5, 0.75),
)
VECTOR_INFO = ModelInfo(normalization=INFO.normalization, name="features")
CHILD = """
import dataclasses, json, sys
from pathlib import Path
sys.modules["tensorflow_lite_support"] = None
from model_maker.tflite import metadata, metadata_schema
bare, written, again = map(Path, sys.argv[1:])
info = metadata.read(written.read_bytes())
again.write_bytes(metadata.write(bare.read_bytes(), info, embedder=not info.labels))
loaded = sorted({"mediapipe", "cv2", "tensorflow"} & set(sys.modules))
print(json.dumps([metadata_schema.PACKAGE, loaded, dataclasses.asdict(info)]))
"""


def has(package):
    return importlib.util.find_spec(package) is not None


def run(code, *arguments):
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)


@pytest.mark.skipif(not has("tensorflow_lite_support"), reason="no tflite-support to compare with (Python 3.11)")
@pytest.mark.skipif(not has("mediapipe"), reason="no mediapipe, whose schema is compared")
@pytest.mark.parametrize("kind", ["classifier", "embedder"])
def test_without_tflite_support_the_bytes_and_the_facts_are_the_same(float_classifier, conv_embedder, tmp_path, kind):
    model, info = (float_classifier, INFO) if kind == "classifier" else (conv_embedder, VECTOR_INFO)
    bare, written, again = (tmp_path / name for name in ("bare", "written", "again"))
    bare.write_bytes(model)
    written.write_bytes(metadata.write(model, info, embedder=kind == "embedder"))
    done = run(CHILD, bare, written, again)
    assert done.returncode == 0, done.stderr
    package, loaded, found = json.loads(done.stdout)
    assert (package, loaded) == ("mediapipe", [])
    assert found == json.loads(json.dumps(dataclasses.asdict(info)))
    assert again.read_bytes() == written.read_bytes()


def test_without_either_package_a_line_says_what_to_install():
    code = (
        "import sys; sys.modules |= dict.fromkeys(['tensorflow_lite_support', 'mediapipe'])\n"
        "sys.argv = ['model_maker', 'inspect', 'model.tflite']\n"
        "from model_maker import cli; cli.run()"
    )
    done = run(code)
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert "schema of TFLite metadata is not installed. Run: pip install" in line
