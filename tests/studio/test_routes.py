"""What the server does with what a page, or somebody else, sends."""

import io
import os
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest


def archive(**members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in members.items():
            packed.writestr(name, content)
    return file.getvalue()


def everything_below(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_photos_stay_byte_for_byte(client, workspace, jpeg):
    assert client.upload("a b.jpg", jpeg(), "rose") == (200, {"taken": 1, "refused": []})
    assert (workspace.photos / "rose/a b.jpg").read_bytes() == jpeg()
    [photo] = client.state()["classes"][0]["photos"]
    assert photo["name"] == "a b.jpg"
    assert client.ask("GET", f"photo/{photo['id']}")[2] == jpeg()
    assert client.ask("GET", f"thumbnail/{photo['id']}")[2].startswith(b"\xff\xd8\xff")


def test_a_photo_that_is_moved_while_it_is_asked_for_is_given(client, workspace, jpeg, monkeypatch):
    client.upload("a.jpg", jpeg(), "rose")
    [photo] = client.state()["classes"][0]["photos"]
    found, gone = workspace.path, [workspace.photos / "tulip/a.jpg"]
    monkeypatch.setattr(workspace, "path", lambda name: gone.pop() if gone else found(name))
    status, _, content = client.ask("GET", f"photo/{photo['id']}")
    assert (status, content, gone) == (200, jpeg(), [])


def test_a_thumbnail_of_a_photo_that_is_moved_is_given(client, workspace, jpeg, monkeypatch):
    client.upload("a.jpg", jpeg(), "rose")
    [photo] = client.state()["classes"][0]["photos"]
    found, gone = workspace.path, [workspace.photos / "tulip/a.jpg"]
    monkeypatch.setattr(workspace, "path", lambda name: gone.pop() if gone else found(name))
    status, _, content = client.ask("GET", f"thumbnail/{photo['id']}")
    assert (status, content[:3], gone) == (200, b"\xff\xd8\xff", [])


def test_a_file_that_is_no_photo_has_no_thumbnail_until_it_is_one(client, workspace, jpeg):
    path = workspace.photos / "rose/a.jpg"
    path.write_bytes(bytes(len(jpeg())))
    facts = path.stat()
    [photo] = client.state()["classes"][0]["photos"]
    assert client.ask("GET", f"thumbnail/{photo['id']}")[0] == 404
    path.write_bytes(jpeg())
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))  # as if it had been unreadable for a moment
    assert client.ask("GET", f"thumbnail/{photo['id']}")[0] == 200


def test_equal_names_become_unique(client, workspace, jpeg):
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda seed: client.upload("same.jpg", jpeg(seed), "rose"), range(16)))
    assert [status for status, _ in answers] == [200] * 16
    stored = {path.read_bytes() for path in (workspace.photos / "rose").iterdir()}
    assert stored == {jpeg(seed) for seed in range(16)}


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("../../escaped.jpg", "escaped.jpg"),
        ("..\\..\\escaped.jpg", "escaped.jpg"),
        ("/etc/passwd.jpg", "passwd.jpg"),
        ("C:\\boot.jpg", "boot.jpg"),
        ("<img src=x onerror=alert(1)>.jpg", "_img src=x onerror=alert(1)_.jpg"),
        (".hidden.jpg", "hidden.jpg"),
        ("line\nbreak.jpg", "line_break.jpg"),
        ("..", "photo.jpg"),
        ("", "photo.jpg"),
        ("nul.jpg", "photo.jpg"),
        ("shell.php", "shell.php.jpg"),
        ("x" * 300 + ".jpg", "x" * 196 + ".jpg"),
    ],
)
def test_no_name_leads_out_of_its_class(client, workspace, jpeg, name, stored):
    assert client.upload(name, jpeg(), "rose")[0] == 200
    assert everything_below(workspace.photos.parent) == [f"garden/rose/{stored}"]


@pytest.mark.parametrize("label", ["..", "../garden_model", "/tmp", "rose/..", "tulip", ".", ""])
def test_a_class_is_one_that_is_there(client, workspace, jpeg, label):
    status, answer = client.upload("a.jpg", jpeg(), label)
    assert status == 400
    assert answer["error"].startswith("There is no class")
    assert everything_below(workspace.photos.parent) == []


@pytest.mark.parametrize("path", ["photo/../../../etc/passwd", "photo/%2e%2e%2f%2e%2e%2fetc%2fpasswd", "../setup.cfg"])
def test_no_path_reads_a_file(client, path):
    status, _, content = client.ask("GET", path)
    assert status in (400, 403, 404)
    assert b"root:" not in content


def test_what_is_no_photo_is_refused(client, workspace):
    for content in (b"", b"<script>alert(1)</script>", b"\xff\xd8\xff", b"%PDF-1.7"):
        status, answer = client.upload("a.jpg", content, "rose")
        assert status == 400
        assert "\n" not in answer["error"]
        assert str(workspace.side) not in answer["error"]
    assert everything_below(workspace.photos.parent) == []


