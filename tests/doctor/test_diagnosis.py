"""Diagnosis of drawn flowers with one of each fault put into them."""

import base64
import io
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from embedding_arrays import embed
from page_reader import NOTHING, Page, look_at
from PIL import Image

from benchmarks import doctor as benchmark
from model_maker import cli, diagnose
from model_maker.backbones import embedder, int8_backbone
from model_maker.cli import doctor_views
from model_maker.data import sources
from model_maker.data.dataset import Dataset, Sample
from model_maker.doctor import diagnosis, doctor_page
from model_maker.doctor.checks import CHECKS, DEFAULT_FIXES, FIXABLE
from model_maker.doctor.examination import Examination
from model_maker.doctor.label_errors import LabelErrors
from model_maker.embeddings import work
from model_maker.errors import DataError

LITE0 = "efficientnet_lite0"  # which other tests prepare, too


def _camera_exif():
    exif = Image.Exif()
    exif[0x0112] = 6
    position = exif.get_ifd(0x8825)
    position[1], position[2], position[3], position[4] = "N", (50.0, 3.0, 1.0), "E", (8.0, 1.0, 2.0)
    exif.get_ifd(0x8769)[0xA431] = "serial-4711"
    return exif


@pytest.fixture(scope="module")
def faulty(drawn_flowers, tmp_path_factory):
    """A copy of the drawings; each fault lies in a file that is named after it."""
    home = tmp_path_factory.mktemp("doctor") / "flowers"
    shutil.copytree(drawn_flowers, home)
    daisies, roses = (sorted((home / name).iterdir()) for name in ("daisy", "rose"))
    first = Image.open(daisies[0]).convert("RGB")
    shutil.copy(daisies[1], home / "daisy" / f"copy of {daisies[1].name}")
    first.resize((first.width * 9 // 10, first.height * 9 // 10)).save(home / "daisy" / "recoded.jpg", quality=60)
    Image.open(daisies[2]).convert("RGB").transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(home / "daisy/mirrored.png")
    shutil.copy(daisies[3], home / "tulip" / f"conflict{daisies[3].suffix}")
    shutil.move(roses[0], home / "sunflower" / f"mislabelled{roses[0].suffix}")
    (home / "rose" / "text.jpg").write_text("no photo")
    (home / "rose" / "cut.jpg").write_bytes((home / "daisy" / "recoded.jpg").read_bytes()[:2000])
    (home / "rose" / "empty.png").write_bytes(b"")
    Image.new("RGB", (200, 200), (12, 12, 14)).save(home / "rose" / "black.jpg")
    Image.open(roses[1]).convert("RGB").resize((30, 40)).save(home / "rose" / "small.png")
    shutil.copy(roses[2], home / "rose" / "forgotten.txt")
    shutil.move(roses[3], home / "rose" / "misnamed.bmp")
    Image.open(roses[4]).convert("RGB").rotate(7).save(home / "rose" / "camera.jpg", exif=_camera_exif())
    return home


@pytest.fixture(scope="module")
def found(faulty, lite0):
    return diagnose(faulty, model=LITE0, threads=2)


def _names(found, kind):
    return [{path.name for path in finding.photos} for finding in found.findings.get(kind, ())]


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("broken", {"text.jpg", "cut.jpg", "empty.png"}),
        ("one-colour", {"black.jpg"}),
        ("tiny", {"small.png"}),
        ("strays", {"forgotten.txt"}),
        ("suffixes", {"misnamed.bmp"}),
        ("turned", {"camera.jpg"}),
        ("personal", {"camera.jpg"}),
    ],
)
def test_each_fault_is_found_and_nothing_else_of_its_kind(found, kind, names):
    assert set().union(*_names(found, kind)) == names


def test_photos_of_extreme_proportions_are_listed_where_they_are_many(found, faulty, tmp_path, lite0):
    assert "proportions" not in found.findings  # drawings are 4:3
    shutil.copytree(faulty.parent / "flowers" / "daisy", tmp_path / "flowers" / "daisy")
    for number, path in enumerate(sorted((tmp_path / "flowers" / "daisy").glob("daisy*"))[:6]):
        Image.open(path).convert("RGB").resize((90, 270 + number)).save(path.with_suffix(".png"))
    many = diagnose(tmp_path / "flowers", model=LITE0, threads=2).findings["proportions"]
    assert sorted(finding.text for finding in many) == [f"90 x {270 + number} pixels" for number in range(6)]


