"""Hostile input never hurts: whatever a file holds, all that comes of it is a result or a ModelMakerError.

A few hundred cases by default; MODEL_MAKER_FUZZ_CASES says how many, in all. TensorFlow's formats, each case of which
takes as long as importing it, take part in long runs only.
"""

import collections
import os
import struct
import warnings

import fuzz_formats
import fuzz_models
import pytest
from fuzz_photos import mended, photos
from fuzz_worker import Worker
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from shared_folder import SHARED

pytestmark = pytest.mark.slow

PHOTOS = photos()
PUBLISHED = ("automl_labeler_model.tflite", "mobilenet_v1_0.25_128_quant.tflite")
CASES = int(os.environ.get("MODEL_MAKER_FUZZ_CASES") or 600)
LONG = CASES > 2000
# Numbers at which arithmetic on sizes and offsets turns over.
EDGES = [0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF]


class Findings:
    """Counts what became of cases, and keeps the smallest of each kind that must not be."""

    def __init__(self, worker, folder, allowed):
        self._worker, self._folder, self._allowed = worker, folder, allowed
        self._counts, self._worst, self._slowest = collections.Counter(), {}, (0.0, b"")

    def attempt(self, content):
        found = self._worker.attempt(content)
        outcome = found["outcome"]
        self._counts[outcome if outcome in self._allowed else "wrong"] += 1
        self._slowest = max(self._slowest, (found.get("seconds", 0), content))
        if outcome not in self._allowed and len(content) < len(self._worst.get(outcome, (None, bytes(1 << 24)))[1]):
            self._worst[outcome] = (found, content)

    def check(self):
        """Prints the figures and fails with all findings; the files that lead to them are kept."""
        (self._folder / "slowest").write_bytes(self._slowest[1])
        print(dict(self._counts), f"slowest {self._slowest[0]:.2f} s ({self._folder / 'slowest'})")
        lines = []
        for number, (outcome, (_, content)) in enumerate(self._worst.items()):
            (self._folder / f"finding_{number}").write_bytes(content)
            lines.append(f"{self._folder / f'finding_{number}'}: {outcome[-1500:]}")
        assert not lines, "\n".join(lines)


