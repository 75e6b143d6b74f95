"""What the demo page has beside the model: only what is at hand, and only on this machine."""

import dataclasses
import hashlib
import http.client
import json
import shutil

import pytest
from card_values import CONTENT

from model_maker.demo import companions, static_site
from model_maker.demo.page_server import serving
from model_maker.tflite import metadata

REPORT = b"<!doctype html><style>p{}</style><p>Report"
TESTED = ("a/2.jpg", "a/3.jpg", "b/1.png")
POINT = {"score": 0.5, "photos": 4, "answered": 3, "precision": 2 / 3, "precision_interval": [0.5, 1.0]}


@pytest.fixture
def trained_folder(tmp_path, make_tiny_model):
    """A model folder as `train` leaves it, made by hand: of five photos, three are test photos."""
    data, folder = tmp_path / "photos", tmp_path / "photos_model"
    for name in ("a/1.jpg", "a/2.jpg", "a/3.jpg", "b/1.png", "b/2.jpg"):
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).write_bytes(name.encode())
    folder.mkdir()
    info = metadata.read(make_tiny_model())
    stated = dataclasses.replace(info, provenance={"fingerprint": "f", "metrics": {"top1": 0.5}})
    (folder / "model.tflite").write_bytes(metadata.write(make_tiny_model(), stated))
    (folder / "report.html").write_bytes(REPORT)
    (folder / "labels.txt").write_text("a\nb")
    put(folder, "metrics", measured())
    put(folder, "run", {"options": {}, "data": str(data), "fingerprint": "f"})
    digests = [hashlib.sha256(name.encode()).hexdigest()[:16] for name in TESTED]
    put(folder, "split", {"fingerprint": "f", "train": [], "validation": [], "test": digests})
    return folder


def measured(*points, fingerprint="f", **test):
    """The content of metrics.json of a model of four test photos."""
    test = CONTENT["test"] | {"top1": 0.5, "photos": 4} | test
    return CONTENT | {"fingerprint": fingerprint, "test": test, "trade_off": points or [POINT]}


def put(folder, name, content):
    (folder / f"{name}.json").write_text(content if isinstance(content, str) else json.dumps(content))


def about(content):
    return json.loads(content["about.json"])


def samples(folder):
    content = companions.local(folder)
    return [(one["label"], one["name"], content[one["address"]]) for one in about(content)["samples"]]


def test_samples_are_test_photos_one_of_each_class_first(trained_folder):
    assert samples(trained_folder) == [
        ("a", "2.jpg", b"a/2.jpg"),
        ("b", "1.png", b"b/1.png"),
        ("a", "3.jpg", b"a/3.jpg"),
    ]
    assert samples(trained_folder / "model.tflite") == samples(trained_folder)


def test_there_are_eight_at_most(trained_folder):
    data = trained_folder.with_name("photos")
    names = [f"{label}/{number}.jpg" for label in "cdefghijkl" for number in range(2)]
    for name in names:
        (data / name).parent.mkdir(exist_ok=True)
        (data / name).write_bytes(name.encode())
    digests = [hashlib.sha256(name.encode()).hexdigest()[:16] for name in names]
    put(trained_folder, "split", {"fingerprint": "f", "test": digests})
    assert len(samples(trained_folder)) == 8


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("run", "{"),
        ("run", {"options": {}, "data": "s3://bucket/photos", "fingerprint": "f"}),
        ("run", {"options": {}, "data": "/no/such/folder", "fingerprint": "f"}),
        ("split", "[]"),
        ("split", {"test": 3}),
        ("split", {"test": [["x"]]}),
    ],
)
def test_without_photos_at_hand_there_are_none(trained_folder, name, content):
    put(trained_folder, name, content)
    assert samples(trained_folder) == []


def test_another_file_of_the_folder_has_nothing_beside_it(trained_folder):
    shutil.copy(trained_folder / "model.tflite", trained_folder / "other.tflite")
    content = companions.local(trained_folder / "other.tflite")
    assert list(content) == ["about.json"]
    assert [one["address"] for one in about(content)["files"]] == ["model.tflite"]


def test_files_of_the_folder_are_named(trained_folder):
    content = companions.local(trained_folder)
    named = {one["name"]: one["address"] for one in about(content)["files"]}
    assert list(named) == ["model.tflite", "report.html", "metrics.json", "labels.txt", "run.json"]
    for name in ("report.html", "labels.txt", "metrics.json", "run.json"):
        assert content[named[name]] == (trained_folder / name).read_bytes()
    # The report names the model as a file beside it.
    assert content["beside/model.tflite"] == (trained_folder / "model.tflite").read_bytes()


def test_what_ships_has_figures_and_the_model_alone(trained_folder):
    content = companions.shipped(trained_folder)
    assert list(content) == ["about.json"]
    assert about(content) == {
        "files": [{"name": "model.tflite", "title": "Model", "address": "model.tflite"}],
        "samples": [],
        "thresholds": [
            {"score": 0, "photos": 4, "answered": 4, "precision": 0.5},
            {"score": 0.5, "photos": 4, "answered": 3, "precision": pytest.approx(2 / 3)},
        ],
    }


@pytest.mark.parametrize(
    "content",
    [
        "{",
        measured(fingerprint="another"),
        measured(top1=0.25),
        measured(photos=0),
        measured(POINT | {"precision": float("nan")}),
        measured({}),
        CONTENT | {"fingerprint": "f", "test": {"exact_match": 0.5}},
    ],
)
def test_figures_of_another_model_are_not_shown(trained_folder, content):
    put(trained_folder, "metrics", content)
    assert about(companions.shipped(trained_folder))["thresholds"] == []


@pytest.mark.skipif(not static_site.has_runtime(), reason="no LiteRT.js: `make runtime`")
def test_a_static_site_takes_no_photo_along(trained_folder, tmp_path):
    site = static_site.write_site(trained_folder, tmp_path / "site")
    written = {path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()}
    assert not [name for name in written if name.startswith(("beside/", "samples/"))]
    assert {one["address"] for one in json.loads((site / "about.json").read_text())["files"]} <= written


def test_a_page_of_the_folder_reaches_nothing(trained_folder):
    """One that came with a foreign folder, too; the next answer of the connection has the page's own policy."""
    with serving({"index.html": b"<p>"} | companions.local(trained_folder)) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
        policies = {}
        for path in ("/beside/report.html", "/", "/samples/1.png"):
            connection.request("GET", path)
            answer = connection.getresponse()
            policies[path] = answer.headers.get_all("Content-Security-Policy")
            content = answer.read()
        connection.close()
    assert content == b"b/1.png"
    assert answer.headers["Content-Type"] == "image/png"
    [report], [page], [photo] = policies.values()
    assert report.startswith("sandbox allow-downloads allow-scripts; default-src 'none';")
    assert "script-src 'unsafe-inline';" in report
    assert "same-origin" not in report
    assert page == photo
    assert "script-src 'self'" in page
