"""The actions of the command: measure, write, show. Imports are local, so that the first measurement starts early."""

from __future__ import annotations

import argparse
import atexit
import dataclasses
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_maker.benchmark import model_files
from model_maker.benchmark.probe import Helper
from model_maker.errors import DataError, ModelMakerError
from model_maker.system import dates, files
from model_maker.terminal import safe_text

if TYPE_CHECKING:
    from model_maker.benchmark.environment import Load, Machine
    from model_maker.benchmark.results import Model, Record, Row
    from model_maker.data.dataset import Dataset

# More photos do not change the timing.
_PHOTOS = 8


def host_(arguments: argparse.Namespace) -> int:
    """Measures on this machine."""
    paths = model_files.find(arguments.models, announce=_say)
    helper = Helper()  # loads LiteRT in parallel to this process
    try:
        from model_maker.benchmark import host
        from model_maker.benchmark.environment import this_machine
        from model_maker.benchmark.result_table import RoundsBar
        from model_maker.data.streaming import cores

        models, refused = model_files.describe(paths)
        dataset = _dataset(arguments)
        options = host.HostOptions(rounds=arguments.rounds, runs=arguments.runs, timeout_s=arguments.timeout or 60.0)
        threads = arguments.threads or [count for count in (1, 2, 4) if count <= cores()]
        delegates = arguments.delegate or ["xnnpack"]
        if "gpu" in delegates:
            atexit.register(_silence)
        photos = [sample.path for sample in dataset.samples[:: max(1, len(dataset) // _PHOTOS)]] if dataset else []
        with RoundsBar("Measure") as bar:
            outcome = _interruptible(
                lambda: host.measure(
                    [Path(model.path) for model in models],
                    threads=threads,
                    delegates=delegates,
                    options=options,
                    photos=photos[:_PHOTOS],
                    progress=bar.progress,
                    helper=helper,
                )
            )
    finally:
        helper.close()
    settings: dict[str, Any] = {
        "input": f"photos of {arguments.data}" if photos else f"random bytes, seed {options.seed}",
    }
    settings |= {"threads": threads, "delegates": delegates, "rounds": options.rounds, "runs": options.runs}
    return _conclude(arguments, this_machine(), (models, refused), outcome, settings, dataset)


def android_(arguments: argparse.Namespace) -> int:
    """Measures on a phone."""
    from model_maker.benchmark import adb, android, binary
    from model_maker.benchmark.environment import android_machine
    from model_maker.benchmark.phone import read_facts
    from model_maker.benchmark.result_table import RoundsBar

    models, refused = model_files.describe(model_files.find(arguments.models, announce=_say))
    dataset = _dataset(arguments)
    device = adb.pick(adb.find_adb(), None if arguments.device == "android" else arguments.device)
    facts = read_facts(device)
    tool = (
        binary.fetch(facts.abis, announce=_say) if arguments.fetch_binary else binary.find(arguments.benchmark_binary)
    )
    given = {
        "runs": arguments.runs,
        "cpu_mask": arguments.cpu_mask,
        "op_profile": arguments.op_profile,
        "cooldown_s": arguments.cooldown,
        "timeout_s": arguments.timeout,
        "keep_binary": arguments.keep_binary,
    }
    options = android.AndroidOptions(**{name: value for name, value in given.items() if value is not None})
    with RoundsBar(f"Measure on {facts.model or device.serial}") as bar:
        outcome = _interruptible(
            lambda: android.measure(
                [Path(model.path) for model in models],
                threads=arguments.threads or [1, 2, 4],
                delegates=arguments.delegate or ["xnnpack"],
                device=device,
                binary=tool,
                options=options,
                progress=lambda done, total, _: bar.progress(done, total),
            )
        )
    settings = {"tool": "benchmark_model", "input": "random, made by the tool"} | dataclasses.asdict(options)
    return _conclude(arguments, android_machine(facts), (models, refused), outcome, settings, dataset)


def import_(arguments: argparse.Namespace) -> int:
    """Shows a saved result of the iOS app or of this command."""
    from model_maker.benchmark import ios, results
    from model_maker.benchmark.environment import ios_machine

    path = Path(arguments.models[1])
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}. Pass the saved output of the iOS benchmark app.") from error
    if text.lstrip().startswith("{"):
        record = results.from_json(text, str(path))
        for flag in ("threads", "delegate", "device_name"):
            if getattr(arguments, flag):
                arguments.benchmark_usage.error(f"--{flag.replace('_', '-')}: {path} already states it")
        return _deliver(arguments, record)
    for flag in ("threads", "delegate"):
        if len(getattr(arguments, flag) or "-") > 1:
            arguments.benchmark_usage.error(f"--{flag} takes one value for import")
    threads, delegate = ((getattr(arguments, flag) or [None])[0] for flag in ("threads", "delegate"))
    rows, models = ios.read(text, path.name, threads=threads, delegate=delegate)
    settings = {"tool": "TensorFlow Lite's iOS benchmark app", "imported": path.name}
    return _conclude(arguments, ios_machine(arguments.device_name or ""), (models, []), (rows, None, False), settings)


def compare_(arguments: argparse.Namespace) -> int:
    """Compares two results; 1 if something became slower."""
    from model_maker.benchmark import record_comparison, result_table, results

    base, new = (results.read(path) for path in arguments.models[1:])
    fail_over = record_comparison.FAIL_OVER if arguments.fail_over is None else arguments.fail_over
    comparison = record_comparison.compare(base, new, fail_over=fail_over, force=bool(arguments.force))
    if arguments.json:
        _write(arguments.json, json.dumps(comparison.as_dict(), indent=1, ensure_ascii=False) + "\n")
    if arguments.json != "-":
        result_table.show_comparison(comparison)
    if comparison.regressions:
        slower = f"{comparison.regressions} of {len(comparison.pairs)} rows"
        _say(f"benchmark: {slower} became slower by more than {100 * fail_over:g} %, outside the intervals.")
    return 1 if comparison.regressions else 0


def _dataset(arguments: argparse.Namespace) -> Dataset | None:
    """Reads the photos of --data; only the test split if the dataset has one."""
    if not arguments.data:
        return None
    from model_maker.data import sources

    dataset = sources.read(arguments.data, least_classes=1)
    tested = tuple(sample for sample in dataset.samples if sample.part == "test")
    return dataclasses.replace(dataset, samples=tested) if tested else dataset


def _interruptible(work) -> tuple[list[Row], Load | None, bool]:
    """Returns rows, load, and whether Ctrl-C ended it early."""
    from model_maker.benchmark.results import Interrupted

    try:
        done = work()
    except Interrupted as stop:
        return stop.rows, stop.load, True
    rows, load = done if isinstance(done, tuple) else (done, None)
    return rows, load, False


def _conclude(
    arguments: argparse.Namespace,
    machine: Machine,
    described: tuple[Sequence[Model], Sequence[Row]],
    outcome: tuple[list[Row], Load | None, bool],
    settings: dict[str, Any],
    dataset: Dataset | None = None,
) -> int:
    """Builds the record, writes and shows it."""
    from model_maker.benchmark.results import Record, finish

    (models, refused), (rows, load, interrupted) = described, outcome
    if dataset and not interrupted:
        models, interrupted = _with_accuracy(models, dataset, arguments.data, arguments.labels)
    record = Record(
        created=dates.now(),
        machine=machine,
        models=tuple(models),
        rows=finish([*rows, *refused], models, load),
        settings=settings,
        load=load,
        interrupted=interrupted,
    )
    return _deliver(arguments, record)


def _with_accuracy(
    models: Sequence[Model], dataset: Dataset, data: str, labels: str | None
) -> tuple[list[Model], bool]:
    """Adds top-1, or a note for a model without labels of these classes. True if interrupted by ctrl-C."""
    from model_maker.benchmark.result_table import RoundsBar
    from model_maker.inference.classifier import FileClassifier
    from model_maker.tflite import metadata

    done = list(models)
    for index, model in enumerate(models):
        try:
            photos, notes = _unseen(model, dataset, data)
            with RoundsBar(f"Accuracy of {model.name}") as bar:
                classifier = FileClassifier(model.path, labels=labels)
                metadata.check_single(classifier.info, "top-1", "`evaluate` measures it.")
                metrics = classifier.evaluate(photos, progress=bar.progress)
            if metrics.learned_from:
                notes = (*notes, metrics.learned_from.describe(metrics.photos))
            done[index] = dataclasses.replace(model, top1=metrics.top1, top1_photos=metrics.photos, notes=notes)
        except ModelMakerError as error:
            done[index] = dataclasses.replace(model, notes=(f"no top-1: {error}",))
        except KeyboardInterrupt:
            return done, True
    return done, False


def _unseen(model: Model, dataset: Dataset, data: str) -> tuple[Dataset, tuple[str, ...]]:
    """Returns the test photos of a model: of its own training data only the test split."""
    from model_maker import run_record

    try:
        record = run_record.load(Path(model.path).parent)
    except DataError:
        return dataset, ()
    if Path(record["data"]).resolve() != Path(data).resolve():
        return dataset, ()
    part, notes = run_record.test_part(model.path)
    return part, (f"top-1 on the {len(part)} test photos of {data}; it was trained on the other photos", *notes)


def _deliver(arguments: argparse.Namespace, record: Record) -> int:
    """Writes and shows a record; 1 if a row could not run, 130 after Ctrl-C."""
    from model_maker.benchmark import benchmark_page, result_table, results

    if arguments.json:
        _write(arguments.json, results.to_json(record))
    if arguments.csv:
        _write(arguments.csv, results.to_csv(record))
    if arguments.html:
        _write(arguments.html, benchmark_page.render(record))
    if "-" not in (arguments.json, arguments.csv):
        result_table.show(record)
    if record.interrupted:
        return 130
    return 1 if any(row.reason for row in record.rows) else 0


def _write(path: str, text: str) -> None:
    if path == "-":
        sys.stdout.write(safe_text.printable_json(text))
        return
    files.write(Path(path), text.encode())
    _say(f"Wrote {path}")


def _silence() -> None:
    """Suppresses the message that LiteRT's GPU library prints to stderr at exit, which has no switch."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def _say(text: str) -> None:
    sys.stderr.write(f"{safe_text.set_in(text)}\n")
