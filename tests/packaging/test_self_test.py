"""Self-tests: written and read, honest kernels pass on 200 models, planted wrong delegates fail on all of them."""

import functools
import io
import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from tiny_network import residual_network

import model_maker
from model_maker import cli
from model_maker.data import calibration_pictures, images
from model_maker.errors import ModelError
from model_maker.inference.classifier import FileClassifier
from model_maker.normalization import Normalization
from model_maker.packaging import self_test
from model_maker.packaging.self_test import SelfTest, Trial
from model_maker.tflite import graph, metadata, quantize, vetting, zip_files
from model_maker.tflite.interpreter import LiteRTRunner

PIXELS, SIDE, CLASSES, MODELS = Normalization(127.0, 128.0), 16, 5, 200


@pytest.fixture(scope="module")
def pictures():
    drawn = calibration_pictures.drawings(20)
    return np.stack([images.resize(picture.convert("RGB"), SIDE) for picture in drawn])


def model(number, pictures):
    """An int8 classifier of random weights, whose scores differ between pictures as those of a trained one do."""
    random = np.random.default_rng(number)
    body = residual_network(seed=number)
    runner = LiteRTRunner(body)
    features = np.array([runner.run(PIXELS(picture[None]))[0] for picture in pictures])
    directions = random.normal(size=(CLASSES, features.shape[1]))
    kernel = 2 * directions / (np.std((features - features.mean(0)) @ directions.T, axis=0)[:, None] + 1e-6)
    whole = graph.attach_head(body, kernel, -kernel @ features.mean(0))
    calibrator = quantize.Calibrator(whole)
    calibration = quantize.combine([calibrator.observe(PIXELS(picture[None])) for picture in pictures])
    content = quantize.quantize(whole, "int8", normalization=PIXELS, calibration=calibration)
    content = graph.set_io(content, "uint8", mean=PIXELS.mean, std=PIXELS.std)
    content = metadata.write(content, metadata.ModelInfo(tuple("abcde"), PIXELS, name="tiny"))
    vetting.trust(content)  # a child process that tries it would take longer than all the rest
    return content


# What delegates were seen to do: scores of another picture, channels swapped, an operator left out, nothing, NaN.
WRONG = {
    "the last picture's scores": lambda honest, pictures: honest(np.roll(pictures, 1, axis=0)),
    "channels swapped": lambda honest, pictures: honest(pictures[..., ::-1]),
    "labels in another order": lambda honest, pictures: np.roll(honest(pictures), 1, axis=1),
    "the same for all": lambda honest, pictures: np.repeat(honest(pictures[:1]), len(pictures), axis=0),
    "zeros": lambda honest, pictures: 0 * honest(pictures),
    "not a number": lambda honest, pictures: np.nan * honest(pictures),
}


@pytest.fixture
def drawn_once(monkeypatch):
    """Each model is tried on the same drawings."""
    draw = calibration_pictures.drawings
    monkeypatch.setattr(calibration_pictures, "drawings", functools.cache(lambda number: tuple(draw(number))))


@pytest.mark.slow
@pytest.mark.usefixtures("drawn_once")
def test_honest_kernels_pass_and_wrong_delegates_fail_on_200_models(pictures):
    false, missed, without = [], [], []
    for number in range(MODELS):
        content = model(number, pictures)
        try:
            test = self_test.get(self_test.put(content, self_test.make(content)))
        except ModelError as error:
            assert "a self-test would prove nothing" in str(error)
            without.append(number)
            continue
        kernels = self_test.kernels(content)
        honest = kernels["xnnpack"]
        false += [(number, trial) for trial in self_test.run(test, kernels) if not trial.passed]
        doubles = {name: functools.partial(wrong, honest) for name, wrong in WRONG.items()}
        missed += [(number, trial) for trial in self_test.run(test, doubles) if trial.passed]
    assert false == []
    assert missed == []
    assert len(without) <= MODELS // 50


def test_a_file_carries_its_self_test_and_runs_as_before(make_tiny_model):
    content = make_tiny_model()
    test = self_test.make(content)
    carrying = self_test.put(content, test)
    found = self_test.get(carrying)
    np.testing.assert_array_equal(found.pictures, test.pictures)
    np.testing.assert_allclose(found.scores, test.scores, atol=5e-7)  # six digits
    assert found.tolerance == test.tolerance >= self_test.TOLERANCE and self_test.get(content) is None
    assert metadata.read(carrying) == metadata.read(content)
    assert self_test.added(carrying) == carrying
    # A second reader: the pictures are plain PNG, and the scores those of the file.
    with zipfile.ZipFile(io.BytesIO(carrying)) as archive:
        shown = [np.asarray(Image.open(archive.open(f"self_test_{index}.png"))) for index in range(8)]
        rows = archive.read("self_test.csv").decode().splitlines()[1:]
        assert all(entry.compress_type == zipfile.ZIP_STORED for entry in archive.infolist())
    expected = [next(iter(FileClassifier(carrying).scores([picture]))) for picture in shown]
    np.testing.assert_allclose(np.array([row.split(",") for row in rows], float), expected, atol=5e-7)


