"""The documentation site: it builds, fetches nothing, states all that is public, and its search answers."""

import ast
import inspect
import json
import os
import re
import subprocess
import sys
import typing
from collections.abc import Callable
from pathlib import Path

import pages
import pytest
from checkout import HELPERS

import model_maker
from model_maker import cli, errors, options
from model_maker.compat import config, image_classifier, model_spec
from model_maker.demo import browser
from model_maker.terminal import flags

pytestmark = pytest.mark.slow

PUBLIC = sorted(set(model_maker.__all__) - {"__version__"})
# What people type into the search, and the page that answers it.
QUESTIONS = {
    "how many photos do I need": "how-to/how-many-photos",
    "choose a backbone": "how-to/choose-backbone",
    "add to existing Android app": "how-to/android-app",
    "iOS app": "how-to/ios-app",
    "Flutter": "how-to/flutter",
    "React Native": "how-to/react-native",
    "web page": "how-to/web-app",
    "Raspberry Pi": "how-to/raspberry-pi",
    "noCompress": "how-to/android-app",
    "wrong answers on the phone": "how-to/wrong-on-phone",
    "GPU and NNAPI delegates": "how-to/delegates",
    "smaller and faster": "how-to/smaller-faster",
    "unbalanced data": "how-to/unbalanced-data",
    "privacy": "how-to/privacy",
    "offline": "how-to/privacy",
    "from Teachable Machine": "how-to/from-teachable-machine",
    "from Ultralytics": "how-to/other-tools",
    "TFLite Model Maker": "COMPAT",
    "from MediaPipe Model Maker": "how-to/other-tools",
    "glossary": "glossary",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, as `make docs` builds it."""
    pytest.importorskip("material", reason="mkdocs-material is missing: pip install 'model-maker[docs]'")
    folder = tmp_path_factory.mktemp("site")
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(words, cwd=pages.ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_site_fetches_nothing(site):
    for path in site.rglob("*.html"):
        sources = re.findall(r"<(?:script|img|iframe)[^>]+src=[\"']?([^\"' >]+)", path.read_text(encoding="utf-8"))
        sources += re.findall(r"<link[^>]+href=[\"']?([^\"' >]+)", path.read_text(encoding="utf-8"))
        assert sources
        assert [source for source in sources if "//" in source] == [], path


def test_terms_lead_to_their_entries_in_the_glossary(site):
    places = set(re.findall(r'<dt id="([^"]+)"', (site / "glossary.html").read_text(encoding="utf-8")))
    linked = {
        place
        for path in site.rglob("*.html")
        for place in re.findall(r'class="term" href="[./]*glossary\.html#([^"]+)"', path.read_text(encoding="utf-8"))
    }
    assert len(linked) >= 20 and linked <= places


def test_blocks_of_two_kinds_stand_in_tabs(site):
    html = (site / "tutorial.html").read_text(encoding="utf-8")
    assert len(re.findall(r'<label for="__tabbed_\d+_2">Python', html)) >= 4 and 'tab="' not in html


@pytest.fixture(scope="module")
def seen(site):
    """Every page in Chromium, from the disk, as `make docs` says to open it."""
    if lacking := browser.missing_tools():
        pytest.skip(f"no {lacking}")
    addresses = [path.as_uri() for path in sorted(site.rglob("*.html")) if path.name != "404.html"]
    first = (site / "index.html").as_uri()
    job = {"chromium": browser.chromium(), "questions": list(QUESTIONS)}
    job["copied"] = (site / "tutorial.html").as_uri()
    job["pages"] = [first, *(address for address in addresses if address != first)]
    words = ["node", HELPERS / "site_session.mjs"]
    done = subprocess.run(words, input=json.dumps(job), capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def test_every_page_passes_axe(seen):
    """In light and dark."""
    assert len(seen["axe"]) >= 2 * 40
    assert {page: found for page, found in seen["axe"].items() if found} == {}


def test_no_page_is_wider_than_its_window(seen):
    assert len(seen["overflow"]) >= 3 * 40
    assert {page: pixels for page, pixels in seen["overflow"].items() if pixels > 0} == {}


def test_navigation_is_visible_at_1200_pixels(seen):
    assert {page: links for page, links in seen["navigation"].items() if links < 6} == {}


def test_the_copy_button_takes_commands_without_prompts_and_output(seen):
    assert seen["copied"].splitlines() == ["model_maker --version"]


@pytest.mark.parametrize("question", QUESTIONS)
def test_search_answers(question, seen, site):
    assert (site / f"{QUESTIONS[question]}.html").as_uri() in seen["answers"][question]


def _types(hint):
    """Our classes in a type; what callbacks are called with is no affair of those who call."""
    if typing.get_origin(hint) is Callable:
        return set()
    if inspect.isclass(hint) and not typing.get_args(hint):
        return {hint} if hint.__module__.startswith("model_maker.") else set()
    return set().union(*map(_types, typing.get_args(hint)))


def _held():
    """The types that users get or give: those of public functions, and of what is public of these types."""
    found, waiting = set(), {getattr(model_maker, name) for name in PUBLIC}
    while waiting:
        thing = waiting.pop()
        annotated = [thing]
        if inspect.isclass(thing):
            found.add(thing)
            open_names = [value for name, value in vars(thing).items() if name == "__call__" or name[0] != "_"]
            annotated += [getattr(value, "fget", None) or getattr(value, "func", value) for value in open_names]
        hints = [typing.get_type_hints(each) for each in annotated if callable(each)]
        waiting |= set().union(*(_types(hint) for each in hints for hint in each.values())) - found
    return found


def test_reference_states_every_public_name_and_type(site):
    html = "".join((site / f"reference/{page}.html").read_text(encoding="utf-8") for page in ("python", "types"))
    held = _held() - {getattr(model_maker, name) for name in PUBLIC}
    names = {f"{thing.__module__}.{thing.__name__}" for thing in held}
    assert len(names) > 30 and "model_maker.tflite.client_rules.Rule" in names  # of a Finding of a Certificate
    names |= {f"model_maker.errors.{name}" for name in vars(errors) if name.endswith("Error")}
    names |= {f"model_maker.{name}" for name in PUBLIC}
    for name in names - {"model_maker.errors.ModelMakerError"}:
        assert f'id="{name}"' in html, name
    private = re.findall(r'id="(model_maker[\w.]*\._[a-z]\w*)"', html)
    assert private == []


def test_reference_states_what_moves_in(site):
    html = (site / "reference/compat.html").read_text(encoding="utf-8")
    for module in (image_classifier, config, model_spec):
        names = getattr(module, "__all__", None) or [
            name for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__
        ]
        for name in {name for name in names if name[0] != "_"}:
            assert f'id="{module.__name__}.{name}"' in html or f"<code>{name}</code>" in html, name


def test_attributes_that_share_a_line_stand_together(site):
    html = (site / "reference/python.html").read_text(encoding="utf-8")
    assert "<code>max_size_mb, max_latency_ms</code>" in html
    assert not re.search(r",(</span>)?</code></b>", html)


def test_reference_states_every_command_and_option(site):
    """Against the source of the parser: what stands in its calls as a string stands in the page."""
    html = (site / "reference/commands.html").read_text(encoding="utf-8")
    sources = (path.read_text(encoding="utf-8") for path in Path(cli.__file__).parent.glob("*.py"))
    calls = [node for text in sources for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    named = {
        call.args[0].value
        for call in calls
        if getattr(call.func, "attr", "") == "add_argument" and isinstance(call.args[0], ast.Constant)
    } - {"--version", "--debug"}
    offered = named | {flags.of_option(name) for name in options.declarations()}
    assert len(named) > 40 and len(offered) > 70
    assert "<code>--help" not in html and "SUPPRESS" not in html
    for option in offered - {
        "model",
        "models",
        "photos",
        "data",
        "directory",
        "folder",
        "query",
        "repository",
        "shell",
        "old",
        "new",
    }:
        assert f"<code>{option}" in html, option
