"""Generated code runs the model's self-test: it passes honest delegates, and wrong ones fail."""

import json
import os
import subprocess
from shutil import which

import numpy as np
import pytest
import syntax
from kotlin_compiler import compile_kotlin

from model_maker.apps import codegen
from model_maker.packaging import self_test


@pytest.fixture(scope="module")
def model(make_tiny_model, tmp_path_factory):
    path = tmp_path_factory.mktemp("proven") / "proven.tflite"
    content = make_tiny_model(labels=("a", "b", "c"))
    path.write_bytes(self_test.put(content, self_test.make(content)))
    return path


def test_places_are_those_of_the_files(model):
    content = model.read_bytes()
    at = self_test.places(content)
    parts = [content[start : start + size] for start, size in zip(at[::2], at[1::2], strict=True)]
    assert len(parts) == 9 and parts[0].count(b"\n") == 8
    assert all(part.startswith(b"\x89PNG") and part.endswith(b"IEND\xaeB`\x82") for part in parts[1:])


def test_code_for_a_model_without_one_has_none(make_tiny_model, tmp_path):
    (tmp_path / "m.tflite").write_bytes(make_tiny_model())
    for language in codegen.LANGUAGES:
        code = codegen.codegen(tmp_path / "m.tflite", language)
        assert "selfTest" not in code and "self_test" not in code


def test_python_keeps_the_fastest_honest_delegate(model):
    module = {"__name__": "generated"}
    exec(compile(codegen.codegen(model, "python", name="Tiny"), "generated.py", "exec"), module)

    class Wrong(module["Tiny"]):
        def scores(self, photo):
            return np.roll(super().scores(photo), 1)

    def absent():
        raise ValueError("no such delegate")

    [alone] = module["self_test"](model)
    assert (alone.delegate, alone.passed) == ("CPU", True) and alone.deviation < 1e-6
    ways = {"wrong": lambda: Wrong(model), "absent": absent, "honest": lambda: module["Tiny"](model)}
    trials = module["self_test"](model, ways)
    assert [trial.passed for trial in trials] == [False, False, True]
    assert module["fastest"](trials).delegate == "honest" and module["fastest"](trials[:2]) is None


@pytest.mark.skipif(which("node") is None, reason="no node")
def test_javascript_tells_wrong_accelerators(model, tmp_path):
    """Without a browser: what opens the model and decodes a picture are given."""
    package = tmp_path / "node_modules/@litertjs/core"
    package.mkdir(parents=True)
    (package / "package.json").write_text('{"type": "module", "exports": "./index.js"}')
    (package / "index.js").write_text("export const loadAndCompile = 0, Tensor = 0;")
    (tmp_path / "made.mjs").write_text(codegen.codegen(model, "js", name="Tiny"), encoding="utf-8")
    scores = self_test.get(model.read_bytes()).scores.tolist()
    (tmp_path / "run.mjs").write_text(
        "import fs from 'node:fs'; import {selfTest, fastest} from './made.mjs';"
        f"const rows = {json.dumps(scores)}, turned = [...rows.slice(1), rows[0]];"
        "const open = async (bytes, name) => {"
        "  if (name === 'absent') throw new Error('none');"
        "  let next = 0; const given = name === 'wrong' ? turned.map((r) => [r[2], r[0], r[1]]) : rows;"
        "  return {scores: async () => given[next++], delete() {}}; };"
        "const bytes = new Uint8Array(fs.readFileSync(process.argv[2]));"
        "const seen = [], decode = async (png) => { seen.push(png[1]); return png; };"
        "const trials = await selfTest(bytes, ['wrong', 'absent', 'honest'], open, decode);"
        "console.log(JSON.stringify([trials.map((t) => t.passed), fastest(trials).accelerator, seen]));"
    )
    done = subprocess.run(
        ["node", "run.mjs", model], cwd=tmp_path, capture_output=True, text=True, check=False, env=os.environ
    )
    assert done.returncode == 0, done.stderr
    # The pictures are PNG, whose second byte is a P.
    assert json.loads(done.stdout) == [[False, False, True], "honest", [ord("P")] * 8]


@pytest.mark.parametrize("language", ["kotlin", "swift", "dart"])
def test_the_code_parses(model, language):
    code = codegen.codegen(model, language)
    assert "selfTest" in code and "fastest" in code and syntax.errors(language, code) == []
    # But for the list of places.
    assert max(len(line) for line in code.splitlines() if "tests" not in line.lower()) <= 130


@pytest.mark.slow
def test_kotlin_compiles(model, tmp_path):
    (tmp_path / "Tiny.kt").write_text(codegen.codegen(model, "kotlin", name="Tiny"), encoding="utf-8")
    assert compile_kotlin([tmp_path / "Tiny.kt"], tmp_path / "classes") == []