def test_copies_are_found_exact_or_not_and_across_classes(found, faulty):
    second = sorted((faulty / "daisy").glob("daisy*"))[1].name
    assert _names(found, "duplicates") == [{second, f"copy of {second}"}]
    near = set().union(*_names(found, "near-duplicates"))
    assert {"recoded.jpg", "mirrored.png"} <= near
    assert any("conflict" in " ".join(names) for names in _names(found, "conflicts"))
    (conflict,) = found.findings["conflicts"]
    assert conflict.text == "in daisy and tulip" and len(conflict.removable) == 2


def test_of_copies_the_one_with_the_plain_name_stays(found):
    (finding,) = found.findings["duplicates"]
    assert [path.name.startswith("copy of") for path in finding.photos] == [False, True]
    assert [path.name.startswith("copy of") for path in finding.removable] == [True]


def test_a_wrong_label_ranks_among_the_first_with_its_class(found):
    # A dozen drawings a class teach well, so the swapped rose and the daisy among the tulips lead.
    leading = {path.stem: finding.suggestion for finding in found.findings["labels"][:3] for path in finding.photos}
    assert leading["mislabelled"] == "rose"


def judged_labels(counts, likelier):
    """Findings about labels of a dataset with classes a, b, ... of some sizes, of which other classes look likelier.

    `likelier` names a photo, the scores of its own and of another class, and whether the other one is as usual there.
    """
    labels = np.repeat(np.arange(len(counts)), counts)
    scores = np.full((len(labels), len(counts)), 0.05)
    scores[np.arange(len(labels)), labels] = 0.9
    confident = np.zeros(len(labels), bool)
    for index, own, other, usual in likelier:
        scores[index, labels[index]], scores[index, labels[index] - 1] = own, other
        confident[index] = usual
    own = scores[np.arange(len(labels)), labels]
    best = np.where(np.eye(len(counts), dtype=bool)[labels], -1, scores).max(axis=1)
    judged = LabelErrors(scores, np.log(own / best), confident, np.zeros(len(labels)))
    samples = tuple(Sample(Path(f"{index}.jpg"), int(label), f"{index:064}") for index, label in enumerate(labels))
    dataset = Dataset(samples, tuple("abc"[: len(counts)]))
    examination = Examination(dataset, (), np.zeros((0, 1)), np.arange(len(labels)), judged, (), {})
    return list(CHECKS["labels"].find(examination))


def test_wrong_labels_stand_in_the_order_that_their_text_states():
    """The less likely its own class beside the other, the earlier."""
    doubts = [(3, 0.3, 0.6, False), (21, 0.1, 0.8, True), (30, 0.35, 0.45, False), (7, 0.2, 0.7, False)]
    found = judged_labels([20, 20], doubts)
    assert [finding.text for finding in found] == [
        "labeled b (10 %), looks like a (80 %)",
        "labeled a (20 %), looks like b (70 %), a close call",
        "labeled a (30 %), looks like b (60 %), a close call",
    ]  # 0.45 is less than 1.5 times 0.35
    assert [len(finding.removable) for finding in found] == [1, 0, 0]
    assert "the least likely label first" in CHECKS["labels"].advice


def test_close_calls_in_small_classes_are_no_alarms():
    doubts = [(3, 0.3, 0.6, False), (20, 0.1, 0.8, True), (24, 0.1, 0.8, False), (25, 0.3, 0.6, True)]
    found = judged_labels([20, 19], doubts)
    # Of the class with 19 photos only the one that is three times as likely, and as likely as is usual there.
    assert [[path.name for path in finding.photos] for finding in found] == [["20.jpg"], ["3.jpg"]]


def test_drawings_of_small_classes_raise_no_alarm_but_the_planted_one(found):
    assert [{path.stem for path in finding.photos} for finding in found.findings["labels"]] == [{"mislabelled"}]
    assert [note for note in found.notes if "only the clear label errors are listed" in note]


def test_personal_data_is_named_and_not_repeated(found):
    (finding,) = found.findings["personal"]
    assert finding.text == "GPS position, camera serial number"
    assert "serial-4711" not in json.dumps(diagnosis.as_dict(found)) + doctor_page.render(found)


def test_only_broken_files_and_exact_copies_are_mended_by_default(found):
    assert DEFAULT_FIXES == ("broken", "duplicates")
    for name, check in CHECKS.items():
        assert check.mends or not any(finding.removable for finding in found.findings.get(name, ()))


