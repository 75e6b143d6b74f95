"""Compiled templates in the cache."""

import jinja2
import pytest

from model_maker.report.compiled_templates import CompiledTemplates
from model_maker.system import files


@pytest.fixture
def render(empty_cache, tmp_path):
    module = tmp_path / "module.py"
    module.write_text("OPTIONS = 1")

    def rendered(source):
        loader = jinja2.DictLoader({"page": source})
        environment = jinja2.Environment(loader=loader, bytecode_cache=CompiledTemplates(str(module)))
        return environment.get_template("page").render(name="rose")

    return rendered


def never(*_, **__):
    raise AssertionError("compiled again")


def test_a_template_is_compiled_once(render, monkeypatch):
    assert render("A {{ name }}") == "A rose"
    monkeypatch.setattr(jinja2.Environment, "compile", never)
    assert render("A {{ name }}") == "A rose"
    with pytest.raises(AssertionError, match="compiled again"):
        render("The {{ name }}")


def test_other_options_compile_again(render, monkeypatch, tmp_path):
    render("A {{ name }}")
    (tmp_path / "module.py").write_text("OPTIONS = 2")
    monkeypatch.setattr(jinja2.Environment, "compile", never)
    with pytest.raises(AssertionError, match="compiled again"):
        render("A {{ name }}")


def test_a_damaged_entry_is_compiled_again(render):
    render("A {{ name }}")
    [entry] = (files.cache_directory() / "templates").glob("*.bin")
    entry.write_bytes(entry.read_bytes()[:-9])
    assert render("A {{ name }}") == "A rose"


def test_a_cache_that_cannot_be_written_is_done_without(render):
    files.cache_directory().mkdir(parents=True, exist_ok=True)
    (files.cache_directory() / "templates").write_text("in the way")
    assert render("A {{ name }}") == "A rose"
