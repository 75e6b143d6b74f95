"""Frames of videos; cameras and streams are stood in for, for there are none here."""

import sys

import needs
import numpy as np
import pytest
import videos
from videos import BLUE, GREEN, RED

from model_maker.data import images, video
from model_maker.errors import DataError

av = needs.load("av")
pytestmark = pytest.mark.video
ONE = 1 << 16  # of fixed point
# What a lossy codec makes of a plain colour in 4:2:0.
NEAR = 12


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.avi", "a.mkv", "a.MP4"])
def test_every_nth_frame_comes_with_its_number_second_and_pixels(tmp_path, name):
    colours = [RED, GREEN, BLUE, RED, GREEN, BLUE, RED]
    path = videos.write(tmp_path / name, colours)
    found = list(video.frames(str(path), every=3))
    assert [frame.number for frame in found] == [0, 3, 6]
    np.testing.assert_allclose([frame.seconds for frame in found], [0, 0.3, 0.6], atol=0.002)
    for frame in video.frames(str(path), every=1):
        assert frame.pixels.shape == (48, 64, 3) and frame.pixels.dtype == np.uint8
        assert np.abs(frame.pixels[40, 50].astype(int) - colours[frame.number]).max() <= NEAR
        assert frame.pixels[5, 5].min() > 255 - NEAR


@pytest.mark.parametrize(
    ("matrix", "corner"),
    # (x, y) is shown at (ax + cy + tx, bx + dy + ty): where the white quarter, upper left, comes to lie.
    [
        ((ONE, 0, 0, 0, ONE, 0, 0, 0, 1 << 30), (0, 0)),
        ((0, ONE, 0, -ONE, 0, 0, 48 * ONE, 0, 1 << 30), (0, -1)),  # a quarter clockwise, as phones held upright write
        ((-ONE, 0, 0, 0, -ONE, 0, 64 * ONE, 48 * ONE, 1 << 30), (-1, -1)),
        ((0, -ONE, 0, ONE, 0, 0, 0, 64 * ONE, 1 << 30), (-1, 0)),
    ],
)
def test_frames_are_turned_upright(tmp_path, matrix, corner):
    path = videos.write(tmp_path / "a.mp4", [BLUE])
    videos.turn(path, matrix)
    [frame] = video.frames(str(path), every=1)
    assert frame.pixels.shape == ((64, 48, 3) if 0 in matrix[:1] else (48, 64, 3))
    corners = {(row, column): frame.pixels[row, column].min() > 200 for row in (0, -1) for column in (0, -1)}
    assert [place for place, white in corners.items() if white] == [corner]


def _broken(path):
    content = path.read_bytes()
    return {
        "cut.mp4": content[: len(content) // 2],  # the index stands at the end
        "text.mp4": b"no video",
        "empty.mp4": b"",
        "list.mp4": b"ffconcat version 1.0\nfile a.mp4\n",
        "playlist.mp4": b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\na.mp4\n#EXT-X-ENDLIST\n",
        "picture.mp4": b"P6 8 8 255\n" + bytes(192),
    }


def test_what_is_no_video_is_refused_in_one_line(tmp_path):
    """Playlists, too, which would have other files read."""
    path = videos.write(tmp_path / "a.mp4", [RED] * 3)
    for name, content in _broken(path).items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=f"{name}: (cannot be read as a|holds no) video") as refused:
            list(video.frames(str(tmp_path / name)))
        assert "\n" not in str(refused.value)
    with pytest.raises(DataError, match="no.mp4: cannot be read as a video .No such file"):
        list(video.frames(str(tmp_path / "no.mp4")))


def test_a_playlist_would_be_read_without_the_list_of_demuxers(tmp_path):
    """The list of demuxers is what keeps it out, not FFmpeg."""
    videos.write(tmp_path / "a.mp4", [RED] * 3)
    (tmp_path / "list.mp4").write_text("ffconcat version 1.0\nfile a.mp4\n")
    with av.open(str(tmp_path / "list.mp4")) as container:
        assert len(list(container.decode(video=0))) == 3


@pytest.mark.parametrize("name", ["a.mp4", "a.avi", "a.mkv"])
def test_damaged_videos_give_frames_or_one_line(tmp_path, name):
    whole, random = videos.write(tmp_path / name, [RED, GREEN, BLUE] * 4).read_bytes(), np.random.default_rng(0)
    outcomes = set()
    for _ in range(60):
        damaged = bytearray(whole)
        for place in random.integers(0, len(whole), random.integers(1, 30)):
            damaged[place] = random.integers(256)
        (tmp_path / name).write_bytes(damaged[: random.integers(1, len(whole) + 1)])
        try:
            outcomes |= {frame.pixels.dtype for frame in video.frames(str(tmp_path / name), every=1)}
        except DataError as error:
            assert str(error).count("\n") == 0
            outcomes.add(DataError)
    assert DataError in outcomes and outcomes <= {np.dtype(np.uint8), DataError}


def test_frames_larger_than_any_photo_may_be_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(images, "MAX_PIXELS", 64 * 48 - 1)
    with pytest.raises(DataError, match="a.mp4"):
        list(video.frames(str(videos.write(tmp_path / "a.mp4", [RED]))))


def test_a_file_without_pictures_is_refused(tmp_path):
    with av.open(str(tmp_path / "sound.mkv"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        sound.sample_rate = 8000
        container.mux(stream.encode(sound))
    with pytest.raises(DataError, match="sound.mkv: holds no video"):
        list(video.frames(str(tmp_path / "sound.mkv")))


def test_cameras_and_streams_are_known_by_their_names():
    assert [
        name for name in ("0", "12", "rtsp://a/b", "RTSPS://a", "a.mp4", "1234", "-1", "1.jpg") if video.is_live(name)
    ] == [
        "0",
        "12",
        "rtsp://a/b",
        "RTSPS://a",
    ]
    assert video.is_file("A.MOV") and not video.is_file("a.gif")


def test_a_password_is_never_shown():
    assert video.shown("rtsp://me:secret@camera:554/live?a=1") == "rtsp://camera:554/live?a=1"
    with pytest.raises(DataError, match="rtsp://127.0.0.1:9/live: cannot be read as a video") as refused:
        list(video.frames("rtsp://me:secret@127.0.0.1:9/live"))
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("platform", "name", "opened"),
    [
        ("linux", "1", ("/dev/video1", "v4l2")),
        ("darwin", "1", ("1", "avfoundation")),
        ("win32", "1", ("video=Second", "dshow")),
        ("linux", "rtsp://camera/live", ("rtsp://camera/live", None)),
    ],
)
def test_what_ffmpeg_is_asked_for(monkeypatch, platform, name, opened):
    """FFmpeg's documentation of its devices: v4l2, avfoundation, dshow. No camera is here to ask."""

    class Device:
        def __init__(self, name, kinds):
            self.name, self.media_types = name, kinds

    devices = [Device("First", ["video"]), Device("Microphone", ["audio"]), Device("Second", ["video"])]
    asked = []
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(av, "enumerate_input_devices", lambda kind: devices)
    monkeypatch.setattr(av, "open", lambda where, **more: asked.append((where, more.get("format"))))
    video.connect(name)
    assert asked == [opened]
    if platform == "win32":
        with pytest.raises(DataError, match="camera 2 is not there: Windows tells of 2"):
            video.connect("2")
