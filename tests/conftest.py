"""What several test modules need: a cache of their own, shared photos and weights, embedders, photos, a phone."""

import hashlib
import os
import shutil
import signal
import subprocess
from pathlib import Path

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from checkout import HELPERS
from hypothesis import settings
from loopback_device import LoopbackDevice, adb_server
from PIL import Image
from scheduling import ByModule, longest_first
from shared_folder import SHARED
from tiny_network import residual_network

import model_maker
from model_maker import backbones
from model_maker.backbones import embedder, int8_backbone
from model_maker.backbones.embedder import Embedder
from model_maker.data import sample_data
from model_maker.demo import static_site
from model_maker.embeddings.store import EmbeddingStore, FeatureMaps
from model_maker.normalization import Normalization
from model_maker.system import extras, locks
from model_maker.system.extras import EXTRAS
from model_maker.tflite import graph, metadata, quantize

# No deadline, for shared machines stall; derandomized, so that a run tells of the code and not of the dice.
settings.register_profile("model_maker", deadline=None, derandomize=True, database=None)
settings.load_profile("model_maker")


# Edges of the models that many tests share.
TRAINED = ("uint8", "float32")
# Importing their packages takes longer than most tests.
SLOW_EXTRAS = ("tensorflow", "kaggle", "coreml", "ray")


def pytest_collection_modifyitems(items):
    """Marks tests that start one of SLOW_EXTRAS as slow, and puts the longest first."""
    for item in items:
        if any(item.get_closest_marker(extra) for extra in SLOW_EXTRAS):
            item.add_marker("slow")
    longest_first(items)


