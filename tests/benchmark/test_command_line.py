"""The command as a person types it: what it prints, refuses and leaves behind. No test expects a time."""

import argparse
import csv
import dataclasses
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from checkout import ROOT

from model_maker.benchmark import actions, android, command_line, host, model_files
from model_maker.benchmark.environment import Machine
from model_maker.benchmark.latency import Latency
from model_maker.benchmark.results import Interrupted, Model, Record, Row, read, to_json
from model_maker.data import sources
from model_maker.inference.classifier import FileClassifier

FAST = ("--rounds", "2", "--runs", "4")


def benchmark(*arguments, cwd, columns="100"):
    done = subprocess.run(
        [sys.executable, "-c", "from model_maker.benchmark.command_line import run; run()", *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        env=os.environ | {"COLUMNS": columns, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@pytest.fixture
def desk(tmp_path, make_tiny_model):
    """Two models in a folder, one of them as `train` leaves it."""
    (tmp_path / "work/flowers_model").mkdir(parents=True)
    (tmp_path / "work/flowers_model/model.tflite").write_bytes(make_tiny_model())
    (tmp_path / "work/flowers_model/run.json").write_text("{}")
    (tmp_path / "float.tflite").write_bytes(make_tiny_model("none", "float32"))
    return tmp_path


def test_threads_alone_measures_the_newest_model(desk):
    code, out, err = benchmark("--threads", "1", *FAST, cwd=desk)
    assert code == 0, err
    assert re.search(r"xnnpack +1 +\d", out)
    assert "Measuring work/flowers_model/model.tflite, the newest model below this folder." in err


def test_without_a_model_it_says_one_line(tmp_path):
    code, out, err = benchmark("--threads", "4", cwd=tmp_path)
    assert (code, out) == (1, "")
    assert err.startswith("benchmark: No model below this folder") and err.count("\n") == 1


def test_newest_is_by_date_and_only_what_train_made(desk):
    older, newer = desk / "work/flowers_model/model.tflite", desk / "b/model.tflite"
    newer.parent.mkdir()
    newer.write_bytes(older.read_bytes())
    os.utime(older, (1000, 1000))
    assert model_files.newest_model(desk) == Path("work/flowers_model/model.tflite")  # b has no run.json
    (newer.parent / "run.json").write_text("{}")
    assert model_files.newest_model(desk) == Path("b/model.tflite")
    hidden = desk / ".cache/model.tflite"
    hidden.parent.mkdir()
    hidden.write_bytes(older.read_bytes())
    (hidden.parent / "run.json").write_text("{}")
    assert model_files.newest_model(desk) == Path("b/model.tflite")


def test_several_models_are_one_table_with_every_file(desk):
    code, out, err = benchmark(
        "work/flowers_model", "float.tflite", "--threads", "1,2", "--delegate", "none,reference", *FAST,
        "--json", "r.json", "--csv", "r.csv", "--html", "r.html", cwd=desk,
    )  # fmt: skip
    assert code == 0, err
    record = read(desk / "r.json")
    cells = [(row.model, row.delegate, row.threads) for row in record.rows]
    models = ("work/flowers_model/model.tflite", "float.tflite")
    assert cells == [(m, d, t) for m in models for d in ("none", "reference") for t in (1, 2)]
    assert [model.name for model in record.models] == ["flowers_model", "float"]
    assert [model.quantization for model in record.models] == ["int8", "none"]
    rows = list(csv.DictReader((desk / "r.csv").open()))
    assert [row["model"] for row in rows] == [cell[0] for cell in cells]
    assert (desk / "r.html").read_text().startswith("<!doctype html>")
    assert "flowers_model" in out and "reference" in out
    assert record.machine.kind == "host" and record.settings["input"] == "random bytes, seed 0"


def test_json_on_stdout_is_one_document_and_nothing_else(desk):
    code, out, _ = benchmark("float.tflite", "--threads", "1", *FAST, "--json", cwd=desk)
    content = json.loads(out)
    assert (code, content["format"], len(content["rows"])) == (0, "model_maker.benchmark", 1)
    assert len(content["rows"][0]["rounds_ms"]) == 2
    again = benchmark("float.tflite", "--threads", "1", *FAST, "--csv", cwd=desk)
    assert len(list(csv.DictReader(io.StringIO(again[1])))) == 1


def test_data_adds_top1_and_feeds_photos(desk, make_photos):
    model = desk / "work/flowers_model/model.tflite"
    make_photos(desk / "photos", {"a": 5, "b": 5})
    code, out, err = benchmark(
        "work/flowers_model", "--data", "photos", "--threads", "1", *FAST, "--json", "r.json", cwd=desk
    )
    assert code == 0, err
    expected = FileClassifier(model).evaluate(sources.read(desk / "photos"))
    record = read(desk / "r.json")
    assert (record.models[0].top1, record.models[0].top1_photos) == (pytest.approx(expected.top1), 10)
    assert record.settings["input"] == "photos of photos"
    assert f"top-1 {100 * expected.top1:.1f} % of 10 photos" in out


def test_top1_leaves_out_what_the_model_was_trained_on(trained, drawn_flowers, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    flags = ["--data", str(drawn_flowers), "--threads", "1", *FAST, "--json"]
    assert command_line.main(command_line.parse(["benchmark", str(trained["uint8"]), *flags])) == 0
    (model,) = json.loads(capsys.readouterr().out)["models"]
    tested = json.loads((trained["uint8"] / "metrics.json").read_text())["test"]
    assert (model["top1"], model["top1_photos"]) == (pytest.approx(tested["top1"]), tested["photos"])
    assert "it was trained on the other photos" in model["notes"][0]


def test_a_model_without_labels_has_no_top1_and_says_so(desk, float_classifier, make_photos):
    (desk / "plain.tflite").write_bytes(float_classifier)
    make_photos(desk / "photos", {"a": 2, "b": 2})
    code, out, _ = benchmark("plain.tflite", "--data", "photos", "--threads", "1", *FAST, cwd=desk)
    assert code == 0
    assert re.search(r"plain: no top-1: .*no labels", out)


def test_one_bad_model_does_not_stop_the_others(desk):
    (desk / "notes.tflite").write_text("not a model")
    code, out, err = benchmark("notes.tflite", "float.tflite", "none.tflite", "--threads", "1", *FAST, cwd=desk)
    assert code == 1
    assert re.search(r"xnnpack +1 +\d", out)
    assert "notes.tflite is not a .tflite file" in out and "none.tflite: No such file" in out
    assert "Traceback" not in err


def test_a_delegate_that_is_not_there_is_a_row(desk):
    code, out, _ = benchmark("float.tflite", "--threads", "1", "--delegate", "gpu,none", *FAST, "--json", cwd=desk)
    gpu, none = json.loads(out)["rows"]
    assert (gpu["threads"], none["reason"]) == (None, "")
    assert (code == 1) == bool(gpu["reason"])
    assert bool(gpu["reason"]) != bool(gpu["count"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--threads", "0"), "argument --threads: '0'"),
        (("--threads", "abc"), "argument --threads: invalid threads value: 'abc'"),
        (("--threads", "1,,2"), "argument --threads"),
        (("--threads", "1000"), "from 1 to 256"),
        (("--delegate", "warp"), "argument --delegate: there is no 'warp' here; choose from xnnpack, none, reference"),
        (("--delegate", "reference", "--device", "android"), "choose from xnnpack, none, nnapi, gpu"),
        (("--rounds", "0"), "argument --rounds"),
        (("--timeout", "-3"), "argument --timeout"),
        (("--cooldown", "nan", "--device", "android"), "argument --cooldown"),
        (("--cpu-mask", "f0"), "--cpu-mask has no effect on this machine"),
        (("--rounds", "3", "--device", "android"), "--rounds has no effect on Android"),
        (("a.tflite", "--fail-over", "5"), "--fail-over has no effect on this machine"),
        (("compare", "a.json"), "compare takes two files"),
        (("compare", "a.json", "b.json", "--threads", "1"), "--threads has no effect for compare"),
        (("compare", "a.json", "b.json", "--fail-over", "much"), "argument --fail-over"),
        (("import",), "import takes one file"),
        (("a.tflite", "--json", "--csv"), "cannot both write to stdout"),
        (("--json", "a.tflite"), "put models before the flags"),
        (("--bogus",), "unrecognized arguments: --bogus"),
    ],
)
def test_usage_errors_exit_with_2(capsys, arguments, message):
    with pytest.raises(SystemExit) as caught:
        command_line.main(command_line.parse(["benchmark", *arguments]))
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("usage: benchmark")
    assert message in said.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("none.tflite",), "none.tflite: No such file or directory"),
        (("empty",), "empty/model.tflite: No such file or directory"),
        (("float.tflite", "--data", "none"), "none does not exist"),
        (("compare", "a.json", "none.json"), "a.json: No such file or directory"),
        (("compare", "float.tflite", "float.tflite"), "float.tflite is not"),
        (("import", "none.txt"), "none.txt: No such file or directory"),
        (("import", "float.tflite"), "has no result of the iOS benchmark app"),
        (("float.tflite", "--threads", "1", *FAST, "--html", "float.tflite/x.html"), "Cannot write"),
    ],
)
def test_bad_input_is_one_clear_line(desk, monkeypatch, capfd, arguments, message):
    (desk / "empty").mkdir()
    monkeypatch.chdir(desk)
    assert command_line.main(command_line.parse(["benchmark", *arguments])) == 1
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("benchmark: ") and err.count("\n") == 1
    assert message in err


def test_compare_exits_with_1_if_something_became_slower(desk, monkeypatch, capsys):
    monkeypatch.chdir(desk)
    base = write_record(desk / "base.json", 10.0)
    slower = write_record(desk / "new.json", 11.0)
    assert command_line.main(command_line.parse(["benchmark", "compare", base, base])) == 0
    capsys.readouterr()
    assert command_line.main(command_line.parse(["benchmark", "compare", base, slower, "--fail-over", "5%"])) == 1
    out, err = capsys.readouterr()
    assert "+10.0 %" in out
    assert err == "benchmark: 1 of 1 rows became slower by more than 5 %, outside the intervals.\n"
    assert command_line.main(command_line.parse(["benchmark", "compare", base, slower, "--fail-over", "12"])) == 0
    capsys.readouterr()
    assert command_line.main(command_line.parse(["benchmark", "compare", base, slower, "--json"])) == 1
    assert json.loads(capsys.readouterr().out)["regressions"] == 1


def write_record(path, milliseconds):
    rounds = ((milliseconds,),) * 6
    row = dataclasses.replace(Row("a", "none", 1, rounds_ms=rounds), **Latency(rounds).summary())
    path.write_text(to_json(Record("now", Machine("host", "A CPU"), (Model("a", "a"),), (row,))))
    return str(path)


def test_import_shows_a_saved_record_and_an_iphone_s(desk, monkeypatch, capsys):
    monkeypatch.chdir(desk)
    write_record(desk / "r.json", 10.0)
    assert command_line.main(command_line.parse(["benchmark", "import", "r.json", "--html", "r.html"])) == 0
    assert re.search(r"none +1 +10\.0", capsys.readouterr().out)
    assert "A CPU" in (desk / "r.html").read_text()
    (desk / "screen.txt").write_text(
        "Startup latency: 12.5 ms\n\nInference:\n - Num runs: 50\n - Average: 7.25 ms\n - Min: 7 ms \n"
        " - Max: 9.5 ms \n - Std deviation: 0.5 ms\n"
    )
    arguments = ["import", "screen.txt", "--device-name", "iPhone 12", "--threads", "2", "--delegate", "gpu", "--json"]
    assert command_line.main(command_line.parse(["benchmark", *arguments])) == 0
    content = json.loads(capsys.readouterr().out)
    assert (content["machine"]["kind"], content["machine"]["name"]) == ("ios", "iPhone 12")
    assert (content["rows"][0]["delegate"], content["rows"][0]["mean_ms"]) == ("gpu", 7.25)


def test_ctrl_c_keeps_and_shows_what_there_is(desk, monkeypatch, capsys):
    monkeypatch.chdir(desk)
    real = host.measure

    def stopped(*arguments, **named):
        named["progress"] = lambda done, total: stop(done)
        return real(*arguments, **named)

    def stop(done):
        if done == 5:  # tried out, opened, two rounds, and one more
            raise KeyboardInterrupt

    monkeypatch.setattr(host, "measure", stopped)
    code = command_line.main(
        command_line.parse(["benchmark", "float.tflite", "--threads", "1", "--rounds", "9", "--json", "r.json"])
    )
    assert code == 130
    assert "Interrupted" in capsys.readouterr().out
    record = read(desk / "r.json")
    assert record.interrupted
    assert len(record.rows[0].rounds_ms) == 3


def test_ctrl_c_before_anything_is_one_line(desk, monkeypatch, capsys):
    def stop(*_, **__):
        raise Interrupted([Row("float.tflite", "none", 1, reason="Interrupted before it was measured.")])

    monkeypatch.chdir(desk)
    monkeypatch.setattr(host, "measure", stop)
    assert command_line.main(command_line.parse(["benchmark", "float.tflite"])) == 130
    assert "Traceback" not in capsys.readouterr().err


def test_the_same_command_as_a_sub_command(desk, monkeypatch, capsys):
    monkeypatch.chdir(desk)
    parser = argparse.ArgumentParser(prog="model_maker")
    command_line.add_arguments(parser.add_subparsers().add_parser("benchmark"))
    arguments = parser.parse_args(["benchmark", "float.tflite", "--threads", "1", *FAST])
    assert command_line.run_command(arguments) == 0
    assert re.search(r"xnnpack +1 +\d", capsys.readouterr().out)


def test_every_flag_has_a_place_and_a_meaning():
    parsed = vars(command_line.parse(["benchmark"]))
    assert set(parsed) - {"models", "benchmark_usage", "debug"} == set(command_line.ALL_FLAGS)
    assert all(parsed[flag] is None for flag in command_line.ALL_FLAGS)
    assert set(command_line.ANDROID_DELEGATES) == set(android.DELEGATES)
    for mode in command_line.FLAGS:
        assert callable(getattr(actions, f"{mode}_"))


def test_neither_tensorflow_nor_scikit_learn_is_loaded(desk):
    check = (
        "import sys; from model_maker.benchmark import command_line as cli\n"
        "cli.main(cli.parse(['benchmark', 'float.tflite', '--threads', '1', '--rounds', '2', '--csv']))\n"
        "print(sorted({'tensorflow', 'keras', 'sklearn'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", check], cwd=desk, capture_output=True, env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=True,
    )  # fmt: skip
    assert done.stdout.decode().splitlines()[-1] == "[]"


def test_help_names_every_delegate_and_verb(capsys):
    with pytest.raises(SystemExit) as caught:
        command_line.parse(["benchmark", "--help"])
    assert caught.value.code == 0
    said = " ".join(capsys.readouterr().out.split())
    for word in ("compare BASE.json NEW.json", "import FILE", "xnnpack, none, reference, gpu", "--fail-over"):
        assert word in said
