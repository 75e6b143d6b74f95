"""Our pipeline against transformers', on a network with the same arithmetic in PyTorch and in a `.tflite`."""

import io
import types

import numpy as np
import pytest
from loopback_files import serve
from PIL import Image

import model_maker
from model_maker.normalization import Normalization
from model_maker.tflite import graph, metadata

torch = pytest.importorskip("torch", reason="torch is not installed: make parity")
transformers = pytest.importorskip("transformers", reason="transformers is not installed: make parity")

LABELS = ("red", "green", "blue", "yellow", "cyan", "magenta", "grey")
WEIGHTS = np.random.default_rng(3).normal(size=(7, 3)).astype(np.float32)
SIZE, MEAN, STD = 8, 127.0, 128.0


class _MeanColour(transformers.PreTrainedModel):
    """A linear layer on the normalized mean colour."""

    config_class = transformers.ViTConfig

    def __init__(self, config):
        super().__init__(config)
        self.head = torch.nn.Linear(3, len(LABELS), bias=False)
        self.post_init()

    def _init_weights(self, module):
        pass

    def forward(self, pixel_values=None, **_):
        logits = self.head(pixel_values.mean(dim=(2, 3)))
        return transformers.modeling_outputs.ImageClassifierOutput(logits=logits)


@pytest.fixture(scope="module")
def theirs():
    config = transformers.ViTConfig(id2label=dict(enumerate(LABELS)), image_size=SIZE)
    model = _MeanColour(config).eval()
    model.head.weight.data = torch.from_numpy(WEIGHTS)
    processor = transformers.ViTImageProcessorPil(
        size={"height": SIZE, "width": SIZE}, image_mean=[MEAN / 255] * 3, image_std=[STD / 255] * 3
    )
    return transformers.pipeline("image-classification", model=model, image_processor=processor, device="cpu")


@pytest.fixture(scope="module")
def ours(tiny_embedder, tmp_path_factory):
    info = metadata.ModelInfo(labels=LABELS, normalization=Normalization(MEAN, STD))
    path = tmp_path_factory.mktemp("ours") / "model.tflite"
    path.write_bytes(metadata.write(graph.attach_head(tiny_embedder, WEIGHTS, np.zeros(len(LABELS))), info))
    return model_maker.pipeline("image-classification", model=path)


# Of one size with the input, so that no resampling differs.
PHOTOS = [Image.new("RGB", (SIZE, SIZE), colour) for colour in ((200, 100, 50), (10, 240, 30), (0, 0, 255))]


def same(found, expected):
    """Keys, their order, nesting, types and, but for the order of sums in float32, values."""
    assert type(found) is type(expected)
    if isinstance(found, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            same(one, other)
    elif isinstance(found, dict):
        assert list(found) == list(expected)
        assert found["label"] == expected["label"] and found["score"] == pytest.approx(expected["score"], abs=1e-5)
        assert type(found["score"]) is type(expected["score"])


@pytest.mark.parametrize(
    "options",
    [{}, {"top_k": 2}, {"top_k": 50}, {"top_k": None}, {"function_to_apply": "softmax"}, {"function_to_apply": None}],
    ids=str,
)
def test_one_and_several_pictures(ours, theirs, options):
    for photos in (PHOTOS[0], PHOTOS, PHOTOS[:1]):  # of no photos at all theirs is an error of its own
        same(ours(photos, **options), theirs(photos, **options))
        same(ours(inputs=photos, **options), theirs(inputs=photos, **options))
    same(ours(PHOTOS, batch_size=2), theirs(PHOTOS, batch_size=2))


@pytest.mark.parametrize("function", ["none", "sigmoid"])
def test_other_functions_but_for_the_height_of_logits(ours, theirs, function):
    """A softmax leaves logits but for a number that they share; ours have a mean of zero."""
    found, expected = (ask(PHOTOS[0], function_to_apply=function, top_k=7) for ask in (ours, theirs))
    assert [entry["label"] for entry in found] == [entry["label"] for entry in expected]
    logits = np.array([entry["score"] for entry in theirs(PHOTOS[0], function_to_apply="none", top_k=7)])
    wanted = logits - logits.mean()
    np.testing.assert_allclose(
        [entry["score"] for entry in found], wanted if function == "none" else 1 / (1 + np.exp(-wanted)), atol=1e-5
    )


def test_paths_and_addresses(ours, theirs, tmp_path):
    file = io.BytesIO()
    PHOTOS[0].save(file, "PNG")
    (tmp_path / "photo.png").write_bytes(file.getvalue())
    with serve() as server:
        server.files["/photo.png"] = file.getvalue()
        for photo in (str(tmp_path / "photo.png"), f"{server.address}/photo.png"):
            same(ours(photo, timeout=5), theirs(photo, timeout=5))
            same(ours([photo, photo]), theirs([photo, photo]))


class _Photos(torch.utils.data.Dataset):
    def __len__(self):
        return len(PHOTOS)

    def __getitem__(self, index):
        return PHOTOS[index]


def test_generators_and_data_sets_give_iterators(ours, theirs):
    for make in (lambda: (photo for photo in PHOTOS), _Photos):
        found, expected = ours(make(), top_k=1), theirs(make(), top_k=1)
        assert all(isinstance(answers, types.GeneratorType) or hasattr(answers, "__next__") or
                   hasattr(answers, "__iter__") and not isinstance(answers, list)
                   for answers in (found, expected))  # fmt: skip
        same(list(found), list(expected))


def test_defaults_are_given_when_it_is_made(ours, theirs):
    mine = model_maker.pipeline(model=ours.model, top_k=1)
    other = transformers.pipeline(
        "image-classification", model=theirs.model, image_processor=theirs.image_processor, top_k=1
    )
    same(mine(PHOTOS), other(PHOTOS))
    same(mine(PHOTOS[0], top_k=3), other(PHOTOS[0], top_k=3))


def test_nothing_is_refused_by_both(ours, theirs):
    with pytest.raises(model_maker.ModelMakerError):
        ours()
    with pytest.raises((TypeError, ValueError)):
        theirs()