@pytest.hookimpl(optionalhook=True)  # xdist's
def pytest_xdist_make_scheduler(config, log):
    """Keeps a module's tests on one worker."""
    return ByModule(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Skips a test with the mark of an extra that is not installed, before its fixtures are made.

    `@pytest.mark.verify("mediapipe")` needs that package of the extra only.
    """
    for extra, modules in EXTRAS.items():
        for mark in item.iter_markers(extra):
            if line := extras.lacking(*(mark.args or modules), what="It"):
                pytest.skip(line)


@pytest.fixture(scope="session")
def session_folder(tmp_path_factory):
    """A folder that all workers of this test session share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session", autouse=True)
def cache(session_folder):
    """The cache directory of this test session: never the user's, and each backbone is built in it only once.

    MODEL_MAKER_TEST_CACHE names one that is kept between sessions, to save the building.
    """
    folder = Path(os.environ.get("MODEL_MAKER_TEST_CACHE") or session_folder / "cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODEL_MAKER_CACHE", str(folder))
        yield folder


@pytest.fixture
def own_cache(cache, tmp_path_factory, monkeypatch):
    """For what overwrites embeddings: a cache that shares backbones alone with tests that train on the same photos."""
    folder = tmp_path_factory.mktemp("own") / "cache"
    shutil.copytree(cache / "backbones", folder / "backbones", ignore=shutil.ignore_patterns(".*"))
    monkeypatch.setenv("MODEL_MAKER_CACHE", str(folder))
    return folder


@pytest.fixture(scope="session", autouse=True)
def lean_keras():
    """Lets processes that tests start load TensorFlow without what Keras imports only because it is there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(HELPERS / "lean_keras"), prepend=os.pathsep)
        yield


@pytest.fixture(scope="session", autouse=True)
def ctrl_c():
    """Lets ctrl-C through to this process and its children, which a job started in the background ignores."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    """A cache directory for one test, which does not exist yet."""
    folder = tmp_path / "empty_cache"
    monkeypatch.setenv("MODEL_MAKER_CACHE", str(folder))
    return folder


def _shared(name):
    folder = SHARED / name
    if not folder.is_dir():
        pytest.skip(f"no folder {folder} (MODEL_MAKER_SHARED names another place)")
    return folder


@pytest.fixture(scope="session")
def shared_data():
    return _shared("data")


@pytest.fixture(scope="session")
def shared_weights():
    return _shared("weights")


@pytest.fixture(scope="session")
def base0(cache):
    """EfficientNet-Lite0 as an Embedder."""
    return embedder.embedder(backbones.get("efficientnet_lite0"))


@pytest.fixture(scope="session")
def lite0(base0):
    """The real EfficientNet-Lite0 embedder, float32 [1, 224, 224, 3] to [1, 1280]."""
    return base0.content


@pytest.fixture(scope="session")
def int8_lite0(base0):
    """Its int8 form, from the recipe in the package."""
    return int8_backbone.int8_backbone(base0, [])


@pytest.fixture(scope="session")
def tiny_base():
    """A network of five blocks, random weights, as an Embedder of 16 x 16 pixels."""
    return Embedder("tiny", residual_network(), PIXELS, 16, "")


@pytest.fixture(scope="session")
def tiny_photos(tmp_path_factory):
    """40 PNGs of 16 x 16 pixels in fields of random colours."""
    folder, random = tmp_path_factory.mktemp("tiny"), np.random.default_rng(8)
    for number in range(40):
        fields = random.integers(0, 256, (4, 4, 3), np.uint8)
        Image.fromarray(fields.repeat(4, 0).repeat(4, 1)).save(folder / f"{number:02}.png")
    return sorted(folder.iterdir())


@pytest.fixture(scope="session")
def tiny_int8(tiny_base, tiny_photos):
    """The int8 form of the tiny network, calibrated on all its photos."""
    return int8_backbone.calibrated(tiny_base, tiny_photos)


@pytest.fixture(scope="session")
def make_embedder():
    """make_embedder(size, kernel, bias): a float embedder without TensorFlow, float32 [1, size, size, 3] to [1, D].

    It is the mean over all pixels, after a convolution (stride 1, "same" padding) when a kernel [D, h, w, 3] is given.
    """
    return _make_embedder


@pytest.fixture(scope="session")
def tiny_embedder():
    """The mean colour: float32 [1, 8, 8, 3] to [1, 3]."""
    return _make_embedder(8)


@pytest.fixture(scope="session")
def conv_embedder():
    """Sixteen seeded 3x3 filters and their mean: float32 [1, 8, 8, 3] to [1, 16]."""
    kernel = np.random.default_rng(0).normal(size=(16, 3, 3, 3)).astype(np.float32)
    return _make_embedder(8, kernel)


@pytest.fixture
def stored(tmp_path):
    """stored(values, step): embeddings, [N, F] or [N, K, F], in a store, in a random order as growing data leave it."""

    def put(values, step=1.0):
        views = values if values.ndim == 3 else values[:, None]
        number, count, size = views.shape
        store = EmbeddingStore(tmp_path / f"{len(list(tmp_path.iterdir()))}.vectors", size, views.dtype)
        order = np.random.default_rng(1).permutation(number * count)
        names = np.frombuffer(np.arange(4 * number * count, dtype="<u8").tobytes(), "V32")
        store.append(names[order], views.reshape(-1, size)[order])
        return FeatureMaps(store, store.find(names).reshape(number, count), (size,), step)

    return put


@pytest.fixture(scope="session")
def make_photos():
    """make_photos(folder, {"red": 4, "blue": 5}): PNGs of noise around one colour a class, all different."""
    return _make_photos


def _make_photos(folder, counts, *, side=12, seed=0):
    paths = []
    for name, count in counts.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            # Seeded by name and number: a larger set begins with the smaller one.
            colour = np.frombuffer(hashlib.sha256(name.encode()).digest()[:3], np.uint8).astype(int)
            key = int.from_bytes(hashlib.sha256(f"{seed}/{name}/{number}".encode()).digest()[:8], "big")
            noise = np.random.default_rng(key).integers(-40, 41, (side, side, 3))
            paths.append(folder / name / f"{number:03}.png")
            Image.fromarray(np.clip(colour + noise, 0, 255).astype(np.uint8)).save(paths[-1])
    return paths


def _make_embedder(size, kernel=None, bias=None):
    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.description = 3, b"test embedder"
    model.buffers, model.operatorCodes, model.subgraphs = [schema.BufferT()], [], [graph]
    graph.tensors, graph.operators = [], []

    def tensor(name, shape, data=None):
        entry = schema.TensorT()
        entry.name, entry.shape, entry.buffer = name.encode(), list(shape), 0
        entry.type = schema.TensorType.FLOAT32 if data is None or data.dtype == np.float32 else schema.TensorType.INT32
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(data.tobytes(), np.uint8)
            model.buffers.append(buffer)
            entry.buffer = len(model.buffers) - 1
        graph.tensors.append(entry)
        return len(graph.tensors) - 1

    def operator(name, options, inputs, output):
        code, entry = schema.OperatorCodeT(), schema.OperatorT()
        code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, name)
        code.version = 1
        model.operatorCodes.append(code)
        entry.opcodeIndex, entry.inputs, entry.outputs = len(model.operatorCodes) - 1, inputs, [output]
        entry.builtinOptions = options
        entry.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__.removesuffix("T"))
        graph.operators.append(entry)

    image = last = tensor("image", (1, size, size, 3))
    depth = 3
    if kernel is not None:
        depth = len(kernel)
        weights = tensor("kernel", kernel.shape, kernel.astype(np.float32))
        offsets = tensor("bias", (depth,), np.zeros(depth, np.float32) if bias is None else bias.astype(np.float32))
        options = schema.Conv2DOptionsT()
        options.padding, options.strideW, options.strideH = schema.Padding.SAME, 1, 1
        options.dilationWFactor = options.dilationHFactor = 1
        last = tensor("features", (1, size, size, depth))
        operator("CONV_2D", options, [image, weights, offsets], last)
    axes = tensor("axes", (2,), np.array([1, 2], np.int32))
    embedding = tensor("embedding", (1, depth))
    options = schema.ReducerOptionsT()
    options.keepDims = False
    operator("MEAN", options, [last, axes], embedding)
    graph.inputs, graph.outputs = [image], [embedding]

    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = b"serving_default", 0
    for ends, name, index in (("inputs", b"image", image), ("outputs", b"embedding", embedding)):
        entry = schema.TensorMapT()
        entry.name, entry.tensorIndex = name, index
        setattr(signature, ends, [entry])
    model.signatureDefs = [signature]

    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


PIXELS = Normalization(mean=127.0, std=128.0)  # EfficientNet-Lite's


@pytest.fixture(scope="session")
def float_classifier(conv_embedder):
    """The 16 filters and a seeded head of three classes: a float classifier without metadata."""
    random = np.random.default_rng(1)
    return graph.attach_head(conv_embedder, random.normal(size=(3, 16)), random.normal(size=3))


@pytest.fixture(scope="session")
def noise_photos():
    """uint8 [20, 1, 8, 8, 3]."""
    return np.random.default_rng(2).integers(0, 256, (20, 1, 8, 8, 3), np.uint8)


@pytest.fixture(scope="session")
def calibrated(float_classifier, noise_photos):
    """What all the photos of noise tell of its activations, so that nothing is clipped."""
    calibrator = quantize.Calibrator(float_classifier)
    return quantize.combine([calibrator.observe(PIXELS(photo)) for photo in noise_photos])


@pytest.fixture(scope="session")
def make_tiny_model(float_classifier, calibrated):
    """make_tiny_model(kind="int8", io="uint8", labels=...): the float classifier, quantized, labeled."""

    def make(kind="int8", io="uint8", labels=("a", "b", "ü"), kept=None):
        content = quantize.quantize(float_classifier, kind, normalization=PIXELS, calibration=calibrated, kept=kept)
        content = graph.set_io(content, io, mean=PIXELS.mean, std=PIXELS.std)
        return metadata.write(content, metadata.ModelInfo(labels, PIXELS, name="tiny"))

    return make


@pytest.fixture(scope="session")
def made_once(session_folder):
    """made_once(name, make): the folder of that name, which make(folder) fills once for all workers."""

    def get(name, make):
        folder, lock = session_folder / name, session_folder / f"{name}.lock"
        with locks.locked(lock) as done:
            if not done.seek(0, os.SEEK_END):
                shutil.rmtree(folder, ignore_errors=True)
                make(folder)
                done.write(b"done")
        return folder

    return get


@pytest.fixture(scope="session")
def drawn_flowers(made_once):
    """Twelve drawings of each of five flowers; tests leave them as they are, as all that workers share."""
    return made_once("drawn", lambda folder: sample_data.draw(folder / "flowers", per_class=12)) / "flowers"


@pytest.fixture(scope="session")
def trained(drawn_flowers, lite0, made_once):
    """{io: folder that `train` made of the drawn flowers}, int8; the second run finds its embeddings in the cache."""

    def make(folder):
        for io in TRAINED:
            model_maker.train(drawn_flowers, folder / io, io=io)

    folder = made_once("trained", make)
    return {io: folder / io for io in TRAINED}


@pytest.fixture(scope="module")
def adb(tmp_path_factory):
    """The real adb client, talking to a server of our own."""
    path = shutil.which("adb")
    if path is None:
        pytest.skip("adb is not installed")
    with adb_server(Path(path), tmp_path_factory.mktemp("home")):
        yield Path(path)


@pytest.fixture
def attach(adb, tmp_path):
    """attach(**settings): a LoopbackDevice, until the test ends."""
    devices = []

    def make(**settings) -> LoopbackDevice:
        root = tmp_path / f"device{len(devices)}"
        root.mkdir()
        devices.append(LoopbackDevice(root, **settings))
        return devices[-1]

    yield make
    for device in devices:
        subprocess.run([adb, "disconnect", device.serial], capture_output=True, timeout=20, check=False)
        device.stop()


@pytest.fixture(scope="session")
def runtime():
    """LiteRT.js, which the demo page runs models with."""
    if not static_site.has_runtime():
        pytest.skip("no LiteRT.js (make runtime)")
