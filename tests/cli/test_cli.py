"""The commands as a person types them: what they print, refuse and leave behind."""

import csv
import functools
import http.server
import io
import json
import re
import shlex
import shutil
import threading

import pytest
from command import model_maker, said
from PIL import Image
from rich.console import Console

from model_maker.cli import training_views
from model_maker.data import sample_data
from model_maker.packaging.accuracy_budget import Budget, Step
from model_maker.packaging.quantized_file import Form


def test_train_puts_one_json_document_on_stdout(desk):
    report = json.loads((desk / "train.json").read_text())
    assert report["output"] == "flowers_model"
    assert report["test"]["photos"] == report["photos"]["test"] > 0


def test_train_states_what_it_made(desk, tmp_path):
    done = model_maker("train", "--data", desk / "flowers", "--output", tmp_path / "m", cwd=tmp_path)
    out, err = said(done)
    assert done.returncode == 0
    assert "top-1" in out and "MB" in out and str(tmp_path / "m" / "model.tflite") in out.replace("\n", "")
    assert "Embed photos" in err and "Embed photos" not in out


def test_train_ends_with_the_report_and_a_command_that_goes_on(desk, tmp_path):
    done = model_maker(
        "train", "--data", desk / "flowers", "--output", tmp_path / "my model", cwd=tmp_path, columns="60"
    )
    report, following, app = said(done)[0].splitlines()[-3:]
    assert report.split(maxsplit=1) == ["report", str(tmp_path / "my model/report.html")]
    assert (tmp_path / "my model/report.html").is_file()
    name, program, verb, *rest = shlex.split(following)
    assert (name, program) == ("next", "model_maker") and rest[0] == str(tmp_path / "my model")
    words = [str(desk / "flowers/rose/rose_000.jpg") if word == "PHOTO" else word for word in rest]
    site = ["--export", "site"] if verb == "demo" else []
    assert model_maker(verb, *words, *site, cwd=tmp_path).returncode == 0
    assert model_maker(*shlex.split(app)[1:], cwd=tmp_path).returncode == 0
    assert (tmp_path / "app/app/src/main/assets/model.tflite").is_file()


def test_the_table_of_a_budget_fits_a_terminal_and_marks_what_ships():
    form = Form("int8")
    steps = (
        Step("int8", form, 0.9, 0.05, (0.01, 0.09), 0.024, 0.93, 0.02, 3_960_000, 8.44),
        Step("int8, percentile, 200 photos", form, 0.95, 0.0, (-0.03, 0.03), 0.0, 1.0, 0.01, 3_970_000, 8.0),
    )
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(training_views.budget_table(Budget(0.5, 60, 0.95, steps, 1, True)))
    lines = [" ".join(line.split()) for line in console.export_text().splitlines()]
    assert "int8 90.0 5.0 +1.0..+9.0 2.4 3.96 8.4" in lines
    assert "int8, percentile, 200 photos 95.0 0.0 -3.0..+3.0 0.0 3.97 8.0 chosen" in lines
    assert "Budget of 0.5 points, kept: float 95.0 % on 60 validation photos" in " ".join(lines)


def test_train_config_repeats_the_run(desk, tmp_path):
    done = model_maker("train", "--config", desk / "flowers_model/run.json", "--output", "again", cwd=tmp_path)
    assert done.returncode == 0, said(done)
    first, second = desk / "flowers_model", tmp_path / "again"
    assert (first / "model.tflite").read_bytes() == (second / "model.tflite").read_bytes()


def test_flags_take_precedence_over_config(desk, tmp_path):
    config = desk / "flowers_model/run.json"
    done = model_maker(
        "train", "--config", config, "--quantize", "float16", "--seed", "3", "--output", "m", "--json", cwd=tmp_path
    )
    options = json.loads((tmp_path / "m/run.json").read_text())["options"]
    assert done.returncode == 0
    assert (options["quantize"], options["seed"], options["io"]) == ("float16", 3, "uint8")


def test_evaluate_finds_the_test_part_again(desk, tmp_path):
    done = model_maker("evaluate", desk / "flowers_model", "--json", cwd=tmp_path)
    trained = json.loads((desk / "train.json").read_text())["test"]
    assert json.loads(done.stdout) == trained


def test_evaluate_on_given_photos(desk, tmp_path):
    done = model_maker("evaluate", "flowers_model/model.tflite", "--data", "flowers", "--json", cwd=desk)
    found = json.loads(done.stdout)
    assert found["photos"] == 5 * 12
    assert sum(map(sum, found["confusion"])) == 5 * 12


