import dataclasses
import hashlib
import io
import json
import zipfile

import numpy as np
import pytest
from heard import Heard
from tiny_network import residual_network

from model_maker import backbones
from model_maker.backbones import embedder, int8_backbone
from model_maker.backbones.int8_backbone import Int8Backbone
from model_maker.data import images
from model_maker.errors import ModelError
from model_maker.normalization import Normalization
from model_maker.system import files
from model_maker.tflite import graph, inspection, network_layers
from model_maker.tflite.interpreter import LiteRTRunner

WITH_RECIPES = ["efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"]


def recipe_of(name):
    return int8_backbone.RECIPES / f"{name}.npz"


def stored(recipe):
    """The facts of a recipe and its arrays, as the file has them."""
    with np.load(io.BytesIO(recipe.read_bytes()), allow_pickle=False) as content:
        return json.loads(str(content["facts"])), {name: content[name] for name in content.files if name != "facts"}


def activations(base, photos):
    """Every activation of a float network, [N, ...] by name."""
    exposed, names = graph.expose_activations(base.content)
    runner = LiteRTRunner(exposed)
    rows = [runner.run_all(base.normalization(images.load(photo, base.image_size)[None])) for photo in photos]
    return {name: np.concatenate(values) for name, values in zip(names, zip(*rows, strict=True), strict=True)}


# --- recipes ---


def test_each_recipe_is_of_a_backbone_in_a_package():
    # Others are downloaded, so their weights may change under a name.
    packaged = {name for name, one in backbones.BACKBONES.items() if hasattr(one.weights, "package")}
    assert {path.stem for path in int8_backbone.RECIPES.iterdir()} == packaged == set(WITH_RECIPES)


@pytest.mark.parametrize("name", WITH_RECIPES)
def test_a_recipe_gives_the_backbone_that_it_describes(name):
    backbone = backbones.get(name)
    if not backbone.weights.is_here():
        pytest.skip(f"{backbone.weights.distribution} is not installed")
    base = embedder.embedder(backbone)
    facts, _ = stored(recipe_of(name))
    made = int8_backbone.from_recipe(base, recipe_of(name))
    assert hashlib.sha256(base.content).hexdigest() == facts["float_sha256"]
    assert made.digest == hashlib.sha256(made.content).hexdigest() == facts["int8_sha256"]
    assert made.origin == "package" and made.layers[:-1] == tuple(
        dataclasses.replace(layer, factor=one.factor)
        for layer, one in zip(network_layers.find(base.content)[:-1], made.layers, strict=False)
    )
    # Table 1, scaled: outputs of each block, and 1280 of the head. Of Lite1 these are 16, 3 x 24, 3 x 40, 4 x 80, 4 x
    # 112, 5 x 192 and 320, of Lite2 16, 3 x 24, 3 x 48, 4 x 88, 4 x 120, 5 x 208 and 352.
    size = {"efficientnet_lite0": 3088, "efficientnet_lite1": 3536, "efficientnet_lite2": 3736}[name]
    facts = inspection.inspect(made.content)
    assert facts.outputs[0].shape == (1, size) and facts.quantization == "int8"


def test_a_recipe_gives_the_same_bytes_each_time(base0):
    one, other = (int8_backbone.from_recipe(base0, recipe_of(base0.name)) for _ in range(2))
    assert one.content == other.content and one.layers == other.layers


def test_a_recipe_is_not_for_another_size_or_other_weights(base0, tiny_base):
    smaller = embedder.embedder(backbones.get("efficientnet_lite0", image_size=96))
    assert int8_backbone.from_recipe(smaller, recipe_of(base0.name)) is None
    model = graph.parse(base0.content)
    bias = model.subgraphs[0].tensors[graph.find_tensor(model, "head_bias")]
    graph.set_constant(model, bias, graph.constant(model, bias) + np.float32(1e-3))
    tuned = dataclasses.replace(base0, content=graph.pack(model))
    assert int8_backbone.from_recipe(tuned, recipe_of(base0.name)) is None
    assert int8_backbone.from_recipe(tiny_base, recipe_of(base0.name)) is None


@pytest.fixture
def recipe(tiny_base, tiny_photos, tmp_path):
    path = tmp_path / "tiny.npz"
    int8_backbone.write_recipe(tiny_base, tiny_photos, path)
    return path


