#!/usr/bin/env bash
# A wheel as its users have it: the base alone, installed in an empty environment, used from an empty folder. `make dist`
# runs this; without MYPY, types are not checked, and without PYTEST, pages are not followed.
#   PYTHON=.venv/bin/python MYPY=$PWD/.venv/bin/mypy PYTEST=$PWD/.venv/bin/pytest tests/helpers/smoke.sh dist/model_maker-*.whl
set -euo pipefail
wheel=$(realpath "$1")
checkout=$(realpath "$(dirname "$0")/../..")
desk=$(mktemp -d)
trap 'rm -rf "$desk"' EXIT
trap 'echo "smoke test: line $LINENO failed" >&2' ERR

unset PYTHONPATH PYTHONHOME VIRTUAL_ENV MODEL_MAKER_CACHE
"$PYTHON" -m venv "$desk/environment"
commands=$desk/environment/bin
[ -d "$commands" ] || commands=$desk/environment/Scripts # Windows
"$commands/python" -m pip install --quiet --disable-pip-version-check --no-compile "$wheel"
export HOME=$desk/home XDG_CACHE_HOME=$desk/cache PATH=$commands:$PATH
mkdir "$HOME" "$desk/work"
cd "$desk/work"

version=$(basename "$wheel" | cut -d- -f2)
[ "$(model_maker --version | tr -d '\r')" = "model_maker $version" ]
[ "$(benchmark --version | tr -d '\r')" = "benchmark $version" ]
python -m pip check --quiet --disable-pip-version-check
python - <<'END'
import sys
from importlib.util import find_spec

assert find_spec("model_maker").origin.startswith(sys.prefix)
optional = ("tensorflow", "keras", "tensorflow_hub", "mediapipe", "tflite_support", "onnx", "openvino", "ray", "pyarrow")
assert [name for name in optional if find_spec(name)] == []
END

model_maker sample-data flowers --per-class 20
model_maker doctor flowers --json >findings.json
python -c 'import json; assert json.load(open("findings.json"))["photos"]["rose"] == 20'
model_maker train --data flowers --output model
model_maker evaluate model --json >metrics.json
python -c 'import json; assert json.load(open("metrics.json"))["top1"] >= 0.8'
model_maker predict model flowers/rose/rose_000.jpg --top-k 1 | tee answer.txt
grep -q "rose  " answer.txt
model_maker doctor flowers
model_maker inspect model | grep "float inside *none"

model_maker export model --android app
cmp model/model.tflite app/app/src/main/assets/model.tflite
test -s app/app/src/main/kotlin/modelmaker/classifier/ModelFile.kt
model_maker codegen model --python --output flowers.py
python -m py_compile flowers.py
model_maker demo model --export site
test -s site/model.tflite
ls site/runtime/*.wasm
model_maker benchmark model --threads 1 --rounds 2 --json latency.json
python -c 'import json; assert json.load(open("latency.json"))'
for shell in bash zsh fish; do model_maker completion "$shell" | grep -q model_maker; done

# Types reach users through py.typed.
if [ -n "${MYPY:-}" ]; then
  "$MYPY" --strict --config-file= --cache-dir "$desk/mypy" --python-executable "$commands/python" \
    "$checkout/tests/helpers/typed_program.py"
fi
# README and pages that need no extra, followed from empty folders with what is installed here.
if [ -n "${PYTEST:-}" ]; then
  cd "$checkout"
  MODEL_MAKER_PAGES_PYTHON=$commands/python "$PYTEST" -q --numprocesses auto --no-loadscope-reorder -m base tests/product
fi
echo "The wheel works on $("$PYTHON" --version): $(basename "$wheel")"
