"""Records what commands and API calls answer, to compare two versions of the code: exit codes, JSON, file hashes.

    python -m benchmarks.behavior --data ../shared/data --record before.json
    python -m benchmarks.behavior --data ../shared/data --against before.json

Wording, plots, pages, times, memory and versions are left out: they may change.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Each runs in the same folder, so that later lines use what earlier ones wrote.
COMMANDS = """
sample-data drawn --per-class 20 --json
models --json
train --data flowers --output flowers_model --json
train --data clothing --output clothing_model --layers last --seed 3 --json
train --data flowers --output plain_float --quantize none --layers top --json
train --data drawn --output half --quantize float16 --json
train --data drawn --output dynamic --quantize dynamic --json
train --data drawn --output sixteen --quantize int16x8 --json
train --data drawn --output mobile --model mobilenet_v2 --json
train --data drawn --output views --augment standard --views 2 --json
train --data drawn --output careful --max-drop 0.5 --precision 0.8 --json
train --data drawn --output folded --folds 3 --class-weight balanced --json
train --data drawn --output floats --io float32 --json
train --data drawn --output small --image-size 128 --json
train --data drawn --output flowers_model
train --data missing --output nothing
train --data drawn --quantize int3 --output nothing
train --data drawn --folds 1 --output nothing
train --config flowers_model/run.json --data flowers --output repeated --json
evaluate flowers_model --json
evaluate flowers_model --data clothing --json
evaluate plain_float --data flowers --json
evaluate clothing_model --report evaluation.html
predict flowers_model flowers/roses --json
predict flowers_model flowers/daisy/*.jpg --csv
predict half drawn/rose --top-k 2 --json
predict flowers_model missing.jpg
predict careful drawn --threshold 0.9 --json
inspect flowers_model --json
inspect half --json
metadata flowers_model --output described.tflite --name Flowers --author Nobody --json
export flowers_model --format tflite-float16,c_header,edgetpu --output exported --json
export flowers_model --format tflite-int8 --output again --data flowers --json
codegen flowers_model --kotlin --output Flowers.kt
codegen flowers_model --swift --output Flowers.swift
codegen flowers_model --python --output flowers.py
embedder --output embedder --quantize int8 --json
starter efficientnet_lite0 --output starter --json
doctor flowers --json
doctor drawn --html drawn.html
demo flowers_model --export site
reproduce flowers_model --data flowers --json
verify flowers_model --json
augment drawn --preview sheet.png --preset standard --json
""".strip().splitlines()

# What may differ from run to run or from machine to machine; everything else must not.
VOLATILE = {
    "seconds", "stages", "time", "started", "versions", "environment", "machine", "platform", "python", "command",
    "peak_memory_mb", "latency_ms", "memory", "cache", "elapsed", "train_seconds", "took_s", "duration_s", "run",
    "total_s", "page_s",
}  # fmt: skip
PICTURES_AND_PAGES = {".png", ".html", ".md", ".svg"}


def calls(model_maker: Any) -> dict[str, Callable[[], Any]]:
    """The API calls, by name; each gives what JSON can hold."""
    classifier = model_maker.Classifier("flowers_model")
    roses = sorted(Path("flowers/roses").iterdir())[:8]
    read = [photo.read_bytes() for photo in roses]
    return {
        "load_dataset": lambda: model_maker.load_dataset("flowers").fingerprint,
        "load_dataset classes": lambda: list(model_maker.load_dataset("clothing").classes),
        "train": lambda: model_maker.train("drawn", "by_api").metrics.top1,
        "train options": lambda: model_maker.train("drawn", "by_api_2", seed=5, layers="last").metrics.top1,
        "predict path": lambda: answers(classifier.predict(roses[0])),
        "predict paths": lambda: answers(classifier.predict(roses)),
        "predict bytes": lambda: answers(classifier.predict(read[0])),
        "predict top_k": lambda: answers(classifier.predict(roses[0], top_k=1)),
        "predict threshold": lambda: answers(classifier.predict(roses, threshold=0.9)),
        "labels": lambda: list(classifier.labels),
        "evaluate": lambda: classifier.evaluate(model_maker.load_dataset("flowers")).top1,
        "scores": lambda: digest(b"".join(scores.tobytes() for scores in classifier.scores(roses))),
        "other model": lambda: answers(
            model_maker.Classifier("half").predict(sorted(Path("drawn/rose").iterdir())[:3])
        ),
        "missing model": lambda: refused(lambda: model_maker.Classifier("missing.tflite")),
        "missing data": lambda: refused(lambda: model_maker.load_dataset("missing")),
        "wrong option": lambda: refused(lambda: model_maker.train("drawn", "nothing", quantize="int3")),
        "diagnose": lambda: {kind: len(of) for kind, of in model_maker.diagnose("flowers").findings.items()},
        "export": lambda: exported(model_maker),
        "codegen": lambda: digest(str(model_maker.codegen("flowers_model", "kotlin")).encode()),
        "reproduce": lambda: model_maker.reproduce("flowers_model", "flowers").differences,
        "verify": lambda: [found.passed for found in model_maker.verify("flowers_model").findings],
    }


def exported(model_maker: Any) -> dict[str, str]:
    model_maker.export("half", "half_exported", formats=["c_header"])
    return files_below("half_exported")


def answers(predictions: Any) -> list[Any]:
    """Labels and scores, as lists."""
    return [[(answer.label, answer.score) for answer in photo] for photo in predictions]


def refused(call: Callable[[], Any]) -> str:
    """The class of error that a call ends with."""
    try:
        call()
    except Exception as error:
        return type(error).__name__
    return "no error"


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def files_below(path: str | os.PathLike[str]) -> dict[str, str]:
    """Hashes of the files that must be equal: no pages and plots, no record of times."""
    found = sorted(file for file in Path(path).rglob("*") if file.is_file()) if Path(path).is_dir() else [Path(path)]
    kept = (file for file in found if file.suffix not in PICTURES_AND_PAGES and file.name != "run.json")
    return {file.as_posix(): digest(file.read_bytes()) for file in kept if file.exists()}


def lasting(document: Any) -> Any:
    """A JSON document without what times and machines decide."""
    if isinstance(document, dict):
        return {key: lasting(value) for key, value in document.items() if key not in VOLATILE}
    return [lasting(value) for value in document] if isinstance(document, list) else document


def run(line: str) -> dict[str, Any]:
    """Runs one command line and returns what it answered."""
    words = line.split()
    expanded = [str(p) for word in words for p in (sorted(Path().glob(word)) if "*" in word else [word])]
    done = subprocess.run([sys.executable, "-m", "model_maker", *expanded], capture_output=True, check=False)
    answer: dict[str, Any] = {"exit": done.returncode}
    if "--json" in words and done.returncode == 0:
        answer["json"] = lasting(json.loads(done.stdout))
    elif "--csv" in words:
        answer["csv"] = digest(done.stdout)
    if "--output" in words and done.returncode == 0:
        answer["files"] = files_below(words[words.index("--output") + 1])
    return answer


def record(data: Path) -> dict[str, Any]:
    """Runs everything in a new folder beside copies of the photos."""
    for name in ("flowers", "clothing"):
        shutil.copytree(data / name, name)
    recorded: dict[str, Any] = {}
    for line in COMMANDS:
        print(line, file=sys.stderr)
        recorded[line] = run(line)
    import model_maker

    for name, call in calls(model_maker).items():
        print(name, file=sys.stderr)
        try:
            recorded[name] = json.loads(json.dumps(call()))
        except Exception as error:
            recorded[name] = f"{type(error).__name__}: {error}"
    return recorded


def differences(before: Any, after: Any, where: str = "") -> list[str]:
    """The places where two records differ."""
    if isinstance(before, dict) and isinstance(after, dict):
        keys = sorted({*before, *after})
        return [line for key in keys for line in differences(before.get(key), after.get(key), f"{where} > {key}")]
    return [] if before == after else [f"{where[3:]}: {str(before)[:200]} -> {str(after)[:200]}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder that holds flowers/ and clothing/")
    parser.add_argument("--record", type=Path, help="file to write")
    parser.add_argument("--against", type=Path, help="file that an earlier version wrote")
    options = parser.parse_args()
    data, start = options.data.resolve(), Path.cwd()
    sys.path.insert(0, str(start))
    os.environ["PYTHONPATH"] = str(start)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        after = record(data)
        os.chdir(start)
    if options.record:
        options.record.write_text(json.dumps(after, indent=1, sort_keys=True) + "\n", encoding="utf-8", newline="\n")
    if options.against:
        found = differences(json.loads(options.against.read_text(encoding="utf-8")), after)
        print("\n".join(found) or f"{len(after)} answers, all equal")
        sys.exit(bool(found))


if __name__ == "__main__":
    main()