def test_the_fastest_delegate_that_passes_is_kept():
    trials = [
        Trial("GPU", passed=False, deviation=0.4, latency_ms=1.0),
        Trial("CPU", passed=True, deviation=0.0, latency_ms=7.0),
        Trial("NNAPI", passed=True, deviation=0.01, latency_ms=3.0),
        Trial("NPU", passed=False, why="not here"),
    ]
    assert self_test.fastest(trials).delegate == "NNAPI" and self_test.fastest(trials[:1]) is None


def test_what_does_not_run_says_why():
    test = SelfTest(np.zeros((8, 4, 4, 3), np.uint8), np.full((8, 2), 0.5, np.float32), 0.1)

    def broken(pictures):
        raise ModelError("no such operator")

    there, absent, shape = self_test.run(
        test, {"a": broken, "b": ModelError("no GPU"), "c": lambda pictures: np.zeros((len(pictures), 3))}
    )
    assert (there.passed, there.why) == (False, "no such operator") and (absent.passed, absent.why) == (False, "no GPU")
    assert not shape.passed and shape.as_dict()["deviation"] is None


def test_the_deviation_is_the_mean_of_each_pictures_largest():
    scores = np.full((8, 2), 0.5, np.float32)
    found = scores.copy()
    found[0] = (0.9, 0.1)
    assert SelfTest(np.zeros((8, 4, 4, 3), np.uint8), scores, 0.1).deviation(found) == pytest.approx(0.4 / 8)


@pytest.mark.parametrize(
    "damage",
    [
        {"self_test.csv": b"0.1"},
        {"self_test.csv": b"x\n" + b"0.5,0.5,0\n" * 8},
        {"self_test.csv": b"0.1\n" + b"nan,0.5,0\n" * 8},
        {"self_test.csv": b"\xff"},
        {"self_test_3.png": b"no picture"},
        {"self_test_3.png": None},
    ],
)
def test_a_damaged_self_test_is_one_clear_line(make_tiny_model, damage):
    content = make_tiny_model()
    carrying = self_test.put(content, self_test.make(content))
    with zipfile.ZipFile(io.BytesIO(carrying)) as archive:
        kept = {name: archive.read(name) for name in self_test.names()} | damage
    damaged = zip_files.append(content, {name: data for name, data in kept.items() if data is not None})
    with pytest.raises(ModelError, match="self-test is damaged: .*export --self-test"):
        self_test.get(damaged)


@pytest.fixture(scope="module")
def proven(drawn_flowers, lite0, tmp_path_factory):
    return model_maker.train(drawn_flowers, tmp_path_factory.mktemp("proven") / "model", self_test=True).directory


@pytest.mark.slow
def test_train_and_export_write_it_and_verify_runs_it(proven, trained, tmp_path, capsys):
    with_test, without = ((folder / "model.tflite").read_bytes() for folder in (proven, trained["uint8"]))
    growth = len(with_test) - len(without)
    assert 100_000 < growth < 300_000  # stated as about 0.2 MB
    found = model_maker.verify(proven)
    assert [trial.delegate for trial in found.self_test] == ["xnnpack", "none", "reference"]
    assert found.failures == [] and all(trial.passed for trial in found.self_test)
    assert (
        cli.main(
            cli.parse(
                ["model_maker", "export", str(proven), "--format", "tflite-float16", "--output", str(tmp_path / "half")]
            )
        )
        == 0
    )
    half = (tmp_path / "half/tflite-float16/model.tflite").read_bytes()
    assert self_test.get(half) is not None  # because the model has one
    assert model_maker.verify(trained["uint8"]).self_test == ()
    model_maker.put_in_app(trained["uint8"], tmp_path / "app", "android", self_test=True)
    assert self_test.get((tmp_path / "app/app/src/main/assets/model.tflite").read_bytes()) is not None


@pytest.mark.slow
def test_verify_fails_a_file_whose_scores_are_not_reproduced(proven, tmp_path, capsys):
    content = (proven / "model.tflite").read_bytes()
    test = self_test.get(content)
    other = self_test.put(
        metadata.write(content, metadata.read(content)), replace(test, scores=np.roll(test.scores, 1, axis=0))
    )
    (tmp_path / "other.tflite").write_bytes(other)
    data = json.loads((proven / "run.json").read_text(encoding="utf-8"))["data"]
    found = model_maker.verify(tmp_path / "other.tflite", data=data)
    assert len([line for line in found.failures if line.startswith("The self-test fails on ")]) == 3
    assert found.as_dict()["self_test"][0]["passed"] is False
