"""Names and labels come from files that nobody has looked into: wherever they are shown, they are text."""

import csv
import dataclasses
import html
import io
import json
import socket
import subprocess
import sys

import numpy as np
import pytest
from card_values import INFO, REPORT
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from PIL import Image

from model_maker.benchmark import results
from model_maker.cli import main, parse, printing
from model_maker.demo.page_server import serving
from model_maker.fitting import Fit
from model_maker.report import markdown, model_card
from model_maker.terminal import safe_text

FORMULAS = [
    *('=cmd|"/C calc"!A0', "+1+1", "-2+3", "@SUM(1)", "\t=1", "\r=1", "\n=1", " =1", "\uff1d1", "\uff0b1"),
]


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_is_text(text):
    # What OWASP advises: an apostrophe in front.
    assert safe_text.cell(text).startswith("'")


@pytest.mark.parametrize(
    "text", ["rose", "-", "a=b", "1.5", "a-b", "C:\\roses\\1.jpg", "/data/x.jpg", "", "Gänseblümchen 🌹"]
)
def test_other_cells_stay_as_they_are(text):
    assert safe_text.cell(text) == text


COMMANDS = ["\x1b[2J", "\x9b1m", "\x07", "\r", "\x08", "\u202e", "\u2066", "\x7f", "\x00", "\u2028", "\u200f"]


@pytest.mark.parametrize("text", [*COMMANDS, "\n", "\t"])
def test_a_cell_holds_one_line_that_no_terminal_obeys(text):
    assert safe_text.cell(f"a{text}b").startswith("a\ufffd")
    assert text not in safe_text.cell(f"a{text}b")


@pytest.fixture
def hostile_photos(tmp_path):
    names = ["=cmd|x!A0.png", "-a.png", "\x1b[2Jb.png", "\nmodel_maker: all is well.png", "c\x9b1m.png"]
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in names:
        Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(folder / name)
    return folder


@pytest.mark.parametrize("output", ["--csv", "--json", None])
def test_predict_shows_names_and_labels_as_text(hostile_photos, tmp_path, make_tiny_model, monkeypatch, capsys, output):
    (tmp_path / "model.tflite").write_bytes(make_tiny_model(labels=("=1+1", "\x1b[31mred", "@c")))
    monkeypatch.chdir(hostile_photos)
    names = sorted(path.name for path in hostile_photos.iterdir())
    asked = ["predict", str(tmp_path / "model.tflite"), *(f"./{name}" if name[0] == "-" else name for name in names)]
    assert main(parse(["model_maker", *asked, *[output] * bool(output)])) == 0
    shown = capsys.readouterr().out
    assert not set(shown) & set("\x1b\x9b\x07\r")
    if output == "--csv":
        rows = list(csv.DictReader(io.StringIO(shown)))
        assert len(rows) == 3 * len(names)
        assert {row["label"] for row in rows} == {"'=1+1", "\ufffd[31mred", "'@c"}
        assert {row["photo"] for row in rows} == {
            *("'=cmd|x!A0.png", "./-a.png", "\ufffd[2Jb.png", "'\ufffdmodel_maker: all is well.png", "c\ufffd1m.png")
        }
        assert all(0 <= float(row["score"]) <= 1 for row in rows)
    if output == "--json":
        assert sorted(row["photo"].removeprefix("./") for row in json.loads(shown)) == names


def test_a_name_does_not_pass_for_a_message(tmp_path, make_tiny_model, monkeypatch, capsys):
    (tmp_path / "model.tflite").write_bytes(make_tiny_model())
    (tmp_path / "a\nmodel_maker: all is well").write_text("no photo")
    monkeypatch.chdir(tmp_path)
    assert main(parse(["model_maker", "predict", "model.tflite", "a\nmodel_maker: all is well"])) == 1
    assert [line[:13] for line in capsys.readouterr().err.splitlines()] == ["model_maker: ", "  model_maker"]


def test_a_name_that_passes_for_an_option_does_not_steer_the_terminal(capsys):
    with pytest.raises(SystemExit) as caught:
        parse(["model_maker", "predict", "model.tflite", "a.png", "--\x1b[2J\nmodel_maker:well"])
    assert caught.value.code == 2
    shown = capsys.readouterr().err
    assert "--\ufffd[2J\n  model_maker:well" in shown and "\x1b" not in shown


def test_json_is_the_same_and_no_terminal_obeys_it(capsys):
    content = {"".join(COMMANDS): ["\x85", "\\u009b", "Gänse 🌹\t\n"]}
    printing.print_json(content)
    shown = capsys.readouterr().out
    assert json.loads(shown) == content
    assert safe_text.printable(shown) == shown


def test_rows_of_a_benchmark_are_text_and_numbers_stay_numbers():
    assert [results.csv_cell(value) for value in ("=1", -0.5, -3, ("-a", "b"), None)] == [
        *("'=1", -0.5, -3, "'-a; b", None)
    ]


MARKUP = [
    *(
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[x](javascript:alert(1))",
        "![x](http://a.example/)",
    ),
    *(
        "`code`",
        "**bold**",
        "__bold__",
        "_a_",
        "~~gone~~",
        "| cell |",
        "# head",
        "1. one",
        "- one",
        "+ one",
        "=====",
        "---",
    ),
    *(
        "&lt;b&gt;",
        "&amp;",
        "a\\b",
        "<!-- gone -->",
        "<http://a.example>",
        "a\n\n# head",
        "\x1b[2J",
        "$x$",
        "a_b",
        "rose",
    ),
]