def test_what_a_recipe_was_written_of_comes_of_it(tiny_base, tiny_photos, tmp_path):
    path = tmp_path / "tiny.npz"
    written = int8_backbone.write_recipe(tiny_base, tiny_photos, path)
    assert int8_backbone.from_recipe(tiny_base, path) == written
    assert written.content == int8_backbone.calibrated(tiny_base, tiny_photos).content
    facts, changes = stored(path)
    assert facts["photos"] == 40 and len(changes) > 5
    assert {array.dtype.kind for array in changes.values()} == {"i"}
    # It holds no weights: only what rounding together changed, few steps at a time.
    kernels = [array for name, array in changes.items() if name.startswith("kernel")]
    assert max(np.abs(array).max() for array in kernels) <= 8


def test_a_recipe_knows_no_photos_and_no_date(tiny_base, tiny_photos, tmp_path):
    for name in ("one.npz", "other.npz"):
        int8_backbone.write_recipe(tiny_base, tiny_photos, tmp_path / name)
    content = (tmp_path / "one.npz").read_bytes()
    assert content == (tmp_path / "other.npz").read_bytes()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        texts = [archive.read(name) for name in archive.namelist()]
    assert not [text for text in texts if str(tiny_photos[0].parent).encode() in text]


def rewritten(recipe, change):
    """Writes a recipe anew, with facts and arrays as a function leaves them."""
    facts, arrays = stored(recipe)
    change(facts, arrays)
    content = io.BytesIO()
    np.savez_compressed(content, facts=np.array(json.dumps(facts)), **arrays)
    recipe.write_bytes(content.getvalue())


def flip_one_bit(facts, arrays):
    first = min(name for name in arrays if name.startswith("kernel"))
    arrays[first].reshape(-1)[3] ^= 1


def widen_a_range(facts, arrays):
    name = min(facts["ranges"])
    facts["ranges"][name] = [2 * end for end in facts["ranges"][name]]


@pytest.mark.parametrize("change", [flip_one_bit, widen_a_range, lambda facts, arrays: facts.pop("layers")])
def test_a_recipe_that_was_changed_is_one_line(tiny_base, recipe, change):
    rewritten(recipe, change)
    refused(tiny_base, recipe)


def pickled(content):
    file = io.BytesIO()
    np.savez(file, facts=np.array([print], object))
    return file.getvalue()


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-40],
        lambda content: content[: len(content) // 2],
        lambda content: b"",
        lambda content: content[:300] + bytes([content[300] ^ 16]) + content[301:],
        lambda content: b"PK\x03\x04" + content[:-4],
        pickled,
    ],
    ids=["end", "half", "empty", "bit", "shifted", "pickled"],
)
def test_a_damaged_recipe_is_one_line(tiny_base, recipe, damage):
    recipe.write_bytes(damage(recipe.read_bytes()))
    refused(tiny_base, recipe)


def refused(base, recipe):
    with pytest.raises(ModelError) as caught:
        int8_backbone.from_recipe(base, recipe)
    assert str(recipe) in str(caught.value) and "Reinstall model-maker" in str(caught.value)
    assert "\n" not in str(caught.value)


# --- calibration on photos ---


def test_ranges_of_means_lie_around_zero_and_leave_a_tenth(tiny_base, tiny_int8, tiny_photos):
    real = activations(tiny_base, tiny_photos)
    model = graph.parse(tiny_int8.content)
    stated = {tensor.name.decode(): tensor.quantization for tensor in model.subgraphs[0].tensors}
    steps = {}
    for layer in tiny_int8.layers:
        values = real[layer.name].mean(axis=(1, 2)) if layer.side > 1 else real[layer.name]
        steps[layer.name] = 1.1 * np.abs(values).max() / 127
        assert stated[layer.mean].scale == pytest.approx([steps[layer.name]], rel=1e-5)
        assert stated[layer.mean].zeroPoint == [0] == stated[layer.output].zeroPoint
    last = steps[tiny_int8.layers[-1].name]
    assert tiny_int8.step == pytest.approx(last, rel=1e-5)
    for layer in tiny_int8.layers:
        assert layer.factor == pytest.approx(last / steps[layer.name], rel=1e-5)
        assert stated[layer.output].scale == pytest.approx([last], rel=1e-5)
    assert tiny_int8.layers[-1].factor == 1.0


def test_other_activations_have_the_ranges_of_the_photos(tiny_base, tiny_int8, tiny_photos):
    real = activations(tiny_base, tiny_photos)
    model = graph.parse(tiny_int8.content)
    for layer in tiny_int8.layers[:-1]:
        tensor = model.subgraphs[0].tensors[graph.find_tensor(model, layer.name)]
        low, high = min(0, real[layer.name].min()), max(0, real[layer.name].max())
        # litert-quantizer spreads 256 numbers from end to end, and moves the ends so that one of them is zero.
        assert tensor.quantization.scale[0] == pytest.approx((high - low) / 255, rel=0.01)