def test_evaluate_writes_a_report_only_on_request(desk, tmp_path):
    told = ("evaluate", desk / "flowers_model", "--report", "page.html")
    done = model_maker(*told, cwd=tmp_path)
    assert done.returncode == 0 and b"Report: page.html" in done.stderr
    plots = ("calibration", "confusion", "per_class")
    assert {path.name for path in tmp_path.iterdir()} == {"page.html", *(f"page_{plot}.png" for plot in plots)}
    for plot in plots:  # of the same photos as those that train drew
        drawn = (tmp_path / f"page_{plot}.png").read_bytes()
        assert drawn == (desk / f"flowers_model/{plot}.png").read_bytes()
    report = json.loads((desk / "flowers_model/metrics.json").read_text())["test"]
    page = first = (tmp_path / "page.html").read_text()
    assert f"<b>{100 * report['top1']:.1f} %</b> correct on {report['photos']} test photos" in page
    # All that the training knew stands on its page, too; only where the model is, and dates and files, differ.
    trained = (desk / "flowers_model/report.html").read_text()
    assert re.search(r"<li>trained <b>20\d\d-\d\d-\d\d \d\d:\d\d", trained).group() in page
    assert '<a href="page_confusion.png">' in page and '<a href="confusion.png">' in trained
    page, trained = (
        re.sub('(?s)<ul class="facts">.*?</ul>|Beside this page.*?</p>', "", text) for text in (page, trained)
    )
    assert re.findall("<h2>.*?</h2>", page) == re.findall("<h2>.*?</h2>", trained)
    assert page.replace(str(desk / "flowers_model"), "flowers_model") == trained
    again = model_maker(*told, cwd=tmp_path)
    assert again.returncode == 1 and b"page.html already exists" in again.stderr
    assert (tmp_path / "page.html").read_text() == first
    (tmp_path / "page.html").unlink()
    again = model_maker(*told, cwd=tmp_path)
    assert again.returncode == 1 and b"page_confusion.png already exists" in again.stderr
    again = model_maker(*told[:-1], "page_confusion.png/new.html", cwd=tmp_path)
    assert again.returncode == 1 and b"page_confusion.png is a file" in again.stderr


def test_a_report_on_other_photos_states_of_them_only(desk, tmp_path):
    done = model_maker(
        "evaluate", desk / "flowers_model", "--data", desk / "flowers", "--report", "page.html", cwd=tmp_path
    )
    page = (tmp_path / "page.html").read_text()
    assert done.returncode == 0 and f"on {5 * 12} test photos" in page
    assert not {"Shipped against float", "Fitting the head"} & set(re.findall("<h2>(.*?)</h2>", page))


def test_evaluate_says_when_the_photos_have_changed(desk, tmp_path):
    data = shutil.copytree(desk / "flowers", tmp_path / "flowers")
    model = shutil.copytree(desk / "flowers_model", tmp_path / "model")
    record = json.loads((model / "run.json").read_text())
    (model / "run.json").write_text(json.dumps(record | {"data": str(data)}))
    sample_data.picture("rose", 99).save(data / "rose/new.jpg")
    done = model_maker("evaluate", model, cwd=tmp_path)
    assert done.returncode == 0
    assert "have changed since training" in said(done)[1]


def test_predict_names_labels(desk):
    done = model_maker("predict", "flowers_model", "flowers/tulip", "--top-k", "1", "--json", cwd=desk)
    rows = json.loads(done.stdout)
    assert [row["photo"] for row in rows] == [f"flowers/tulip/tulip_{n:03}.jpg" for n in range(12)]
    assert all(len(row["predictions"]) == 1 and 0 <= row["predictions"][0]["score"] <= 1 for row in rows)
    # Most of these were trained on; a model that knew nothing would name one of five at random.
    assert sum(row["predictions"][0]["label"] == "tulip" for row in rows) > 12 / 2


def test_predict_reads_stdin_and_writes_csv(desk):
    photo = (desk / "flowers/rose/rose_000.jpg").read_bytes()
    piped = model_maker("predict", "flowers_model", "-", "--csv", "--top-k", "5", cwd=desk, stdin=photo)
    named = model_maker("predict", "flowers_model", "flowers/rose/rose_000.jpg", "--csv", "--top-k", "5", cwd=desk)
    rows, others = (list(csv.DictReader(io.StringIO(said(done)[0]))) for done in (piped, named))
    assert [row["photo"] for row in rows] == ["-"] * 5
    assert [(r["rank"], r["label"], r["score"]) for r in rows] == [(r["rank"], r["label"], r["score"]) for r in others]
    assert sum(float(row["score"]) for row in rows) == pytest.approx(1, abs=5 / 256)  # five roundings to 1/256