def as_html(text):
    return html.escape(text, quote=False).replace('"', "&quot;")


def rendered(text):
    return MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(text)


@pytest.mark.parametrize("value", MARKUP)
def test_markdown_shows_a_text_as_it_is(value):
    expected = as_html(" ".join(safe_text.one_line(value).split()))
    assert rendered(markdown.text(value)) == f"<p>{expected}</p>\n"
    assert rendered(f"# {markdown.text(value)}") == f"<h1>{expected}</h1>\n"
    assert f"<td>{expected}</td>" in rendered(f"| a | b |\n|---|---|\n| {markdown.text(value)} | 1 |")


@given(st.text(st.sampled_from("\\`*_{}[]<>()#+-.!|&;~=:1a /\n\t\"'$@"), min_size=1, max_size=12))
def test_markdown_shows_any_text_as_it_is(value):
    expected = as_html(" ".join(safe_text.one_line(value).split()))
    assert rendered(markdown.text(value)) == (f"<p>{expected}</p>\n" if expected else "")


def test_addresses_become_no_links():
    # GitHub makes links of these without any markup.
    assert markdown.text("https://a.example www.a.example") == "https\\://a.example www\\.a.example"


@pytest.mark.parametrize("value", MARKUP[:4])
def test_the_card_of_a_model_keeps_no_markup(value):
    classes = (dataclasses.replace(REPORT.test.per_class[0], label=value),)
    report = dataclasses.replace(REPORT, test=dataclasses.replace(REPORT.test, per_class=classes))
    info = type(INFO)((value, "b"), INFO.normalization, name=value, licence=value)
    page = rendered(model_card.render(info, report, backbone=value, quantize="int8", io="uint8", fit=Fit(224, 224)))
    assert page.count(as_html(value)) == 4  # title, network, licence, class
    assert not any(mark in page for mark in ("<script", "<img", "<a "))


def test_the_card_of_an_export_keeps_no_markup(tmp_path, make_tiny_model):
    from model_maker.tflite import metadata

    content = make_tiny_model("none", "float32")
    info = metadata.read(content)
    evil = type(info)(
        ("<b>a", "b", "c"), info.normalization, name="<script>x", description="<img src=x>", licence="[a](b)"
    )
    (tmp_path / "m.tflite").write_bytes(metadata.write(content, evil))
    assert (
        main(
            parse(
                [
                    "model_maker",
                    "export",
                    str(tmp_path / "m.tflite"),
                    "--format",
                    "tflite-float16",
                    "--output",
                    str(tmp_path / "out"),
                ]
            )
        )
        == 0
    )
    [card] = (tmp_path / "out").rglob("README.md")
    page = rendered(card.read_text())
    assert "<script" not in page and "<img" not in page and "<a " not in page
    assert all(as_html(text) in page for text in ("<script>x", "<img src=x>", "[a](b)"))


def talk(address, *parts):
    """Sends bytes to the server and returns all that it answers until it ends the connection."""
    host, port = address.removeprefix("http://").rstrip("/").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        for part in parts:
            connection.sendall(part)
        answer = b""
        while more := connection.recv(65536):
            answer += more
    return answer


SITE = {"index.html": b"<p>page", "model.tflite": b"model"}
HEAD = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n"
INNER = b"GET /model.tflite HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@pytest.mark.parametrize(
    "request_bytes",
    [
        HEAD + b"Content-Length: %d\r\n\r\n" % len(INNER) + INNER,
        HEAD + b"Content-Length: 0\r\nContent-Length: %d\r\n\r\n" % len(INNER) + INNER,
        HEAD + b"Content-Length: x\r\n\r\n" + INNER,
        HEAD + b"Content-Length: -5\r\n\r\n" + INNER,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"%x\r\n" % len(INNER) + INNER + b"\r\n0\r\n\r\n",
        HEAD.replace(b"GET", b"HEAD") + b"Content-Length: %d\r\n\r\n" % len(INNER) + INNER,
    ],
)
def test_a_body_is_no_next_request(request_bytes):
    with serving(SITE) as server:
        answer = talk(server.url, request_bytes)
    assert answer.startswith(b"HTTP/1.1 400 ") and answer.count(b"HTTP/1.1") == 1
    assert b"Connection: close" in answer and b"model" not in answer.split(b"\r\n\r\n", 1)[1]


def test_a_long_body_is_not_read():
    with serving(SITE) as server:
        assert talk(server.url, HEAD + b"Content-Length: 99999999\r\n\r\n", bytes(1 << 16)).startswith(b"HTTP/1.1 400 ")


def test_requests_without_a_body_go_on_in_one_connection():
    with serving(SITE) as server:
        answer = talk(server.url, HEAD + b"Content-Length: 0\r\n\r\n", HEAD + b"Connection: close\r\n\r\n")
    assert answer.count(b"HTTP/1.1 200 ") == 2


LEAVING = """
import socket, struct, time
from model_maker.demo.page_server import serving
large = {"index.html": bytes(50_000_000)}
with serving(large) as server:
    for sent in (b"GET / HT", b"GET / HTTP/1.1\\r\\nHost: 127.0.0.1\\r\\n\\r\\n", b""):
        for _ in range(3):
            left = socket.create_connection(("127.0.0.1", server.server_port))
            left.sendall(sent)
            time.sleep(0.05)
            # Ends the connection at once, with a reset.
            left.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            left.close()
    time.sleep(0.5)
"""


def test_a_client_that_leaves_is_no_news():
    done = subprocess.run([sys.executable, "-c", LEAVING], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
