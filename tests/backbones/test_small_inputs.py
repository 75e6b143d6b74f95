"""A smaller input is announced with what it costs."""

import pytest

import model_maker
from model_maker import backbones
from model_maker.backbones import small_inputs
from model_maker.errors import DataError
from model_maker.progress import Progress


def warned(name, size):
    return small_inputs.warning(backbones.get(name, image_size=size))


def test_of_lite0_the_measured_loss_is_told():
    # 91.3 % at 224, 78.8 % at 64, 90.5 % at 160.
    assert "cost EfficientNet-Lite0 12 points" in warned("efficientnet_lite0", 64)
    assert warned("efficientnet_lite0", 160) is None
    # Half of its own size for Lite4 (300 pixels) is half of 224 for Lite0: between 84.7 at 96 and 87.7 at 128, so 5.1.
    assert "cost EfficientNet-Lite0 5 points" in warned("efficientnet_lite4", 150)


@pytest.mark.parametrize("size", [224, 256, 192])
def test_the_own_size_larger_ones_and_hardly_smaller_ones_are_not_told(size):
    assert warned("efficientnet_lite0", size) is None


def test_of_published_sizes_the_published_figures_are_told():
    # https://github.com/tensorflow/models, slim/nets/mobilenet: MobileNetV2 1.0, 71.8 % at 224 and 60.3 % at 96.
    text = warned("mobilenet_v2", 96)
    assert "for 96 pixels have a published ImageNet top-1 of 60.3 %, those for 224 71.8 %" in text
    assert "Lite0" not in text
    # 70.7 % at 192 is 1.1 points less, which is not worth a line.
    assert warned("mobilenet_v2", 192) is None


def test_below_the_smallest_published_size_both_are_told():
    text = warned("mobilenet_v2", 48)
    # Half of 96 is half of 224 for Lite0: 5.1 points.
    assert "60.3 %" in text and "cost EfficientNet-Lite0 5 points" in text


def test_every_backbone_can_be_asked():
    for name in backbones.BACKBONES:
        assert warned(name, 32)
        assert small_inputs.warning(backbones.get(name)) is None


def test_it_is_told_before_the_work(tmp_path):
    heard = Progress()
    with pytest.raises(DataError, match="does not exist"):
        model_maker.train(tmp_path / "none", tmp_path / "out", image_size=64, progress=heard)
    assert heard.notes[0].startswith("`image_size=64` makes efficientnet_lite0 less accurate")
