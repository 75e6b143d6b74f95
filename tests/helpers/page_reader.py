"""Reads HTML pages: what a browser would make of one, and what Chromium makes of it."""

import json
import subprocess
from html.parser import HTMLParser

import pytest
from checkout import HELPERS

from model_maker.demo import browser

VOID = {"meta", "img", "line", "rect", "circle", "path", "br", "input"}


class Page(HTMLParser):
    """What a browser would make of a page: tables by their names, figures, attributes, words."""

    def __init__(self, text):
        super().__init__()
        self.tables, self.figures, self.addresses, self.tags, self.words = {}, [], [], [], []
        self._region, self._inside = None, []
        self.feed(text)

    def handle_starttag(self, tag, pairs):
        attributes = dict(pairs)
        self.tags.append((tag, attributes))
        found = [value for name, value in pairs if name in ("src", "href", "srcset", "action", "data")]
        self.addresses += [address for address in found if not address.startswith("#")]
        if attributes.get("role") == "region":
            self._region = self.tables.setdefault(attributes["aria-label"], [])
        if tag == "tr":
            self._region.append([])
        if tag in ("td", "th"):
            self._region[-1].append("")
        if tag == "figure":
            self.figures.append([])
        self._inside = [tag] if tag in ("td", "th", "figure") else self._inside + [tag] * (tag not in VOID)

    def handle_endtag(self, tag):
        if tag in ("td", "th", "table", "figure"):
            self._inside = []

    def handle_data(self, text):
        self.words.append(text)
        if self._inside[:1] in (["td"], ["th"]) and self._region and self._region[-1]:
            self._region[-1][-1] += text.strip()
        elif self._inside[:1] == ["figure"]:
            self.figures[-1].append(text)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


# What `look_at` sees on a page without faults.
NOTHING = dict.fromkeys(("light", "dark", "phone"), {"violations": [], "wider": 0, "others": [], "errors": []})


def look_at(text, folder):
    """What Chromium makes of a page, see report_session.mjs."""
    if lacking := browser.missing_tools():
        pytest.skip(f"no {lacking}")
    (folder / "report.html").write_text(text, encoding="utf-8")
    command = ["node", HELPERS / "report_session.mjs", browser.chromium(), (folder / "report.html").as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)