def test_the_page_needs_nothing_else_and_its_thumbnails_carry_no_exif(found):
    html = doctor_page.render(found)
    assert not re.search(r'(?:src|href)="(?!data:|#)', html) and "<script" not in html
    pictures = re.findall(r'src="data:image/jpeg;base64,([^"]+)" alt="([^"]+)"', html)
    assert any("camera.jpg" in alt for _, alt in pictures)
    for content, _ in pictures:
        assert not Image.open(io.BytesIO(base64.b64decode(content))).getexif()


def test_each_fix_on_the_page_is_a_command_that_works(faulty, found, monkeypatch, tmp_path):
    page = Page(doctor_page.render(found))
    commands = [words for words in page.words if words.startswith("model_maker doctor") and "--fix" in words]
    kinds = [shlex.split(words)[-1] for words in commands]
    assert kinds == [name for name, findings in found.findings.items() if any(one.removable for one in findings)]
    assert {"broken", "duplicates", "tiny"} < set(kinds) < set(FIXABLE) and "suffixes" in found.findings
    [tiny] = [words for words in commands if words.endswith("tiny")]
    shutil.copytree(faulty, tmp_path / "flowers")
    monkeypatch.chdir(tmp_path)
    words = [str(tmp_path / "flowers") if word == str(faulty) else word for word in shlex.split(tiny)]
    assert cli.main(cli.parse([*words, "--yes", "--model", LITE0])) == 0
    assert not (tmp_path / "flowers/rose/small.png").exists()
    assert (tmp_path / "flowers_quarantine/tiny/rose/small.png").exists()


def test_the_summary_links_to_each_section(found):
    page = Page(doctor_page.render(found))
    links = [attributes["href"] for tag, attributes in page.tags if tag == "a"]
    places = {attributes["id"] for tag, attributes in page.tags if tag == "section"}
    assert links == [f"#{kind}" for kind in found.findings] and places == set(found.findings)


@pytest.mark.slow
def test_the_page_passes_axe_and_fits_a_phone(found, tmp_path):
    assert look_at(doctor_page.render(found), tmp_path)["pages"] == NOTHING


def test_file_names_cannot_write_into_the_page(drawn_flowers, tmp_path, lite0):
    home = tmp_path / "flowers"
    shutil.copytree(drawn_flowers, home)
    (home / "rose" / "<img src=x onerror=alert(1)>.jpg").write_text("no photo")
    html = doctor_page.render(diagnose(home, model=LITE0))
    assert "<img src=x" not in html and "&lt;img src=x onerror=alert(1)&gt;.jpg" in html


def test_copies_across_stated_parts_are_leaks_and_the_training_one_would_go(drawn_flowers, tmp_path, lite0):
    home = tmp_path / "parts"
    for part, rows in (("train", slice(0, 8)), ("test", slice(8, 12))):
        for folder in sorted(drawn_flowers.iterdir()):
            (home / part / folder.name).mkdir(parents=True)
            for path in sorted(folder.iterdir())[rows]:
                shutil.copy(path, home / part / folder.name)
    tested = sorted((home / "test" / "rose").iterdir())[0]
    shutil.copy(tested, home / "train" / "rose" / tested.name)
    found = diagnose(home, model=LITE0)
    (leak,) = found.findings["leaks"]
    assert leak.removable == (home / "train" / "rose" / tested.name,)
    assert leak.text == "in test and train"
    assert (found.flattery["test"]["photos"], found.flattery["test"]["tested"]) == (1, 20)


def test_links_never_lose_their_file(drawn_flowers, tmp_path, lite0):
    home = tmp_path / "flowers"
    shutil.copytree(drawn_flowers, home)
    rose = sorted((home / "rose").iterdir())[0]
    (home / "violet").mkdir()
    for path in sorted((home / "tulip").iterdir())[:3]:
        path.rename(home / "violet" / path.name)
    (home / "rose" / "a.txt").symlink_to(rose.name)  # by its name no photo
    (home / "rose" / "a.png").symlink_to(rose.name)
    (home / "other").symlink_to("violet")
    found = diagnose(home, model=LITE0)
    # Shorter, but a link: the photo itself stays.
    (finding,) = found.findings["duplicates"]
    assert finding.removable == (home / "rose" / "a.png",)
    # A class under two names: moving one would take the photos from the other.
    conflicts = found.findings["conflicts"]
    assert len(conflicts) == 3 and not any(conflict.removable for conflict in conflicts)
    assert all({path.parent.name for path in found.photos} == {"other", "violet"} for found in conflicts)


