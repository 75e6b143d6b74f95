"""`predict` with what people write: patterns, lists, videos, cameras, streams; annotated copies."""

import json

import numpy as np
import pytest
import videos
from PIL import Image
from videos import BLUE, GREEN, RED

from model_maker import cli
from model_maker.data import video
from model_maker.errors import DataError
from model_maker.inference import annotation, predict_inputs
from model_maker.normalization import Normalization
from model_maker.tflite import graph, metadata


@pytest.fixture(scope="module")
def colours(tmp_path_factory, tiny_embedder):
    """A model that says which of red, green and blue is the most of a picture."""
    content = graph.attach_head(tiny_embedder, np.eye(3, dtype=np.float32) * 9, np.zeros(3, np.float32))
    info = metadata.ModelInfo(("red", "green", "blue"), Normalization(127.5, 127.5), name="colours")
    path = tmp_path_factory.mktemp("colours") / "colours.tflite"
    path.write_bytes(metadata.write(content, info))
    return path


@pytest.fixture
def desk(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, colour in {"a/1.jpg": RED, "a/2.jpg": GREEN, "a/b/1.jpg": BLUE, "a/[x].png": RED}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (32, 24), colour).save(tmp_path / name)
    (tmp_path / "a/notes.md").write_text("no photo")
    return tmp_path


def predict(model, *words):
    return cli.main(cli.parse(["model_maker", "predict", str(model), *map(str, words)]))


def answers(capsys):
    """[(photo, best label)] of --json, or of --csv."""
    return [(row["photo"], row["predictions"][0]["label"]) for row in json.loads(capsys.readouterr().out)]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("a/*.jpg", [("a/1.jpg", "red"), ("a/2.jpg", "green")]),
        ("a/**/*.jpg", [("a/1.jpg", "red"), ("a/2.jpg", "green"), ("a/b/1.jpg", "blue")]),
        ("a/[12].jpg", [("a/1.jpg", "red"), ("a/2.jpg", "green")]),
        ("a/?.jpg", [("a/1.jpg", "red"), ("a/2.jpg", "green")]),
        # A folder that matches gives its photos, and what is no photo is passed over.
        ("a/[b2n]*", [("a/2.jpg", "green"), ("a/b/1.jpg", "blue")]),
        ("a/[x].png", [("a/[x].png", "red")]),  # the file of this name comes first
    ],
)
def test_patterns_in_quotes(colours, desk, capsys, pattern, found):
    assert predict(colours, pattern, "--json") == 0
    assert answers(capsys) == found


@pytest.mark.parametrize(
    ("pattern", "said"),
    [("a/*.gif", "a/*.gif matches nothing"), ("a/*.md", "what a/*.md matches, 1 in all, is no photo")],
)
def test_a_pattern_without_photos_is_refused(colours, desk, capsys, pattern, said):
    assert predict(colours, pattern) == 1
    assert (
        capsys.readouterr().err
        == f"model_maker: {said}. Give a pattern of photos, as 'photos/*.jpg', or their folder.\n"
    )


def test_a_list_names_photos_beside_it_or_from_here(colours, desk, capsys):
    absolute = desk / "a/2.jpg"
    (desk / "a/list.txt").write_text(f"1.jpg\r\n\n  b/1.jpg\n{absolute}\na/1.jpg\n", encoding="utf-8-sig")
    assert predict(colours, "a/list.txt", "--json") == 0
    assert answers(capsys) == [("a/1.jpg", "red"), ("a/b/1.jpg", "blue"), (str(absolute), "green"), ("a/1.jpg", "red")]
    (desk / "a/list.txt").write_text("1.jpg\ngone.jpg\n")
    assert predict(colours, "a/list.txt", "--json") == 1
    shown = capsys.readouterr()
    assert json.loads(shown.out)[1]["photo"] == "a/gone.jpg" and "a/gone.jpg: no such file" in shown.err


@pytest.mark.parametrize(("content", "said"), [(b"\n \n", "is empty"), (b"\xff\xfe\x00", "it is no text in UTF-8")])
def test_a_list_that_is_none_is_refused(colours, desk, capsys, content, said):
    (desk / "list.txt").write_bytes(content)
    assert predict(colours, "list.txt") == 1
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--every", "2"], ["--frames", "2"]])
def test_options_of_videos_are_refused_without_one(colours, desk, capsys, words):
    assert predict(colours, "a", *words) == 1
    assert f"{words[0]} 2 is about videos" in capsys.readouterr().err


@pytest.mark.video
def test_a_video_is_answered_frame_by_frame(colours, desk, capsys):
    videos.write(desk / "clip.mp4", [RED, RED, GREEN, GREEN, BLUE])
    assert predict(colours, "clip.mp4", "a/1.jpg", "--every", "2", "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["photo"], row["predictions"][0]["label"]) for row in rows] == [
        ("clip.mp4#0", "red"),
        ("clip.mp4#2", "green"),
        ("clip.mp4#4", "blue"),
        ("a/1.jpg", "red"),
    ]
    assert [(row["frame"], row["seconds"]) for row in rows[:3]] == [(0, 0.0), (2, 0.2), (4, 0.4)]
    assert predict(colours, "clip.mp4", "--every", "1", "--frames", "2", "--csv", "--top-k", "1") == 0
    assert [line.split(",")[:3] for line in capsys.readouterr().out.splitlines()[1:]] == [
        ["clip.mp4#0", "1", "red"],
        ["clip.mp4#1", "1", "red"],
    ]
    assert predict(colours, "clip.mp4", "--every", "0") == 1
    assert "--every 0: give 1 or more." in capsys.readouterr().err


