"""What a check found and how the pile was sorted outlast the studio, as far as it is still true."""

import json
import os
from pathlib import Path

import pytest

from model_maker.doctor import diagnosis
from model_maker.doctor.diagnosis import Diagnosis
from model_maker.doctor.findings import Finding
from model_maker.errors import DataError
from model_maker.progress import Progress
from model_maker.studio import checking, labelling, pile_order
from model_maker.studio.labelling import Suggestion
from model_maker.studio.studio import Studio
from model_maker.studio.workspace import FINDINGS, QUEUE, Workspace


def diagnosed(findings, class_of):
    found = {kind: tuple(some) for kind, some in findings.items()}
    return Diagnosis("garden", {"rose": 3, "tulip": 2}, found, {}, ("A note.",), class_of, {})


@pytest.fixture
def checked(workspace, jpeg, monkeypatch):
    """A workspace in which the doctor has found a wrong label, two copies, and something of all classes."""
    for label, count in {"rose": 3, "tulip": 2}.items():
        workspace.add_class(label)
        for number in range(count):
            (workspace.photos / label / f"{number}.jpg").write_bytes(jpeg(number))
    rose, tulip = (workspace.photos / label for label in ("rose", "tulip"))
    findings = {
        "labels": [Finding("looks like tulip", (rose / "2.jpg",), (rose / "2.jpg",), suggestion="tulip")],
        "duplicates": [Finding("the same image", (rose / "0.jpg", rose / "1.jpg"), (rose / "1.jpg",))],
        "classes": [Finding("tulip has 2 photos")],
    }
    class_of = {path: path.parent.name for folder in (rose, tulip) for path in folder.iterdir()}
    found = diagnosed(findings, class_of)
    monkeypatch.setattr(diagnosis, "diagnose", lambda data, progress: found)
    checking.check(workspace, Progress())
    return workspace


def texts(workspace):
    """{kind: texts} as a studio that is started now shows them."""
    findings = Studio(Workspace(workspace.photos)).state()["findings"]
    return {group["kind"]: [one["text"] for one in group["found"]] for group in findings["groups"]}


ALL = {"labels": ["looks like tulip"], "duplicates": ["the same image"], "classes": ["tulip has 2 photos"]}


def without(*kinds):
    return {kind: found for kind, found in ALL.items() if kind not in kinds}


def test_a_restart_shows_what_the_check_found(checked):
    found = Studio(Workspace(checked.photos)).state()["findings"]
    assert texts(checked) == ALL
    assert (found["notes"], found["changed"]) == (["A note."], False)
    [label] = found["groups"][0]["found"]
    [photo] = label["photos"]
    assert label["suggestion"] == "tulip"
    assert (photo["class"], photo["name"]) == ("rose", "2.jpg")
    assert label["removable"] == [photo["id"]]
    assert Workspace(checked.photos).path(photo["id"]) == checked.photos / "rose/2.jpg"


def test_advice_is_for_the_page(checked):
    advice = [group["advice"] for group in Studio(checked).state()["findings"]["groups"]]
    assert advice[0] == "Check each photo, the least likely label first, and move it to the correct class."
    assert not [text for text in advice if "--" in text]


def test_without_a_check_there_are_no_findings(workspace):
    assert Studio(workspace).state()["findings"] is None


def test_a_finding_whose_photo_moved_is_gone_until_undo(checked):
    [photo] = [photo.id for photo in checked.classes()["rose"] if photo.path.name == "2.jpg"]
    checked.move([photo], "tulip")
    assert texts(checked) == without("labels", "classes")
    assert Studio(checked).state()["findings"]["changed"]
    checked.undo()
    assert texts(checked) == ALL


def test_one_copy_is_no_finding(checked):
    (checked.photos / "rose/0.jpg").unlink()
    assert texts(checked) == without("duplicates", "classes")


def test_a_finding_whose_photo_was_replaced_is_gone(checked, jpeg):
    (checked.photos / "rose/2.jpg").write_bytes(jpeg(7))
    assert texts(checked) == without("labels")


def test_what_changes_during_the_check_is_not_listed(checked, monkeypatch, jpeg):
    found = diagnosis.diagnose(None, None)

    def diagnose(data, progress):
        (checked.photos / "rose/2.jpg").write_bytes(jpeg(7) + b"longer")
        return found

    monkeypatch.setattr(diagnosis, "diagnose", diagnose)
    checking.check(checked, Progress())
    assert texts(checked) == without("labels")


def test_an_accepted_finding_stays_away_until_undo(checked):
    [label] = Studio(checked).state()["findings"]["groups"][0]["found"]
    studio = Studio(checked)
    studio.act("accept", {"finding": label["key"]})
    assert texts(checked) == without("labels")
    checking.check(checked, Progress())  # the doctor finds it again
    assert texts(checked) == without("labels")
    assert studio.act("undo", {}) == {"undone": "accepted: looks like tulip"}
    assert texts(checked) == ALL
    for unknown in ("x", None, 3):
        with pytest.raises(DataError, match="no longer on the list"):
            studio.act("accept", {"finding": unknown})