def test_an_archive_is_diagnosed_as_its_folder_and_not_mended(faulty, found, tmp_path, capsys):
    archive = shutil.make_archive(tmp_path / "flowers", "zip", faulty)
    packed = diagnose(archive, model=LITE0)
    counts = {name: len(findings) for name, findings in found.findings.items() if name != "strays"}
    assert {name: len(findings) for name, findings in packed.findings.items()} == counts
    assert doctor_page.render(packed).count("data:image/jpeg") == doctor_page.render(found).count("data:image/jpeg") - 1
    assert cli.main(cli.parse(["model_maker", "doctor", archive, "--fix"])) == 1
    assert "flowers.zip is not a folder of class folders" in capsys.readouterr().err


@pytest.mark.slow
def test_one_class_or_few_photos_are_said_and_do_not_stop_it(make_photos, tmp_path, lite0):
    make_photos(tmp_path / "one", {"red": 5})
    found = diagnose(tmp_path / "one", model=LITE0)
    assert "labels" not in found.findings and "The only class is red" in found.notes[-1]
    make_photos(tmp_path / "few", {"red": 8, "blue": 8, "green": 1})
    found = diagnose(tmp_path / "few", model=LITE0)
    assert "Labels of green were not assessed" in found.notes[-1]
    assert [finding.text for finding in found.findings["classes"]][-1] == "blue has 8 photos and green 1: 8 to 1"


def test_a_folder_of_broken_files_only_is_diagnosed(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.jpg").write_text(f"no photo {name}")
    found = diagnose(tmp_path, model=LITE0)
    assert found.photos == {"a": 0, "b": 0} and len(found.findings["broken"]) == 2


def test_file_names_cannot_command_the_terminal(tmp_path, capsys):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x\x1b[2J\u202e.jpg").write_text(f"no photo {name}")
    doctor_views.show_diagnosis(diagnose(tmp_path, model=LITE0))
    text = capsys.readouterr().out
    assert "x\ufffd[2J\ufffd.jpg" in text and not {"\x1b", "\u202e"} & set(text)


def test_an_empty_folder_is_one_clear_line(tmp_path):
    with pytest.raises(DataError, match="holds no photos"):
        diagnose(tmp_path, model=LITE0)


def test_train_finds_the_embeddings_in_the_cache(faulty, found, monkeypatch):
    base = int8_backbone.int8_backbone(embedder.embedder(embedder.choose("efficientnet_lite0")), [])
    dataset = sources.read(faulty)
    readable = {path.name for path in found.class_of}
    dataset = type(dataset)(tuple(s for s in dataset.samples if s.path.name in readable), dataset.classes)
    monkeypatch.setattr(work.Work, "views", lambda *_: pytest.fail("it is embedded already"))
    vectors, skipped = embed(dataset, base.embedder, None)
    assert len(vectors) == len(dataset) and not skipped and np.isfinite(vectors).all()


def test_the_command_writes_one_json_document(faulty, found, tmp_path):
    words = [
        sys.executable,
        "-m",
        "model_maker",
        "doctor",
        str(faulty),
        "--model",
        LITE0,
        "--json",
        "--html",
        str(tmp_path / "p.html"),
    ]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["findings"]["tiny"]["found"][0]["photos"] == [str(faulty / "rose" / "small.png")]
    assert (tmp_path / "p.html").read_text().startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--fix", "classes"], "--fix classes: choose from broken, leaks"),
        (["--quarantine", "q"], "--quarantine needs --fix or --undo"),
        (["--undo", "--fix"], "leave --fix and --html out"),
        (["--threads", "0"], "--threads 0: pass 1 or more"),
        (["--fix"], "stdin is not interactive: add --yes"),
        (["--fix", "--json"], "stdin is not interactive: add --yes"),
    ],
)
def test_what_makes_no_sense_is_refused_before_any_work(faulty, words, message, capsys):
    assert cli.main(cli.parse(["model_maker", "doctor", str(faulty), *words])) == 1
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_planted_faults_of_real_photos_are_found(shared_data, tmp_path, lite0):
    planted = benchmark.plant(shared_data / "flowers", tmp_path / "flowers", seed=0)
    score = benchmark.score(diagnose(tmp_path / "flowers", model=LITE0), planted)
    assert (score["broken"], score["exact copies"], score["recoded copies"]) == (10, 20, 20)
    # One scene was photographed twice, and its pictures look alike.
    assert score["other near copies"] == 1
    # 16 to 20 in eleven seeds; chance would put 2 of 20 among the first 40 of 640.
    assert score["swapped labels in the first 40"] >= 15
