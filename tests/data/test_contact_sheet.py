import numpy as np
import pytest
from PIL import Image

from model_maker.data import augment, contact_sheet, images
from model_maker.data.sources import read
from model_maker.errors import DataError, OutputError

CELL = 224


@pytest.fixture
def dataset(tmp_path, make_photos):
    make_photos(tmp_path / "data", {"a": 4, "b": 3, "c": 1}, side=16)
    return read(tmp_path / "data")


def cells(sheet, rows, columns):
    """The pictures of a sheet, [rows, columns, 224, 224, 3]: right of 28 pixels of margin and 190 of names."""
    pixels = np.asarray(sheet)
    step, left, top = CELL + 8, 28 + 190, sheet.height - 28 - rows * (CELL + 8) + 8
    return np.array(
        [
            [
                pixels[top + r * step : top + r * step + CELL, left + c * step : left + c * step + CELL]
                for c in range(columns)
            ]
            for r in range(rows)
        ]
    )


def test_the_sheet_shows_the_very_pixels_of_each_view(dataset):
    sheet = contact_sheet.draw(dataset, "strong", photos=4, views=3, seed=5)
    shown = cells(sheet, 4, 3)
    found = set()
    for row in shown:
        [sample] = [s for s in dataset.samples if (images.load(s.path, CELL) == row[0]).all()]
        strengths = augment.PRESETS["strong"]
        made = augment.views(sample.path, CELL, strengths, digest=sample.digest, seed=5, numbers=range(3))
        np.testing.assert_array_equal(row, made)
        found.add(sample.path)
    assert len(found) == 4


def test_photos_come_from_each_class_in_turn(dataset):
    names = [sample.path.parent.name for sample in contact_sheet.in_turn(dataset)]
    assert names == ["a", "b", "c", "a", "b", "a", "b", "a"]


def test_all_photos_are_shown_where_there_are_few(dataset):
    sheet = contact_sheet.draw(dataset, "light", photos=50, views=2)
    assert len({row[0].tobytes() for row in cells(sheet, 8, 2)}) == 8


def test_the_same_seed_draws_the_same_sheet_and_another_another(dataset):
    sheets = [contact_sheet.draw(dataset, "light", photos=2, views=2, seed=seed).tobytes() for seed in (0, 0, 1)]
    assert sheets[0] == sheets[1] != sheets[2]


def test_labels_leave_the_pictures_free(dataset, tmp_path):
    folder = tmp_path / "long"
    name = "an_unusually_long_name_of_a_class_that_goes_on_and_on"
    (folder / name).mkdir(parents=True)
    photo = Image.new("RGB", (30, 30), (0, 200, 0))
    photo.save(folder / name / ("x" * 100 + ".png"))
    sheet = contact_sheet.draw(read(folder, least_classes=1), "none", photos=1, views=1)
    pixels = np.asarray(sheet)
    assert (cells(sheet, 1, 1) == (0, 200, 0)).all()
    names = pixels[-28 - CELL : -28, : 28 + 190 - 8]
    assert (names.min(axis=2) < 100).any()  # ink
    assert (names[:, -8:] == names[0, -1]).all()  # paper again before the picture


def test_a_narrow_sheet_has_room_for_its_title(dataset):
    pixels = np.asarray(contact_sheet.draw(dataset, "standard", photos=1, views=1))
    assert (pixels[:, -28:] == pixels[0, 0]).all()  # the margin stays paper


def test_bad_photos_are_passed_over(dataset, tmp_path):
    for number in range(5):
        (tmp_path / f"data/a/bad{number}.jpg").write_bytes(b"no photo %d" % number)
    sheet = contact_sheet.draw(read(tmp_path / "data"), "light", photos=50, views=1)
    assert len({row[0].tobytes() for row in cells(sheet, 8, 1)}) == 8


def test_a_folder_of_bad_photos_is_refused_with_a_reason(tmp_path):
    (tmp_path / "data/a").mkdir(parents=True)
    (tmp_path / "data/a/bad.jpg").write_bytes(b"no photo")
    with pytest.raises(DataError, match="None of the photos can be read, the last: .*bad.jpg: not a JPEG"):
        contact_sheet.draw(read(tmp_path / "data", least_classes=1), "light")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"photos": 0}, "--photos 0: give 1 to 50"),
        ({"views": 51}, "--views 51: give 1 to 50"),
        ({"preset": "wild"}, "--preset wild: choose one of none, light"),
    ],
)
def test_what_makes_no_sheet_is_refused(dataset, change, message):
    preset = change.pop("preset", "light")
    with pytest.raises(DataError, match=message):
        contact_sheet.draw(dataset, preset, **change)


@pytest.mark.parametrize("name", ["sheet.png", "sheet.JPG", "sheet.jpeg"])
def test_a_sheet_is_written_in_the_format_of_its_suffix(tmp_path, name):
    sheet = Image.effect_noise((64, 64), 20).convert("RGB")
    contact_sheet.check(tmp_path / name, overwrite=False)
    contact_sheet.write(tmp_path / name, sheet)
    with Image.open(tmp_path / name) as saved:
        assert saved.format == ("PNG" if name.endswith("png") else "JPEG")
        difference = np.abs(np.asarray(saved).astype(int) - np.asarray(sheet))
    assert difference.max() == 0 if name.endswith("png") else difference.mean() < 4  # JPEG of quality 90


@pytest.mark.parametrize(("name", "message"), [("a.gif", "the suffix says the format"), ("none", "the suffix says")])
def test_other_formats_are_refused(tmp_path, name, message):
    with pytest.raises(OutputError, match=message):
        contact_sheet.check(tmp_path / name, overwrite=True)


def test_a_file_is_replaced_only_when_told(tmp_path):
    (tmp_path / "sheet.png").write_text("precious")
    with pytest.raises(OutputError, match="already exists.*`overwrite=True`"):
        contact_sheet.check(tmp_path / "sheet.png", overwrite=False)
    contact_sheet.check(tmp_path / "sheet.png", overwrite=True)
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(OutputError, match="is a folder"):
        contact_sheet.check(tmp_path / "folder.png", overwrite=True)
