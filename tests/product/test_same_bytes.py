"""What is written is the same on all systems: order, ends of lines, slashes, encodings."""

import ast
import errno
import io
import pathlib
import sys
from pathlib import Path, PurePosixPath, PureWindowsPath

import other_systems
import pytest
from checkout import ROOT
from photo_files import fill

from model_maker.backbones import importers
from model_maker.data import entries, folders, parquet, tfrecords
from model_maker.doctor import examination, quarantine
from model_maker.doctor.diagnosis import Diagnosis
from model_maker.exporters import export
from model_maker.exporters.exported import Exported
from model_maker.inference import addresses, runtimes
from model_maker.normalization import Normalization
from model_maker.system import files
from model_maker.terminal import exit_codes
from model_maker.tflite import metadata


@pytest.fixture
def folding(monkeypatch):
    """Paths that are ordered as on Windows, where letters count without their case."""
    monkeypatch.setattr(pathlib.PurePath, "__lt__", lambda one, other: str(one).lower() < str(other).lower())


def test_paths_are_ordered_by_bytes_not_by_case(folding, tmp_path):
    names = ["B.jpg", "_.jpg", "a.jpg"]  # by ASCII; without case "_" stands behind letters, too
    assert sorted(tmp_path / name for name in names) != [tmp_path / name for name in names]
    fill(tmp_path / "data", {f"{folder}/{name}": name for folder in ("Z", "y") for name in names})
    found = [entry.path.relative_to(tmp_path / "data").as_posix() for entry in folders.entries(tmp_path / "data", [])]
    assert found == [f"{folder}/{name}" for folder in ("Z", "y") for name in names]
    assert [Path(name).name for name in addresses.expand([str(tmp_path / "data/Z")])] == names


def test_files_of_a_data_set_are_ordered_by_bytes_not_by_case(folding, tmp_path):
    fill(tmp_path, dict.fromkeys(("B.parquet", "a.parquet", "B.tfrecord", "a.tfrecord", "B.onnx", "a.onnx"), ""))
    for find, suffix in ((parquet.files_in, "parquet"), (tfrecords.files_in, "tfrecord"), (runtimes.models_in, "onnx")):
        assert [path.name for path in find(tmp_path)] == [f"B.{suffix}", f"a.{suffix}"]


def test_strays_are_ordered_by_bytes_not_by_case(folding, tmp_path, monkeypatch):
    fill(tmp_path, {"B/x": "", "a/x": ""})
    monkeypatch.setattr(examination, "holds_photo", lambda path: True)
    assert [path.parent.name for path in examination.strays_in(str(tmp_path))] == ["B", "a"]


def test_a_folder_of_a_model_has_one_identity(folding, tmp_path, monkeypatch):
    fill(tmp_path / "model", {"B/x": "1", "a/y": "2"})
    folded = importers.ForeignModel(str(tmp_path / "model")).identity()
    monkeypatch.undo()
    assert importers.ForeignModel(str(tmp_path / "model")).identity() == folded


def test_a_zip_does_not_say_where_it_was_made(make_tiny_model, monkeypatch):
    content = make_tiny_model()
    info = metadata.ModelInfo(("a", "b", "c"), Normalization(127.0, 128.0), name="tiny")
    here = metadata.write(content, info)
    monkeypatch.setattr(sys, "platform", "win32")  # which is what zipfile asks
    assert metadata.write(content, info) == here


def test_a_photo_has_one_name():
    assert (
        entries.spelled(PureWindowsPath(r"rose\1.jpg")) == entries.spelled(PurePosixPath("rose/1.jpg")) == "rose/1.jpg"
    )
    assert entries.spelled("s3://rose/1.jpg") == "s3://rose/1.jpg"
    diagnosis = Diagnosis("my/flowers", {}, {}, {}, (), {}, {})
    assert diagnosis.name(PureWindowsPath(r"my\flowers\rose\1.jpg")) == "rose/1.jpg"
    assert diagnosis.name(PurePosixPath("my/flowers/rose/1.jpg")) == "rose/1.jpg"
    assert diagnosis.name("my/flowers/rose/1.jpg") == "rose/1.jpg"  # in an archive


def test_an_export_names_its_files_with_slashes():
    output = PureWindowsPath("out")
    found = export.Export(output, (Exported("c_header", output / "c_header" / "model.cc"),))
    assert [entry["path"] for entry in export.as_dict(found)["formats"]] == ["c_header/model.cc"]