def fuzzed(share, strategy, findings):
    """Gives cases of a strategy to the findings' worker; all of them, as one finding should not hide others."""

    @settings(max_examples=max(1, int(CASES * share)), phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(content=strategy)
    def attempt(content):
        findings.attempt(content)

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Duplicate name")  # of zip entries, which is meant
        attempt()
    findings.check()


def damage(content):
    """A strategy: one to three hurts, more of them near the beginning, where headers are."""
    place = st.floats(0, 1, exclude_max=True)
    near = place.map(lambda x: x**2)
    hurt = st.one_of(
        st.tuples(st.just("set"), near, st.integers(0, 255)),
        st.tuples(st.just("flip"), place, st.integers(0, 7)),
        st.tuples(st.just("word"), near, st.sampled_from(EDGES), st.sampled_from(["<I", ">I", "<H", ">H"])),
        st.tuples(st.just("cut"), place),
        st.tuples(st.just("remove"), near, st.integers(1, 64)),
        st.tuples(st.just("repeat"), near, st.integers(1, 64), st.integers(1, 40)),
        st.tuples(st.just("insert"), near, st.binary(min_size=1, max_size=16)),
    )
    return st.lists(hurt, min_size=1, max_size=3).map(lambda hurts: _hurt(content, hurts))


def _hurt(content, hurts):
    found = bytearray(content)
    for kind, place, *how in hurts:
        at = int(place * len(found))
        if kind == "cut":
            del found[at:]
        elif not found:
            continue
        elif kind == "set":
            found[at] = how[0]
        elif kind == "flip":
            found[at] ^= 1 << how[0]
        elif kind == "word":
            value, form = how
            size = struct.calcsize(form)
            found[at : at + size] = struct.pack(form, value & (256**size - 1))
        elif kind == "remove":
            del found[at : at + how[0]]
        elif kind == "repeat":
            length, times = how
            found[at:at] = found[at : at + length] * times
        elif kind == "insert":
            found[at:at] = how[0]
    return bytes(found)


HURTS = (damage, fuzz_models.edited, fuzz_models.edited, fuzz_models.described, fuzz_models.archived)


@pytest.fixture(scope="module")
def viewer():
    with Worker("image") as worker:
        yield worker


@pytest.mark.parametrize("kind", PHOTOS)
def test_photos_are_sound_before_they_are_damaged(viewer, kind):
    assert viewer.attempt(PHOTOS[kind])["outcome"] == "fine"


def test_damaged_photos_are_read_or_refused(viewer, tmp_path):
    real = [path.read_bytes() for path in sorted(SHARED.glob("data/flowers/*/*.jpg"))[::100] if LONG]
    hurt = st.sampled_from([*PHOTOS.values(), *real]).flatmap(damage)
    cases = st.one_of(hurt, hurt.map(mended))
    fuzzed(0.5, cases, Findings(viewer, tmp_path, ("fine", "refused")))


@pytest.fixture(scope="module")
def runner():
    with Worker("model") as worker:
        yield worker


@pytest.fixture(scope="module")
def models(make_tiny_model):
    """Small ones of our own and, in long runs, published ones where they are: of other tools, larger, and slower."""
    made = [make_tiny_model(), make_tiny_model("none", "float32"), make_tiny_model("dynamic", "float32")]
    published = [SHARED / "weights" / "tflite" / name for name in PUBLISHED]
    return made + [path.read_bytes() for path in published if LONG and path.exists()]


def test_models_are_sound_before_they_are_damaged(runner, models):
    assert {runner.attempt(content)["outcome"] for content in models} == {"fine"}


def test_damaged_models_are_run_or_refused(runner, models, tmp_path):
    hurt = st.sampled_from(models).flatmap(lambda model: st.one_of([how(model) for how in HURTS]))
    fuzzed(0.3, hurt, Findings(runner, tmp_path, ("fine", "refused", "stopped")))


@pytest.mark.parametrize("label", ["\x1b[2J", "\x9b1m", "\x07", "[/red]", "[link=file:///x]", "\u202e", "\\"])
def test_labels_do_not_steer_the_terminal(runner, make_tiny_model, label):
    assert runner.attempt(make_tiny_model(labels=("a", f"b{label}c", "d")))["outcome"] == "fine"


@pytest.mark.parametrize("metrics", ["5", "[1]", '{"top1": "all"}', '{"top1": 1e400}', "null"])
def test_figures_that_are_none_do_not_end_a_command(runner, make_tiny_model, metrics):
    found = runner.attempt(fuzz_models.with_figures(make_tiny_model(), metrics))
    assert found["outcome"] == "fine", found


@pytest.fixture(scope="module")
def reader():
    with Worker("data") as worker:
        yield worker


DATA = {**fuzz_formats.archives(), **fuzz_formats.lists()}


def with_pictures(name, content):
    """What stands in a folder: an archive alone, a list beside its pictures."""
    return {name: content} if name in fuzz_formats.archives() else {**fuzz_formats.PICTURES, name: content}


@pytest.mark.parametrize("name", sorted(DATA.keys() - {"odd.tar"}))
def test_data_sets_are_sound_before_they_are_damaged(reader, name):
    found = reader.attempt(fuzz_formats.case(with_pictures(name, DATA[name]), name))
    assert found["outcome"] == "fine", found


def test_damaged_data_sets_are_read_or_refused(reader, tmp_path):
    def hurt(name):
        ways = [damage(DATA[name])] + [fuzz_formats.worded(DATA[name])] * (name in fuzz_formats.lists())
        return st.one_of(ways).map(lambda content: fuzz_formats.case(with_pictures(name, content), name))

    fuzzed(0.15, st.sampled_from(sorted(DATA)).flatmap(hurt), Findings(reader, tmp_path, ("fine", "refused")))


@pytest.fixture(scope="module")
def foreign():
    with Worker("foreign") as worker:
        yield worker


def fuzz_foreign(foreign, tmp_path, share, files, target):
    found = foreign.attempt(fuzz_formats.case(files, target))
    assert found["outcome"] == "fine", found
    hurt = fuzz_formats.damaged(files, target, damage, fuzz_formats.edited_model)
    fuzzed(share, hurt, Findings(foreign, tmp_path, ("fine", "refused")))


@pytest.mark.onnx
def test_damaged_onnx_models_are_run_or_refused(foreign, tmp_path):
    fuzz_foreign(foreign, tmp_path, 0.02 if LONG else 0.003, fuzz_formats.onnx_files(), "model.onnx")


@pytest.mark.openvino
def test_damaged_openvino_models_are_run_or_refused(foreign, tmp_path):
    (tmp_path / "sound").mkdir()
    files = fuzz_formats.openvino_files(tmp_path / "sound")
    fuzz_foreign(foreign, tmp_path, 0.02 if LONG else 0.003, files, "model.xml")


if LONG:

    @pytest.fixture(scope="module")
    def tensorflow_models(tmp_path_factory):
        return fuzz_formats.tensorflow_files(tmp_path_factory.mktemp("tensorflow"))

    @pytest.mark.tensorflow
    @pytest.mark.parametrize("form", ["keras", "saved_model", "tfjs"])
    def test_damaged_tensorflow_models_are_run_or_refused(foreign, tmp_path, tensorflow_models, form):
        fuzz_foreign(foreign, tmp_path, 0.005, *tensorflow_models[form])