@pytest.mark.video
def test_a_broken_video_does_not_end_the_others(colours, desk, capsys):
    (desk / "broken.mp4").write_bytes(b"no video")
    assert predict(colours, "broken.mp4", "a/2.jpg", "--json") == 1
    shown = capsys.readouterr()
    assert [row.get("predictions", [{}])[0].get("label") for row in json.loads(shown.out)] == [None, "green"]
    assert shown.err.startswith("model_maker: broken.mp4: cannot be read as a video")


@pytest.fixture
def source(desk, monkeypatch):
    """A video that stands in for each camera and stream; the names that were opened."""
    import av

    videos.write(desk / "source.mp4", [RED, GREEN, BLUE])
    opened = []
    monkeypatch.setattr(video, "connect", lambda name: (opened.append(name), av.open(str(desk / "source.mp4")))[1])
    return opened


@pytest.mark.video
@pytest.mark.parametrize(
    ("name", "shown"), [("0", "0"), ("rtsp://me:secret@camera/live", "rtsp://camera/live")], ids=["camera", "stream"]
)
def test_a_live_source_is_answered_at_once(colours, source, capsys, name, shown):
    assert predict(colours, name, "--every", "1", "--top-k", "1") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [
        [f"{shown}#0", "red"],
        [f"{shown}#1", "green"],
        [f"{shown}#2", "blue"],
    ]
    assert source == [name]


@pytest.mark.video
def test_a_file_that_is_called_as_a_camera_is_a_file(colours, source, desk, capsys):
    Image.new("RGB", (8, 8), GREEN).save(desk / "0", format="PNG")
    assert predict(colours, "0", "--json") == 0
    assert answers(capsys) == [("./0", "green")] and source == []


@pytest.mark.video
def test_ctrl_c_ends_a_live_source_and_keeps_what_there_is(colours, source, desk, monkeypatch, capsys):
    def interrupted(name, *, every):
        yield from list(whole(name, every=every))[:2]
        raise KeyboardInterrupt

    whole = video.frames
    monkeypatch.setattr(video, "frames", interrupted)
    assert predict(colours, "0", "--every", "1", "--json", "--save", "kept") == 0
    assert [label for _, label in answers(capsys)] == ["red", "green"]
    assert sorted(path.name for path in (desk / "kept").iterdir()) == ["0_000000.jpg", "0_000001.jpg"]
    videos.write(desk / "clip.mp4", [RED])
    assert predict(colours, "clip.mp4", "--save", "other") == 130  # a file has an end
    assert not (desk / "other").exists()


def test_copies_bear_the_answer_and_the_rest_of_the_picture(colours, desk, capsys):
    assert predict(colours, "a", "--save", "copies", "--top-k", "1") == 0
    copies = desk / "copies"
    assert sorted(path.name for path in copies.iterdir()) == ["1.jpg", "1_2.jpg", "2.jpg", "x.jpg"]
    with Image.open(copies / "2.jpg") as copy:
        assert copy.size == (32, 24)
        assert np.abs(np.asarray(copy)[1, 1].astype(int) - GREEN).max() < 12  # above the band nothing changes


def test_the_text_that_is_drawn_is_that_of_the_answer():
    """Other words leave other pixels; the band is dark, letters white, and only there."""
    picture = Image.new("RGB", (400, 300), (200, 200, 200))
    one, other = (np.asarray(annotation.annotated(picture, [text])) for text in ("rose 0.996", "daisy 0.996"))
    assert (one != other).any()
    rows = np.flatnonzero((one != 200).any(axis=(1, 2)))
    assert rows[-1] == 299 and 10 < len(rows) < 60 and (np.diff(rows) == 1).all()
    assert one[rows[0] :].max() == 255 and np.median(one[rows[0] :]) < 100
    assert (np.asarray(picture) == 200).all()
    tiny = annotation.annotated(Image.new("RGB", (8, 8)), ["a label longer than the picture", "another"])
    assert tiny.size == (8, 8)


def test_copies_are_kept_out_of_what_is_classified(colours, desk, capsys):
    assert predict(colours, "a", "--save", "a/copies") == 1
    assert "--save a/copies lies in a, whose photos are classified" in capsys.readouterr().err
    (desk / "full").mkdir()
    (desk / "full/mine.txt").write_text("mine")
    assert predict(colours, "a", "--save", "full") == 1
    assert "full already exists and is not empty" in capsys.readouterr().err


def test_without_the_extra_one_line_says_how_to_get_it(colours, desk, capsys, monkeypatch):
    from model_maker.system import extras

    monkeypatch.setattr(extras, "is_here", lambda module: module != "av")
    (desk / "clip.mp4").write_bytes(b"")
    assert predict(colours, "clip.mp4") == 1
    assert "Video needs PyAV, which is not installed. Run: pip install 'model-maker[video]'" in capsys.readouterr().err


def test_names_are_expanded_in_order(desk):
    assert list(predict_inputs.expand(["a/2.jpg", "https://a.b/*.jpg", "-", "a/*.jpg"])) == [
        "a/2.jpg",
        "https://a.b/*.jpg",
        "-",
        "a/1.jpg",
        "a/2.jpg",
    ]
    with pytest.raises(DataError, match="matches nothing"):
        list(predict_inputs.expand(["*.nothing"]))