def test_a_large_upload_is_refused_by_what_it_says_of_itself(client, workspace):
    answer = client.raw("PUT api/upload?class=rose&name=a.zip", Content_Length=4 << 30)
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"more than the 2048 MB" in answer
    assert everything_below(workspace.photos.parent) == []


def test_an_upload_that_says_nothing_of_its_length_is_refused(client, workspace):
    answer = client.raw("PUT api/upload?class=rose&name=a.jpg", b"3\r\nabc\r\n0\r\n\r\n", Transfer_Encoding="chunked")
    assert b"says how long it is" in answer
    assert everything_below(workspace.photos.parent) == []


def test_a_refused_upload_still_gets_its_answer(client):
    """Megabytes are on their way when the class turns out to be gone."""
    status, answer = client.upload("a.jpg", bytes(30 << 20), "tulip")
    assert (status, answer["error"][:20]) == (400, "There is no class 't")


def test_an_upload_that_ends_early_leaves_nothing(client, workspace, jpeg):
    client.raw("PUT api/upload?class=rose&name=a.jpg", jpeg()[:100], ends=True, Content_Length=5000)
    assert client.upload("b.jpg", jpeg(), "rose")[0] == 200
    assert everything_below(workspace.photos.parent) == ["garden/rose/b.jpg"]


def test_archives_bring_their_classes(client, workspace, jpeg):
    members = {"pile/tulip/1.jpg": jpeg(1), "pile/rose/2.jpg": jpeg(2), "pile/rose/3.jpg": b"\xff\xd8\xff"}
    status, answer = client.upload("pile.zip", archive(**members))
    assert (status, answer["taken"]) == (200, 2)
    assert answer["refused"][0].startswith("pile/rose/3.jpg: ")
    assert everything_below(workspace.photos) == ["rose/2.jpg", "tulip/1.jpg"]


def test_an_archive_goes_into_the_class_that_it_is_dropped_on(client, workspace, jpeg):
    assert client.upload("flat.zip", archive(**{"1.jpg": jpeg(1), "deep/2.jpg": jpeg(2)}), "rose")[0] == 200
    assert everything_below(workspace.photos) == ["rose/1.jpg", "rose/2.jpg"]


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"a/bomb.jpg": bytes(200 << 20)}, "it would unpack to"),
        ({"../../escaped.jpg": b"x", "a/1.jpg": b"x"}, "points outside of it"),
        ({f"a/{number}.jpg": b"" for number in range(2000)}, "are empty"),
    ],
    ids=["bomb", "traversal", "empty files"],
)
def test_hostile_archives_are_refused(client, workspace, members, said):
    status, answer = client.upload("evil.zip", archive(**members))
    assert status == 400
    assert answer["error"].startswith("This archive is rejected: ")
    assert said in answer["error"]
    assert everything_below(workspace.photos.parent) == []


@pytest.mark.slow
def test_thousands_of_uploads_are_dealt_with(client, workspace):
    """They are no photos; all are refused, and the studio answers on.

    More than the 1,024 files that a process may usually have open, so that one left open each time would be seen.
    """
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda number: client.upload(f"{number}.jpg", b"x", "rose")[0], range(2_000)))
    assert set(answers) == {400}
    assert client.state()["classes"] == [{"name": "rose", "photos": []}]
    assert everything_below(workspace.photos.parent) == []


@pytest.mark.parametrize("body", ["[]", "not json", '"text"', '{"name": 3}', '{"name": null}', '{"name": ["a"]}'])
def test_odd_requests_are_refused_in_words(client, body):
    status, _, content = client.ask("POST", "api/do/add_class", body)
    assert status == 400
    assert b"error" in content


def test_a_request_of_endless_length_is_refused(client):
    status, answer = client.act("add_class", name="x" * (5 << 20))
    assert (status, answer) == (400, {"error": "This request is too large."})


def test_two_tabs_may_do_the_same(client, jpeg):
    client.upload("a.jpg", jpeg(), "rose")
    [photo] = client.state()["classes"][0]["photos"]
    assert client.act("delete", photos=[photo["id"]])[0] == 200
    status, answer = client.act("delete", photos=[photo["id"]])
    assert status == 400
    assert answer["error"] == "This photo is no longer there: somebody has moved it."


def test_the_page_is_light(client):
    """Without the runtime, all that a first visit loads."""
    names = ["", "style.css", "icon.svg", "demo/style.css", *(f"{name}.js" for name in MODULES)]
    sizes = [len(client.ask("GET", name)[2]) for name in names]
    assert all(sizes)
    assert sum(sizes) <= 400_000


MODULES = (
    *("app", "api", "camera", "check", "collect", "dialogs", "elements", "files", "label", "progress", "ship"),
    *("train", "trial", "demo/live", "demo/metadata", "demo/model", "demo/picture", "demo/resize", "demo/runtime/core"),
)
