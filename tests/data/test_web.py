import pytest
from loopback_files import serve

from model_maker.data import web
from model_maker.data.sources import read
from model_maker.data.web import Address
from model_maker.errors import DataError


@pytest.fixture
def server():
    with serve() as server:
        yield server


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch, empty_cache):
    monkeypatch.setattr(web, "PAUSES_S", (0, 0))


def test_a_photo_is_downloaded_once(server):
    server.files["/1.jpg"] = b"photo"
    photo = Address(f"{server.address}/1.jpg")
    assert [photo.read_bytes(), photo.read_bytes()] == [b"photo", b"photo"]
    assert len(server.requests) == 1
    assert photo.cached.read_bytes() == b"photo" and str(photo) == f"{server.address}/1.jpg"


def test_a_damaged_copy_is_downloaded_again(server):
    server.files["/1.jpg"] = b"photo"
    photo = Address(f"{server.address}/1.jpg")
    photo.read_bytes()
    photo.cached.write_bytes(b"phot0")
    assert photo.read_bytes() == b"photo" and len(server.requests) == 2


def test_a_connection_that_breaks_is_tried_again(server):
    server.files["/1.jpg"], server.stop_after = b"x" * 100_000, 1000
    assert Address(f"{server.address}/1.jpg").read_bytes() == b"x" * 100_000
    assert len(server.requests) == 2


def test_what_is_not_there_is_not_asked_for_again(server):
    with pytest.raises(DataError, match=r"/none.jpg: the server answered 404"):
        Address(f"{server.address}/none.jpg").read_bytes()
    assert len(server.requests) == 1


def test_a_server_that_is_gone_is_tried_three_times_and_then_said(server, monkeypatch):
    calls = []
    fetch = web.fetch
    monkeypatch.setattr(web, "fetch", lambda address: calls.append(address) or fetch(address))
    with pytest.raises(DataError, match="cannot be fetched"):
        Address("http://127.0.0.1:9/1.jpg").read_bytes()
    assert len(calls) == 3


def test_more_than_a_photo_has_is_refused_and_not_kept(server, monkeypatch):
    monkeypatch.setattr(web, "MAX_BYTES", 1 << 20)
    server.files["/film"] = bytes((1 << 20) + 1)
    with pytest.raises(DataError, match="/film: more than 1 MB; a photo is smaller"):
        Address(f"{server.address}/film").read_bytes()
    assert not Address(f"{server.address}/film").cached.exists()


def test_a_list_of_addresses_is_a_data_set(server, tmp_path):
    for number in range(40):
        server.files[f"/{number}.jpg"] = b"photo %d" % number
    lines = [f"{server.address}/{number}.jpg,{'ab'[number % 2]}" for number in range(41)]
    (tmp_path / "list.csv").write_text("\n".join(lines))
    data = read(tmp_path / "list.csv")
    assert [sample.path.read_bytes() for sample in data.samples] == [b"photo %d" % number for number in range(40)]
    assert [bad.reason[:25] for bad in data.skipped] == ["the server answered 404 N"]
    assert data.notes == ("41 photos lie at http(s) addresses; 41 of them had to be downloaded.",)
    assert len(server.requests) == 41  # neither hashing nor reading fetched one twice
    again = read(tmp_path / "list.csv")
    assert again.notes == ("41 photos lie at http(s) addresses; 1 of them had to be downloaded.",)