def test_predict_threshold_leaves_low_scores_out(desk):
    done = model_maker(
        "predict", "flowers_model", "flowers/rose", "--top-k", "5", "--threshold", "0.3", "--json", cwd=desk
    )
    scores = [entry["score"] for row in json.loads(done.stdout) for entry in row["predictions"]]
    assert scores and min(scores) >= 0.3


def test_predict_fetches_addresses(desk):
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=desk / "flowers")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{server.server_address[1]}"
        done = model_maker(
            "predict", "flowers_model", f"{base}/rose/rose_001.jpg", f"{base}/none.jpg", "--json", cwd=desk
        )
        server.shutdown()
    local = model_maker("predict", "flowers_model", "flowers/rose/rose_001.jpg", "--json", cwd=desk)
    found, missing = json.loads(done.stdout)
    assert found["predictions"] == json.loads(local.stdout)[0]["predictions"]
    assert "404" in missing["error"] and done.returncode == 1


def test_predict_goes_on_past_a_bad_photo(desk, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 broken")
    done = model_maker(
        "predict",
        "flowers_model",
        tmp_path / "broken.jpg",
        "none.jpg",
        "x" * 300,
        "http://[bad",
        "-",
        "flowers/rose/rose_000.jpg",
        cwd=desk,
        stdin=b"",
    )
    out, err = said(done)
    assert done.returncode == 1
    assert "rose_000.jpg" in out
    assert len(err.splitlines()) == 5 and "no such file" in err
    assert "File name too long" in err and "http://[bad: cannot be fetched" in err and "-: empty file" in err


def test_inspect_states_edges_operators_labels(desk):
    done = model_maker("inspect", "flowers_model", "--json", cwd=desk)
    facts = json.loads(done.stdout)
    [image] = facts["inputs"]
    assert (image["shape"], image["dtype"]) == ([1, 224, 224, 3], "uint8")
    assert (image["scale"], image["zero_point"]) == (1 / 128, 127)
    assert facts["metadata"]["labels"] == ["daisy", "dandelion", "rose", "sunflower", "tulip"]
    assert facts["operators"]["CONV_2D"] == 33  # stem, head, 15 expansions, 16 projections
    assert facts["operators"]["DEPTHWISE_CONV_2D"] == 16
    assert "CONV_2D" in said(model_maker("inspect", "flowers_model", cwd=desk))[0]


def test_models_lists_the_registry(tmp_path):
    rows = json.loads(model_maker("models", "--json", cwd=tmp_path).stdout)
    assert {row["name"]: row["image_size"] for row in rows}.items() >= {
        ("efficientnet_lite0", 224),
        ("efficientnet_lite1", 240),
        ("efficientnet_lite2", 260),
    }
    table = said(model_maker("models", cwd=tmp_path))[0]
    assert all(row["name"] in table for row in rows)


def test_augment_draws_a_sheet(desk, tmp_path):
    sheet = tmp_path / "sheet.png"
    options = ("--preview", sheet, "--photos", "3", "--views", "2", "--preset", "light")
    out, _ = said(model_maker("augment", "flowers", *options, cwd=desk))
    with Image.open(sheet) as image:
        assert image.format == "PNG" and f"({image.width} x {image.height} pixels, preset light)" in out
    first = sheet.read_bytes()
    done = model_maker("augment", "flowers", *options, "--seed", "1", "--overwrite", "--json", cwd=desk)
    assert json.loads(done.stdout)["path"] == str(sheet) and sheet.read_bytes() != first


def test_sample_data_draws_and_refuses_to_draw_over(tmp_path):
    done = model_maker("sample-data", "pictures", "--per-class", "2", "--json", cwd=tmp_path)
    assert json.loads(done.stdout)["pictures"] == 10 == len(list(tmp_path.glob("pictures/*/*.jpg")))
    again = model_maker("sample-data", "pictures", cwd=tmp_path)
    assert again.returncode == 1 and "already exists" in said(again)[1]


@pytest.mark.parametrize("columns", ["80", "120"])
@pytest.mark.parametrize("command", [("models",), ("inspect", "flowers_model"), ("evaluate", "flowers_model")])
def test_tables_fit_the_terminal(desk, command, columns):
    out, _ = said(model_maker(*command, cwd=desk, columns=columns))
    assert max(len(line) for line in out.splitlines()) <= int(columns)
