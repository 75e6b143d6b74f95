"""`model_maker studio` in a process of its own: it says where it is and ends at ctrl-C; a kill leaves nothing."""

import contextlib
import os
import signal
import socket
import subprocess
import sys

import pytest
from studio_client import StudioClient

from model_maker.cli import main, parse
from model_maker.system import files


@contextlib.contextmanager
def started(folder, *more):
    """A studio, and who asks it."""
    command = [sys.executable, "-m", "model_maker", "studio", str(folder), "--no-browser", *more]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline()
            assert line.startswith(f"{folder} at http://127.0.0.1:"), process.stderr.read()
            yield process, StudioClient(line.split(" at ")[1].split(" (")[0])
        finally:
            process.kill()


def test_ctrl_c_ends_it(tmp_path):
    with started(tmp_path / "garden") as (process, client):
        assert client.state()["classes"] == []
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 0
        assert "Traceback" not in process.stderr.read()
    assert (tmp_path / "garden").is_dir()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_kill_in_the_middle_of_an_upload_leaves_nothing(tmp_path):
    side = tmp_path / "garden_studio"
    with started(tmp_path / "garden") as (process, client):
        assert client.act("add_class", name="rose")[0] == 200
        with socket.create_connection((client.parts.hostname, client.parts.port)) as connection:
            connection.sendall(
                f"PUT {client.parts.path}api/upload?class=rose&name=a.jpg HTTP/1.1\r\nHost: {client.parts.netloc}\r\n"
                f"Origin: http://{client.parts.netloc}\r\nContent-Length: 5000\r\n\r\n".encode()
                + b"\xff\xd8\xff"
            )
            while not list(side.rglob("upload.jpg")):
                assert process.poll() is None
            process.kill()
            process.wait()
    assert list((tmp_path / "garden/rose").iterdir()) == []
    files.collect_leftovers()
    assert [path.name for path in side.iterdir()] == []
    with started(tmp_path / "garden") as (_, client):
        assert client.state()["classes"] == [{"name": "rose", "photos": []}]


def test_two_studios_work_on_one_folder(tmp_path):
    with started(tmp_path / "garden") as (_, one), started(tmp_path / "garden") as (_, other):
        one.act("add_class", name="rose")
        assert [entry["name"] for entry in other.state()["classes"]] == ["rose"]
        other.act("delete_class", name="rose")
        assert one.state()["undo"] == "deleted the class rose"
        assert one.act("undo") == (200, {"undone": "deleted the class rose"})
        assert [entry["name"] for entry in other.state()["classes"]] == ["rose"]


def test_what_it_cannot_do_is_one_line(tmp_path, capsys):
    (tmp_path / "file").touch()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for words, said in {
            (str(tmp_path / "file"),): "is a file: give a folder",
            (str(tmp_path / "new"), "--port", str(port)): f"Port {port} cannot be taken",
            (str(tmp_path / "new"), "--port", "70000"): "Port 70000 cannot be taken: it is no port",
        }.items():
            assert main(parse(["model_maker", "studio", *words, "--no-browser"])) == 1
            error = capsys.readouterr().err
            assert said in error
            assert error.count("\n") == 1


def test_a_folder_that_cannot_be_written_is_told(tmp_path, capsys):
    if os.name != "posix" or os.geteuid() == 0:
        pytest.skip("this user may write everywhere")
    tmp_path.chmod(0o500)
    assert main(parse(["model_maker", "studio", str(tmp_path / "new")])) == 1
    assert "No permission" in capsys.readouterr().err