@pytest.mark.parametrize(
    ("path", "out"),
    [
        (PureWindowsPath(r"rose\1.jpg"), False),
        (PureWindowsPath("rose/1.jpg"), False),
        (PureWindowsPath(r"C:\1.jpg"), True),
        (PureWindowsPath(r"\1.jpg"), True),  # of the current drive
        (PureWindowsPath("C:1.jpg"), True),  # of the current folder of a drive
        (PureWindowsPath(r"\\server\share\1.jpg"), True),
        (PureWindowsPath(r"rose\..\..\1.jpg"), True),
        (PurePosixPath("/1.jpg"), True),
        (PurePosixPath("rose/../../1.jpg"), True),
        (PurePosixPath("C:1.jpg"), False),
    ],
)
def test_a_path_in_a_log_leads_out_or_not(path, out):
    assert files.leads_out(path) is out


def test_a_whole_drive_has_no_place_beside_it():
    with pytest.raises(files.OutputError, match="no place beside / for a quarantine. Give `quarantine`"):
        quarantine.default_place("/")


class _Broken(io.TextIOWrapper):
    """As stdout is on Windows when the reader of its pipe has left."""

    def __init__(self, descriptor):
        super().__init__(io.BytesIO(), encoding="utf-8")
        self.descriptor, self.number = descriptor, 0

    def flush(self):
        if self.number:
            raise OSError(self.number, "Invalid argument")

    def leave(self, number):
        self.number = number

    def fileno(self):
        return self.descriptor


def _ended(command):
    return exit_codes.exit_code(command, program="p", debug=False, interrupted="")


def test_a_reader_that_left_is_no_failure_on_windows(monkeypatch, tmp_path):
    with open(tmp_path / "stdout", "wb") as spare:
        stdout = _Broken(spare.fileno())
        monkeypatch.setattr(sys, "stdout", stdout)
        assert _ended(lambda: stdout.leave(errno.EINVAL)) == exit_codes.OK
        stdout.leave(0)
        with pytest.raises(OSError, match="Invalid argument"):
            _ended(lambda: stdout.leave(errno.EIO))


def test_a_bad_name_is_not_taken_for_a_reader_that_left():
    def command():
        raise OSError(errno.EINVAL, "Invalid argument", "a?.jpg")

    with pytest.raises(OSError, match=r"a\?\.jpg"):
        _ended(command)


PRINT = """
import sys
from model_maker.terminal import exit_codes
exit_codes.exit_code(lambda: print("ä→"), program="p", debug=False, interrupted="")
"""


def test_what_is_printed_into_a_file_is_utf_8_on_windows_too():
    # Python's own choice there is the code page, here played by cp1252, which has no arrow.
    codes = {"PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0"}
    with other_systems.start("win32", PRINT, **codes) as windows, other_systems.start("", PRINT, **codes) as here:
        assert windows.communicate()[0] == "ä→\n".encode()
        assert here.communicate()[0] == b"\xe4\\u2192\n"


def _calls(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            function = node.func
            name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
            yield node, name, {keyword.arg for keyword in node.keywords}


def _mode(call, place):
    given = [keyword.value for keyword in call.keywords if keyword.arg == "mode"] or call.args[place : place + 1]
    return given[0].value if given and isinstance(given[0], ast.Constant) else "r"


SOURCES = [path for name in ("model_maker", "benchmarks") for path in sorted((ROOT / name).rglob("*.py"))]
SOURCES.append(ROOT / "setup.py")


def test_text_is_read_and_written_in_utf_8_and_with_one_end_of_lines():
    # Windows would take its code page, and end lines with CR LF.
    seen, wrong = set(), []
    for path in SOURCES:
        for call, name, given in _calls(ast.parse(path.read_text(encoding="utf-8"))):
            is_open = name == "open" and isinstance(call.func, ast.Name) and "b" not in _mode(call, 1)
            demanded = {
                "read_text": {"encoding"},
                "write_text": {"encoding", "newline"},
                "open": {"encoding", "newline"} if is_open else set(),
                "run": {"encoding"} if "text" in given else set(),
                "Popen": {"encoding"} if "text" in given else set(),
            }.get(name, set())
            if demanded:
                seen.add(name)
            if not demanded <= given:
                wrong.append(f"{path.relative_to(ROOT)}:{call.lineno}: {name} without {sorted(demanded - given)}")
    assert wrong == [] and {"read_text", "write_text", "run"} <= seen


def test_a_relative_path_becomes_text_with_slashes():
    wrong = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            texts = [node.value] if isinstance(node, ast.FormattedValue) else []
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "str":
                texts = node.args
            wrong += [
                f"{path.relative_to(ROOT)}:{text.lineno}"
                for text in texts
                if isinstance(text, ast.Call) and getattr(text.func, "attr", "") == "relative_to"
            ]
    assert wrong == []


def test_no_file_is_open_while_a_child_is_to_open_it():
    # As NamedTemporaryFile keeps it, which on Windows nobody else can open.
    names = {name for path in SOURCES for _, name, _ in _calls(ast.parse(path.read_text(encoding="utf-8")))}
    assert "TemporaryDirectory" in names and "NamedTemporaryFile" not in names