def test_features_come_near_to_those_of_the_float_network(tiny_base, tiny_int8, tiny_photos):
    joined = LiteRTRunner(network_layers.join(tiny_base.content, tiny_int8.layers))
    whole = LiteRTRunner(tiny_int8.embedder)
    pixels = [images.load(photo, 16)[None] for photo in tiny_photos]
    real = np.concatenate([joined.run(tiny_base.normalization(picture)) for picture in pixels])
    found = np.concatenate([whole.run(picture) for picture in pixels])
    assert whole.output_dtype == np.int8 and whole.output_step == pytest.approx(tiny_int8.step)
    # Maps of eight pixels a side have few values whose errors could cancel; real networks are blurred by a tenth.
    assert (found - real).std() < 0.15 * real.std()


def test_only_so_many_photos_are_looked_at(tiny_base, tiny_photos, monkeypatch):
    monkeypatch.setattr(int8_backbone, "PHOTOS", 7)
    calls = []
    few = int8_backbone.calibrated(tiny_base, tiny_photos, progress=Heard(lambda *call: calls.append(call)))
    assert calls == [(done, 7) for done in range(1, 8)]
    assert few.content == int8_backbone.calibrated(tiny_base, tiny_photos[:7]).content
    assert few.origin == "photos"


@pytest.mark.parametrize("threads", [1, 3])
def test_the_number_of_threads_changes_no_bit(tiny_base, tiny_photos, tiny_int8, threads):
    assert int8_backbone.calibrated(tiny_base, tiny_photos, threads=threads).content == tiny_int8.content


def test_a_photo_that_cannot_be_read_is_passed_over(tiny_base, tiny_photos, tmp_path):
    torn, gone = tmp_path / "torn.png", tmp_path / "gone.png"
    torn.write_bytes(tiny_photos[0].read_bytes()[:60])
    mixed = [torn, *tiny_photos[:5], gone, *tiny_photos[5:9]]
    expected = int8_backbone.calibrated(tiny_base, tiny_photos[:9])
    assert int8_backbone.calibrated(tiny_base, mixed).content == expected.content


@pytest.mark.parametrize("count", [0, 2])
def test_no_photo_that_can_be_read_is_one_line(tiny_base, tmp_path, count):
    with pytest.raises(ModelError, match=f"tiny is quantized on photos, and none of {count} could be read") as caught:
        int8_backbone.calibrated(tiny_base, [tmp_path / f"{number}.png" for number in range(count)])
    assert "\n" not in str(caught.value)


def test_a_network_whose_features_are_all_zero_still_has_steps(tiny_base, tiny_photos):
    model = graph.parse(residual_network())
    for operator in model.subgraphs[0].operators:
        for index in operator.inputs[1:3]:
            tensor = model.subgraphs[0].tensors[index]
            if tensor.buffer and tensor.type == graph.schema.TensorType.FLOAT32:
                graph.set_constant(model, tensor, np.zeros_like(graph.constant(model, tensor)))
    made = int8_backbone.calibrated(dataclasses.replace(tiny_base, content=graph.pack(model)), tiny_photos[:3])
    assert made.step == pytest.approx(1.0)
    assert not LiteRTRunner(made.embedder).run(images.load(tiny_photos[0], 16)[None]).any()


# --- the cache ---


@pytest.fixture
def made(monkeypatch):
    """How often a backbone was quantized, and how often it came of a recipe."""
    counts = {"quantized": 0, "from_recipe": 0}

    def counted(name):
        plain = getattr(int8_backbone, name)

        def counting(*arguments, **options):
            counts[name] += 1
            return plain(*arguments, **options)

        return counting

    for name in counts:
        monkeypatch.setattr(int8_backbone, name, counted(name))
    return counts


def test_a_backbone_is_quantized_once(tiny_base, tiny_photos, empty_cache, made):
    heard = Heard()
    first = int8_backbone.int8_backbone(tiny_base, tiny_photos, progress=heard)
    assert made == {"quantized": 1, "from_recipe": 0}
    assert len(heard.notes) == 1 and heard.notes[0].startswith("tiny is quantized once, on 40 of these photos")
    again = int8_backbone.int8_backbone(tiny_base, tiny_photos[5:9], progress=heard)  # whatever photos come later
    assert made["quantized"] == 1 and len(heard.notes) == 1
    assert again == first and again.step == first.step and again.embedder == first.embedder


def test_a_recipe_is_followed_once_and_needs_no_photos(base0, int8_lite0, empty_cache, made):
    heard = Heard()
    for _ in range(2):
        found = int8_backbone.int8_backbone(base0, [], progress=heard)
        assert found == int8_lite0 and made == {"quantized": 1, "from_recipe": 1}
    assert heard.notes == []