def test_findings_beyond_the_list_are_counted(checked, monkeypatch):
    many = {"labels": [Finding(f"number {n}", (checked.photos / "rose/2.jpg",)) for n in range(100)]}
    found = diagnosed(many, {})
    monkeypatch.setattr(diagnosis, "diagnose", lambda data, progress: found)
    checking.check(checked, Progress())
    [group] = Studio(checked).state()["findings"]["groups"]
    assert (len(group["found"]), group["more"]) == (60, 40)


def altered(record, path, value):
    *parents, last = path
    place = record
    for step in parents:
        place = place[step]
    place[last] = value
    return json.dumps(record)


FIRST = ("groups", 0, "found", 0)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("groups",), None),
        (("groups",), [[]]),
        (("groups", 0, "kind"), "<b>"),
        (("groups", 0, "count"), "many"),
        ((*FIRST, "photos"), 3),
        ((*FIRST, "photos", 0, "path"), "../../../etc/passwd"),
        ((*FIRST, "photos", 0, "path"), "/etc/passwd"),
        ((*FIRST, "photos", 0, "path"), "rose/\0.jpg"),
        ((*FIRST, "photos", 0, "mark"), [0, 0]),
        ((*FIRST, "photos", 0, "mark"), None),
    ],
)
def test_a_file_that_says_nonsense_shows_nothing_of_it(checked, path, value):
    file = checked.side / FINDINGS
    file.write_text(altered(json.loads(file.read_text()), path, value))
    found = Studio(checked).state()["findings"]
    assert "looks like tulip" not in json.dumps(found)
    assert "passwd" not in json.dumps(found)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000])
def test_a_file_that_was_cut_off_is_no_check(checked, content):
    for name in (FINDINGS, QUEUE, "result.json"):
        (checked.side / name).write_bytes(content)
    state = Studio(checked).state()
    assert (state["findings"], state["queue"], state["result"]) == (None, [], None)


@pytest.fixture
def piled(checked, jpeg, monkeypatch):
    """The same with a sorted pile: c.jpg, a.jpg, b.jpg."""
    checked.unlabelled.mkdir()
    for number, name in enumerate("abc"):
        (checked.unlabelled / f"{name}.jpg").write_bytes(jpeg(10 + number))
    order = [Suggestion(checked.unlabelled / f"{name}.jpg", "rose", 0.5) for name in "cab"]
    monkeypatch.setattr(labelling, "suggest", lambda data, pile, progress: order)
    pile_order.sort(checked, Progress())
    return checked


def queue(workspace):
    return [entry["name"] for entry in Studio(Workspace(workspace.photos)).state()["queue"]]


def test_a_restart_keeps_the_order_of_the_pile(piled):
    state = Studio(Workspace(piled.photos)).state()
    assert [(one["name"], one["guess"], one["score"]) for one in state["queue"]] == [
        (f"{name}.jpg", "rose", 0.5) for name in "cab"
    ]
    assert {one["id"] for one in state["queue"]} == {one["id"] for one in state["unlabelled"]}


def test_labelled_and_replaced_photos_leave_the_queue(piled, jpeg):
    [first] = [photo.id for photo in piled.pile() if photo.path.name == "c.jpg"]
    piled.move([first], "tulip")
    assert queue(piled) == ["a.jpg", "b.jpg"]
    (piled.unlabelled / "b.jpg").write_bytes(jpeg(99))
    assert queue(piled) == ["a.jpg"]
    piled.undo()
    assert queue(piled) == ["c.jpg", "a.jpg"]


def test_a_queue_holds_no_score_that_json_has_no_word_for(piled):
    file = piled.side / QUEUE
    file.write_text(file.read_text().replace("0.5", "NaN"))
    assert [one["score"] for one in Studio(piled).state()["queue"]] == [0, 0, 0]


def test_two_studios_show_the_same(checked, piled):
    one, other = Studio(Workspace(checked.photos)), Studio(Workspace(checked.photos))
    before = other.workspace.stamp()
    [label] = one.state()["findings"]["groups"][0]["found"]
    one.act("accept", {"finding": label["key"]})
    assert one.state() == other.state()
    assert other.workspace.stamp() != before  # its pages look again


def test_pages_look_again_after_a_check(checked):
    before = checked.stamp()
    checking.check(checked, Progress())
    assert checked.stamp() != before


@pytest.mark.skipif(os.name != "posix", reason="names are text there")
def test_names_that_are_no_text_are_shown(client, workspace, jpeg):
    folder = os.fsencode(workspace.photos)
    os.mkdir(folder + b"/\xff")
    Path(os.fsdecode(folder + b"/\xff/\xfe.jpg")).write_bytes(jpeg())
    [_, odd] = client.state()["classes"]
    assert (odd["name"], [photo["name"] for photo in odd["photos"]]) == ("?", ["?.jpg"])
