"""A file that also gives where its answers come from, and generated code that reads it."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest
import syntax
from checkout import ROOT
from kotlin_compiler import compile_kotlin
from PIL import Image

import model_maker
from model_maker.apps.codegen import codegen
from model_maker.errors import OutputError
from model_maker.inference.classifier import FileClassifier
from model_maker.tflite.interpreter import LiteRTRunner


@pytest.fixture(scope="module")
def made(trained, tmp_path_factory):
    return model_maker.export_explaining(trained["uint8"], tmp_path_factory.mktemp("why") / "out")


@pytest.fixture(scope="module")
def photo(drawn_flowers):
    return sorted((drawn_flowers / "tulip").iterdir())[0]


def test_its_scores_are_those_of_the_model_and_its_shares_those_of_explain(made, trained, photo):
    plain, explaining = FileClassifier(trained["uint8"]), FileClassifier(made.path)
    np.testing.assert_array_equal(*(next(model.scores([photo])) for model in (plain, explaining)))
    assert explaining.labels == plain.labels
    [found] = model_maker.explain(plain, [photo], label="rose")
    record = json.loads((made.path.parent / "why.json").read_text())
    assert record == {"side": 7, "bias": made.bias}
    assert made.bias["rose"] == pytest.approx(found.bias)
    assert LiteRTRunner(made.path).run_all(np.zeros((1, 224, 224, 3), np.uint8))[1].shape == (1, 7, 7, 5)


def test_only_what_it_made_is_replaced(made, trained):
    with pytest.raises(OutputError, match=r"holds no why\.json"):
        model_maker.export_explaining(trained["uint8"], trained["float32"], overwrite=True)
    again = model_maker.export_explaining(trained["uint8"], made.path.parent, overwrite=True)
    assert again == made


def test_generated_python_gives_the_shares_of_explain(made, trained, photo, tmp_path):
    (tmp_path / "wrapper.py").write_text(codegen(made.path, "python", name="Flowers"))
    program = (
        "import json, sys, wrapper\n"
        "model = wrapper.Flowers(sys.argv[1])\n"
        "label = wrapper.Label.ROSE\n"
        "print(json.dumps([model.shares(sys.argv[2], label).tolist(), model.classify(sys.argv[2])[0].label.text]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, made.path, photo], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    shares, label = json.loads(done.stdout)
    [found] = model_maker.explain(FileClassifier(trained["uint8"]), [photo], label="rose")
    np.testing.assert_allclose(shares, found.shares, atol=1e-6)
    assert label == FileClassifier(trained["uint8"]).predict([photo])[0][0].label


@pytest.fixture(scope="module")
def node_modules():
    folder = ROOT / "node_modules"
    if not (folder / "@litertjs/core").is_dir():
        pytest.skip("no node_modules (npm ci)")
    return folder


def test_generated_javascript_gives_the_shares_of_explain(made, trained, photo, node_modules, tmp_path):
    (tmp_path / "node_modules").symlink_to(node_modules, target_is_directory=True)
    (tmp_path / "flowers.mjs").write_text(codegen(made.path, "js", name="Flowers"))
    rgba = np.asarray(Image.open(photo).convert("RGBA"))
    content = [{"width": rgba.shape[1], "height": rgba.shape[0], "data": rgba.ravel().tolist(), "label": 2}]
    (tmp_path / "photos.json").write_text(json.dumps(content))
    command = ["node", ROOT / "tests/helpers/litert_node.mjs", "flowers.mjs", "Flowers", made.path, "photos.json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    [told] = json.loads(done.stdout)["results"]
    [found] = model_maker.explain(FileClassifier(trained["uint8"]), [photo], label=list(made.bias)[2])
    # Kernels of the other build may round an integer the other way.
    np.testing.assert_allclose(np.reshape(told["shares"], (7, 7)), found.shares, atol=0.02)


SHARES = {
    "kotlin": "fun shares(photo: Bitmap, label: Label): Array<FloatArray>",
    "swift": "func shares(_ photo: CGImage, label: Label) throws -> [[Float]]",
    "dart": "List<List<double>> shares(Photo photo, Label label)",
}


@pytest.mark.parametrize("language", SHARES)
def test_code_for_apps_has_them_and_other_files_go_without(made, trained, language):
    code = codegen(made.path, language)
    assert SHARES[language] in code and "@@" not in code
    assert syntax.errors(language, code) == []
    assert not re.search(r"\bshares\(", codegen(trained["uint8"], language))


@pytest.mark.slow
def test_generated_kotlin_compiles(made, tmp_path):
    (tmp_path / "Flowers.kt").write_text(codegen(made.path, "kotlin", name="Flowers"))
    assert compile_kotlin([tmp_path / "Flowers.kt"], tmp_path / "classes") == []