def test_a_damaged_entry_is_made_again(tiny_base, tiny_photos, empty_cache, made):
    first = int8_backbone.int8_backbone(tiny_base, tiny_photos)
    [entry] = (empty_cache / "backbones").glob("*.tflite")
    entry.write_bytes(entry.read_bytes()[:-1])
    assert int8_backbone.int8_backbone(tiny_base, tiny_photos) == first and made["quantized"] == 2


def test_ranges_of_certain_photos_are_kept_beside_the_common_ones(tiny_base, tiny_photos, empty_cache, made):
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in tiny_photos]
    common = int8_backbone.int8_backbone(tiny_base, tiny_photos[:9])
    own = int8_backbone.calibrated_on(tiny_base, tiny_photos[20:], digests[20:])
    assert own.content != common.content and made["quantized"] == 2
    assert int8_backbone.calibrated_on(tiny_base, tiny_photos[20:], digests[20:]) == own
    assert int8_backbone.int8_backbone(tiny_base, tiny_photos[20:]) == common and made["quantized"] == 2
    other = int8_backbone.calibrated_on(tiny_base, tiny_photos[:20], digests[:20])
    assert other.content != own.content and made["quantized"] == 3


def test_entries_are_named_by_all_that_their_bytes_depend_on(tiny_base, empty_cache, monkeypatch):
    def name(base=tiny_base, calibration=b""):
        return int8_backbone.cache_path(base, calibration)

    names = {
        name(),
        name(dataclasses.replace(tiny_base, content=residual_network(seed=1))),
        name(dataclasses.replace(tiny_base, normalization=Normalization(127.5, 127.5))),
        name(calibration=b"a recipe"),
        name(calibration=b"digests of photos"),
    }
    with monkeypatch.context() as patch:
        patch.setattr(int8_backbone.metadata, "version", lambda package: "9.9")
        names.add(name())
    with monkeypatch.context() as patch:
        patch.setattr(int8_backbone, "code_digest", lambda file: "another version of it")
        names.add(name())
    assert len(names) == 7 and name() in names
    assert {path.parent for path in names} == {empty_cache / "backbones"}
    # Of a name and a licence no byte depends.
    assert name(dataclasses.replace(tiny_base, licence="MIT")) == name()


def test_code_that_makes_bytes_is_part_of_the_name(tiny_base, monkeypatch):
    asked = []
    monkeypatch.setattr(int8_backbone, "code_digest", lambda file: asked.append(file.rpartition("/")[2]) or "")
    int8_backbone.cache_path(tiny_base, b"")
    assert sorted(asked) == sorted(
        [
            "blocks.py",
            "graph.py",
            "int8_backbone.py",
            "int8_recipe.py",
            "network_layers.py",
            "quantize.py",
            "rounding.py",
        ]
    )


def test_what_is_packed_is_unpacked(tiny_int8):
    packed = tiny_int8.pack()
    assert Int8Backbone.unpack(packed, tiny_int8.normalization) == tiny_int8
    line, content = packed.split(b"\n", 1)
    assert content == tiny_int8.content and json.loads(line)["layers"][0] == list(
        dataclasses.astuple(tiny_int8.layers[0])
    )


# --- a backbone in both forms ---


def test_pixels_are_stated_at_the_edge(tiny_int8, tiny_photos):
    facts = inspection.inspect(tiny_int8.embedder)
    assert (facts.inputs[0].dtype, facts.outputs[0].dtype) == ("uint8", "int8")
    assert (facts.inputs[0].scale, facts.inputs[0].zero_point) == (1 / 128, 127)
    pixels = images.load(tiny_photos[0], 16)[None]
    inner = LiteRTRunner(tiny_int8.content).run_all((pixels.astype(np.int16) - 128).astype(np.int8))
    np.testing.assert_array_equal(LiteRTRunner(tiny_int8.embedder).run_all(pixels)[0], inner[0])


def test_the_int8_form_computes_where_there_is_one(tiny_base, tiny_int8):
    both = int8_backbone.QuantizedEmbedder.of(tiny_base, tiny_int8)
    assert both.computing == (tiny_int8.embedder, None, "stretch") and both.layers == tiny_int8.layers
    real = int8_backbone.QuantizedEmbedder.of(tiny_base, None)
    assert real.computing == (tiny_base.content, tiny_base.normalization, "stretch")
    assert [(layer.size, layer.side) for layer in real.layers] == [(12, 1)]


def test_a_file_that_cannot_be_cached_is_said(tiny_base, tiny_photos, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("MODEL_MAKER_CACHE", str(tmp_path / "file"))
    with pytest.raises(files.OutputError, match="Cannot write"):
        int8_backbone.int8_backbone(tiny_base, tiny_photos[:2])
