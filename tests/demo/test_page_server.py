"""`model_maker demo`: its server on 127.0.0.1, and the site that it exports."""

import re
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from model_maker.cli import main, parse
from model_maker.demo import static_site
from model_maker.demo.page_server import PageServer, serving
from model_maker.errors import ModelError, OutputError


def _get(url, *, host=None, method="GET"):
    request = urllib.request.Request(url, headers={"Host": host} if host else {}, method=method)
    return urllib.request.urlopen(request, timeout=10)


SITE = {"index.html": b"<p>page", "runtime/core.js": b"code", "model.tflite": b"model"}


@pytest.fixture(scope="module")
def address():
    with serving(SITE) as server:
        yield server.url


def test_the_server_gives_the_site_isolated(address):
    with _get(address) as answer:
        assert answer.read() == b"<p>page"
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert answer.headers["Cross-Origin-Embedder-Policy"] == "require-corp"
        assert "script-src 'self' 'wasm-unsafe-eval';" in answer.headers["Content-Security-Policy"]
    with _get(address + "runtime/core.js?v=1", host="localhost:1") as answer:
        assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"
    with _get(address + "model.tflite", method="HEAD") as answer:
        assert answer.headers["Content-Length"] == "5"
        assert answer.read() == b""


@pytest.mark.parametrize("path", ["runtime/", "../setup.cfg", "..%2f..%2fsetup.cfg", "/etc/passwd", "app.py"])
def test_the_server_gives_nothing_else(address, path):
    with pytest.raises(urllib.error.HTTPError) as caught:
        _get(address + path)
    assert caught.value.code == 404


@pytest.mark.parametrize("host", ["flowers.example", "flowers.example:{port}", "127.0.0.1.flowers.example:{port}"])
def test_the_server_refuses_other_names(address, host):
    port = address.rstrip("/").split(":")[-1]
    with pytest.raises(urllib.error.HTTPError) as caught:
        _get(address, host=host.format(port=port))
    assert caught.value.code == 421


def test_a_taken_port_is_reported():
    with (
        PageServer(SITE) as server,
        pytest.raises(OutputError, match=f"Port {server.server_port} cannot be taken: .*`port`"),
    ):
        PageServer(SITE, server.server_port)
    with pytest.raises(OutputError, match="Port 70000 cannot be taken"):
        PageServer(SITE, 70000)


def test_the_command_serves_until_ctrl_c(runtime, trained):
    command = [sys.executable, "-m", "model_maker", "demo", str(trained["uint8"]), "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        line = child.stdout.readline()
        url = line.split(" at ")[1].split()[0]
        with _get(url + "model.tflite") as answer:
            assert answer.read() == (trained["uint8"] / "model.tflite").read_bytes()
        child.send_signal(2)
        rest, errors = child.communicate(timeout=20)
    assert (child.returncode, rest.strip(), errors) == (0, "", "")


def run_command(*arguments):
    return main(parse(["model_maker", "demo", *map(str, arguments)]))


def test_the_site_is_all_that_the_page_needs(runtime, trained, tmp_path, capsys):
    assert run_command(trained["uint8"], "--export", tmp_path / "site") == 0
    assert capsys.readouterr().out.startswith(f"{tmp_path}/site/index.html (")
    found = {str(path.relative_to(tmp_path / "site")) for path in (tmp_path / "site").rglob("*") if path.is_file()}
    assert {"index.html", "app.js", "style.css", "runtime/core.js", "runtime/LICENSE", "_headers"} <= found
    assert (tmp_path / "site/model.tflite").read_bytes() == (trained["uint8"] / "model.tflite").read_bytes()
    assert "  Cross-Origin-Embedder-Policy: require-corp\n" in (tmp_path / "site/_headers").read_text()
    # Every module that the page imports is there.
    imports = [
        line for path in (tmp_path / "site").glob("*.js") for line in path.read_text().split("'") if "./" in line
    ]
    assert {name.removeprefix("./") for name in imports if name.endswith(".js")} <= found


def test_only_a_site_is_replaced(runtime, trained, tmp_path, capsys):
    assert run_command(trained["uint8"], "--export", tmp_path / "site") == 0
    assert run_command(trained["uint8"], "--export", tmp_path / "site") == 1
    assert "--overwrite" in capsys.readouterr().err
    assert run_command(trained["float32"], "--export", tmp_path / "site", "--overwrite") == 0
    assert (tmp_path / "site/model.tflite").read_bytes() == (trained["float32"] / "model.tflite").read_bytes()
    (tmp_path / "site/thesis.txt").write_text("years of work")
    assert run_command(trained["uint8"], "--export", tmp_path / "site", "--overwrite") == 1
    assert "thesis.txt" in capsys.readouterr().err
    assert (tmp_path / "site/thesis.txt").read_text() == "years of work"


def test_without_litertjs_a_checkout_and_an_installed_copy_say_how_to_get_it(trained, monkeypatch, tmp_path):
    monkeypatch.setattr(static_site, "PAGE", tmp_path / "model_maker/demo/page")
    with pytest.raises(ModelError, match=r"in the checkout, and then `pip install \.` there again\.$"):
        static_site.site(trained["uint8"])
    (tmp_path / "package-lock.json").write_text("{}")
    with pytest.raises(ModelError, match=f"run `make runtime`, which needs npm, in {re.escape(str(tmp_path))}.$"):
        static_site.site(trained["uint8"])


def test_what_is_no_classifier_is_refused(tmp_path, tiny_embedder, capsys):
    (tmp_path / "embedder.tflite").write_bytes(tiny_embedder)
    for name, said in {"embedder.tflite": "no labels", "nothing.tflite": "does not exist"}.items():
        assert run_command(tmp_path / name) == 1
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1
