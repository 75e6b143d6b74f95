import base64
import hashlib
import socket
import threading

import numpy as np
import pytest
from loopback_files import serve

from model_maker.errors import BackboneError, OutputError
from model_maker.system import downloads

CONTENT = np.random.default_rng(0).bytes(1_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with serve() as server:
        server.files["/w.h5"] = CONTENT
        yield server


def fetch(server, target, *, sha256=SHA256, progress=lambda *_: None):
    downloads.fetch(f"{server.address}/w.h5", target, sha256=sha256, progress=progress)


def test_a_file_arrives_whole(server, tmp_path):
    seen = []
    fetch(server, tmp_path / "new" / "w.h5", progress=lambda *numbers: seen.append(numbers))
    assert (tmp_path / "new" / "w.h5").read_bytes() == CONTENT
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["w.h5"]
    assert seen[-1] == (1000, 1000) and seen == sorted(seen)


def test_a_broken_connection_is_gone_on_with(server, tmp_path):
    server.stop_after = 300_000
    with pytest.raises(BackboneError, match="broke off") as caught:
        fetch(server, tmp_path / "w.h5")
    assert "\n" not in str(caught.value) and "Run the same command again" in str(caught.value)
    assert not (tmp_path / "w.h5").exists()
    fetch(server, tmp_path / "w.h5")
    assert (tmp_path / "w.h5").read_bytes() == CONTENT
    assert server.requests == [("GET /w.h5", None), ("GET /w.h5", "bytes=300000-")]


@pytest.mark.parametrize("there", [300_000, 1_000_000, 2_000_000], ids=["short", "complete", "too long"])
@pytest.mark.parametrize("knows_ranges", [True, False])
def test_whatever_an_earlier_attempt_left_the_file_comes_right(server, tmp_path, there, knows_ranges):
    server.knows_ranges = knows_ranges
    (tmp_path / "w.h5.part").write_bytes((CONTENT * 2)[:there])
    fetch(server, tmp_path / "w.h5")
    assert (tmp_path / "w.h5").read_bytes() == CONTENT


def test_a_part_of_another_file_is_thrown_away(server, tmp_path):
    (tmp_path / "w.h5.part").write_bytes(b"something else")
    with pytest.raises(BackboneError, match="not the published file"):
        fetch(server, tmp_path / "w.h5")
    fetch(server, tmp_path / "w.h5")
    assert (tmp_path / "w.h5").read_bytes() == CONTENT


def test_a_wrong_file_is_refused_and_named(server, tmp_path):
    server.files["/w.h5"] = b"another file"
    with pytest.raises(BackboneError, match="not the published file") as caught:
        fetch(server, tmp_path / "w.h5")
    assert hashlib.sha256(b"another file").hexdigest() in str(caught.value) and SHA256 in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("right", [True, False])
def test_the_md5_of_the_store_is_checked(server, tmp_path, right):
    md5 = base64.b64encode(hashlib.md5(CONTENT if right else b"").digest()).decode()
    server.headers["/w.h5"] = {"x-goog-hash": f"crc32c=AAAAAA==,md5={md5}"}
    if right:
        fetch(server, tmp_path / "w.h5", sha256=None)
        assert (tmp_path / "w.h5").read_bytes() == CONTENT
    else:
        with pytest.raises(BackboneError, match="md5"):
            fetch(server, tmp_path / "w.h5", sha256=None)


def test_a_missing_file_is_said_in_one_line(server, tmp_path):
    with pytest.raises(BackboneError, match=f"{server.address}/none.h5 answers 404 Not Found.$"):
        downloads.fetch(f"{server.address}/none.h5", tmp_path / "none.h5", sha256=None, progress=lambda *_: None)


def test_ctrl_c_keeps_what_has_come(server, tmp_path):
    def interrupt(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(server, tmp_path / "w.h5", progress=interrupt)
    assert not (tmp_path / "w.h5").exists()
    assert 0 < (tmp_path / "w.h5.part").stat().st_size <= len(CONTENT)
    fetch(server, tmp_path / "w.h5")
    assert (tmp_path / "w.h5").read_bytes() == CONTENT


def test_two_at_once_do_not_mix(server, tmp_path):
    failures = []

    def work():
        try:
            fetch(server, tmp_path / "w.h5")
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert (tmp_path / "w.h5").read_bytes() == CONTENT
    assert len(server.requests) == 1


def test_a_file_in_the_place_of_the_folder_is_named(server, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="Cannot write"):
        fetch(server, tmp_path / "file" / "w.h5")


def test_what_answers_is_reachable_and_what_does_not_is_not(server):
    assert downloads.reachable(f"{server.address}/x")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        assert not downloads.reachable(f"http://127.0.0.1:{closed.getsockname()[1]}/x")


def test_a_name_server_that_never_answers_is_given_up(monkeypatch):
    waiting = threading.Event()
    monkeypatch.setattr(downloads, "CONNECT_S", 0.05)

    def hang(*_):
        waiting.wait(60)
        raise OSError

    monkeypatch.setattr(socket, "create_connection", hang)
    assert not downloads.reachable("https://example.invalid/x")
    waiting.set()


def test_a_proxy_is_what_has_to_be_reached(server, monkeypatch):
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("http_proxy", server.address)
    assert downloads.reachable("http://example.invalid/x")


def test_a_mirror_stands_in_for_the_host(monkeypatch):
    url = "https://example.invalid/a/b.h5"
    monkeypatch.delenv("MODEL_MAKER_MIRROR", raising=False)
    assert downloads.address(url) == url
    monkeypatch.setenv("MODEL_MAKER_MIRROR", "http://127.0.0.1:8000/mirror/")
    assert downloads.address(url) == "http://127.0.0.1:8000/mirror/a/b.h5"
    monkeypatch.setenv("MODEL_MAKER_MIRROR", "file:///etc")
    with pytest.raises(BackboneError, match="MODEL_MAKER_MIRROR=file:///etc"):
        downloads.address(url)
