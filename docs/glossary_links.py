"""A hook of mkdocs: the first use of each term of the glossary on a page links to it.

Not in headings, code and links, nor in the reference, which is read off the code.
"""

import html
import re
from html.parser import HTMLParser

from mkdocs.utils import get_relative_url

_GLOSSARY = "glossary.md"
_LEFT_ALONE = {
    "a",
    "button",
    "code",
    "dt",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "label",
    "pre",
    "script",
    "style",
    "svg",
    "th",
}
_ENTRY = re.compile(r"^(\S.*)\n: +(.*)$", re.M)


def on_page_content(content: str, page, config, files) -> str:
    """Adds the links; to the glossary itself, the places where they lead."""
    glossary = files.get_file_from_path(_GLOSSARY)
    if page.file.src_uri == _GLOSSARY:
        return re.sub(r"<dt>(.*?)</dt>", _with_id, content)
    if page.file.src_uri.startswith("reference/"):
        return content
    address = get_relative_url(glossary.url, page.url)
    return linked(content, entries(glossary.content_string), address)


def entries(text: str) -> dict[str, tuple[str, str]]:
    """Returns each term, in small letters, with its anchor and its meaning, in words without markup."""
    found = {}
    for names, meaning in _ENTRY.findall(text):
        # Without a sentence that is only a link.
        plain = re.sub(r"(^|(?<=\. ))\[[^]]*\]\([^)]*\)\.$", "", meaning)
        plain = re.sub(r"\[(.*?)\]\(.*?\)|`", r"\1", plain).strip()
        for name in names.replace("`", "").split(", "):
            found[name.lower()] = (anchor(names), plain)
    return found


def linked(content: str, known: dict[str, tuple[str, str]], address: str) -> str:
    """Returns HTML with links to the entries of a glossary at an address."""
    return _Linking(known, address).copy(content)


def anchor(names: str) -> str:
    """Returns the id of an entry, by what stands before its colon."""
    return re.sub(r"[^a-z0-9]+", "-", names.lower()).strip("-")


def _with_id(match: re.Match[str]) -> str:
    return f'<dt id="{anchor(html.unescape(re.sub("<.*?>", "", match[1])))}">{match[1]}</dt>'


class _Linking(HTMLParser):
    """Copies HTML as it stands, and puts links around terms in its text."""

    def __init__(self, known: dict[str, tuple[str, str]], address: str) -> None:
        super().__init__(convert_charrefs=False)
        self._known, self._address = dict(known), address
        self._out: list[str] = []
        self._inside = 0

    def copy(self, content: str) -> str:
        self.feed(content)
        self.close()
        return "".join(self._out)

    def handle_starttag(self, tag, attrs):
        self._inside += tag in _LEFT_ALONE
        self._out.append(self.get_starttag_text())

    def handle_startendtag(self, tag, attrs):
        self._out.append(self.get_starttag_text())

    def handle_endtag(self, tag):
        self._inside -= tag in _LEFT_ALONE
        self._out.append(f"</{tag}>")

    def handle_data(self, data):
        self._out.append(data if self._inside or not self._known else self._with_links(data))

    def handle_entityref(self, name):
        self._out.append(f"&{name};")

    def handle_charref(self, name):
        self._out.append(f"&#{name};")

    def handle_comment(self, data):
        self._out.append(f"<!--{data}-->")

    def _with_links(self, text: str) -> str:
        # The longest first: "score threshold" is not a "score".
        terms = sorted(self._known, key=len, reverse=True)
        pattern = rf"(?<![\w.-])({'|'.join(map(re.escape, terms))})(s?)(?![\w-]|\.\w)"
        return re.sub(pattern, self._link, text, flags=re.I)

    def _link(self, match: re.Match[str]) -> str:
        if match[1].lower() not in self._known:  # found before in this very text
            return match[0]
        place, meaning = self._known.pop(match[1].lower())
        for other in [name for name, (anchor_, _) in self._known.items() if anchor_ == place]:
            del self._known[other]
        return f'<a class="term" href="{self._address}#{place}" title="{html.escape(meaning)}">{match[0]}</a>'
