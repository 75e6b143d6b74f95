import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from model_maker.data import augment, images
from model_maker.data.augment import PRESETS
from model_maker.fitting import CROP, LETTERBOX, RESIZES, STRETCH, Fit

SIDES = st.integers(1, 5000)
INPUTS = st.integers(1, 400)


@pytest.fixture
def photo():
    return Image.fromarray(np.random.default_rng(0).integers(1, 256, (30, 90, 3), np.uint8))


@pytest.mark.parametrize(
    ("fit", "size", "source", "target"),
    [
        (Fit(224, 224, STRETCH), (640, 480), (0, 0, 640, 480), (0, 0, 224, 224)),
        # 480 / 640 of 224 are 168, and half of what is left is above it.
        (Fit(224, 224, LETTERBOX), (640, 480), (0, 0, 640, 480), (0, 28, 224, 168)),
        (Fit(224, 224, LETTERBOX), (480, 640), (0, 0, 480, 640), (28, 0, 168, 224)),
        (Fit(224, 224, CROP), (640, 480), (80, 0, 480, 480), (0, 0, 224, 224)),
        # An input of 2:1: 640 x 480 is too high for it.
        (Fit(100, 200, LETTERBOX), (640, 480), (0, 0, 640, 480), (33, 0, 133, 100)),
        (Fit(100, 200, CROP), (640, 480), (0, 80, 640, 320), (0, 0, 200, 100)),
        (Fit(100, 200, LETTERBOX), (640, 160), (0, 0, 640, 160), (0, 25, 200, 50)),
        (Fit(100, 200, CROP), (640, 160), (160, 0, 320, 160), (0, 0, 200, 100)),
        # A line of one pixel is still there.
        (Fit(224, 224, LETTERBOX), (5000, 1), (0, 0, 5000, 1), (0, 111, 224, 1)),
    ],
)
def test_boxes_are_those_computed_by_hand(fit, size, source, target):
    assert (fit.source(*size), fit.target(*size)) == (source, target)


@given(width=SIDES, height=SIDES, fit=st.builds(Fit, INPUTS, INPUTS, st.just(LETTERBOX)))
def test_a_letterboxed_photo_has_the_size_that_pillow_gives_it(width, height, fit):
    left, top, inner_width, inner_height = fit.target(width, height)
    # `contain` rounds halves to even, we round them up.
    inside = ImageOps.contain(Image.new("1", (width, height)), (fit.width, fit.height), Image.Resampling.NEAREST)
    assert abs(inner_width - inside.width) <= 1 and abs(inner_height - inside.height) <= 1
    assert inner_width == fit.width or inner_height == fit.height
    right, bottom = fit.width - left - inner_width, fit.height - top - inner_height
    assert right - left in (0, 1) and bottom - top in (0, 1) and min(left, top) >= 0


@given(width=SIDES, height=SIDES, fit=st.builds(Fit, INPUTS, INPUTS, st.just(CROP)))
def test_a_crop_has_the_shape_of_the_input_and_lies_in_the_middle(width, height, fit):
    left, top, used_width, used_height = fit.source(width, height)
    assert used_width == width or used_height == height
    # The cut side is the nearest whole number.
    if used_width < width:
        assert abs(used_width - used_height * fit.width / fit.height) <= 0.5 or used_width == 1
    if used_height < height:
        assert abs(used_height - used_width * fit.height / fit.width) <= 0.5 or used_height == 1
    assert width - left - used_width - left in (0, 1) and height - top - used_height - top in (0, 1)


@given(side=SIDES, size=INPUTS, resize=st.sampled_from(list(RESIZES)))
def test_photos_of_the_shape_of_the_input_are_fitted_alike(side, size, resize):
    fit = Fit(size, size, resize)
    assert (fit.source(side, side), fit.target(side, side)) == ((0, 0, side, side), (0, 0, size, size))


def test_a_letterboxed_photo_is_the_stretched_one_on_black(photo):
    made = images.load(photo, Fit(40, 60, LETTERBOX))
    assert made.shape == (40, 60, 3)
    inner = photo.transform((60, 20), Image.Transform.EXTENT, (0, 0, 90, 30), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(made[10:30], np.asarray(inner))
    assert not made[:10].any() and not made[30:].any()


def test_a_cropped_photo_is_the_middle_stretched(photo):
    made = images.load(photo, Fit(40, 60, CROP))
    middle = np.asarray(photo)[:, 22:67]  # 45 of 90 columns: 30 * 60 / 40
    np.testing.assert_array_equal(made, images.load(middle, Fit(40, 60)))


def test_a_number_is_a_square_to_which_photos_are_stretched(photo):
    np.testing.assert_array_equal(images.load(photo, 40), images.load(photo, Fit(40, 40, STRETCH)))


@pytest.mark.parametrize("resize", RESIZES)
@pytest.mark.parametrize("shape", [(40, 40), (24, 40)])
def test_the_first_view_is_the_plain_photo_and_others_keep_their_place(photo, resize, shape):
    fit = Fit(*shape, resize)
    strong = PRESETS["strong"]
    first, *others = augment.views(photo, fit, strong, digest="ab" * 32, numbers=range(4))
    np.testing.assert_array_equal(first, images.load(photo, fit))
    left, top, width, height = fit.target(*photo.size)
    for view in others:
        assert (view != first).any()
        outside = np.ones(shape, bool)
        outside[top : top + height, left : left + width] = False
        assert not view[outside].any()
        # The noise of the photo is brighter than the frame wherever a view shows it.
        assert view[~outside].any(axis=1).mean() > 0.9


def test_views_of_a_cropped_photo_show_nothing_but_its_middle():
    halves = np.zeros((30, 90, 3), np.uint8)
    halves[:, :30, 0] = halves[:, 60:, 0] = 255  # red beside the middle
    halves[:, 30:60, 1] = 255
    views = augment.views(halves, Fit(20, 20, CROP), PRESETS["light"], digest="cd" * 32, numbers=range(5))
    assert views[..., 1].min() > 100 and views[1:, ..., 0].max() < 60 and not views[0, ..., 0].any()
