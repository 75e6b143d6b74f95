"""A diagnosis as one HTML page that needs nothing else: every kind of finding with thumbnails of its photos."""

from __future__ import annotations

from html import escape

from model_maker.data import sources, thumbnails
from model_maker.data.entries import Location
from model_maker.doctor.checks import CHECKS
from model_maker.doctor.diagnosis import Diagnosis, sentences
from model_maker.doctor.findings import Finding

# Of a thumbnail, pixels; twice its size on the page, for sharp screens.
_SIDE = 240
# What keeps the page in megabytes, few enough for a phone: about 6 kB a thumbnail.
_MOST, _MOST_PHOTOS = 100, 6

_STYLE = """
:root { color-scheme: light dark; --back: #fff; --text: #1c1e21; --dim: #5f6670; --line: #dfe3e8; --card: #f6f7f9;
  --serious: #b3261e; --look: #8a5a00; --know: #0b62c4; }
@media (prefers-color-scheme: dark) { :root { --back: #14171a; --text: #e6e8eb; --dim: #9aa3ad; --line: #30363d;
  --card: #1c2126; --serious: #ff8a80; --look: #f0b429; --know: #6cb0ff; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 20px 16px 40px; max-width: 1040px; background: var(--back); color: var(--text);
  font: 15px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 22px; margin: 0 0 4px; } h2 { font-size: 17px; margin: 32px 0 0; }
h2 b { font-variant-numeric: tabular-nums; } p { margin: 4px 0 10px; } .dim { color: var(--dim); }
.serious { color: var(--serious); } .look { color: var(--look); } .know { color: var(--know); }
nav { margin: 16px 0; padding: 4px 14px; background: var(--card); border: 1px solid var(--line); border-radius: 10px; }
nav a { display: flex; gap: 12px; padding: 6px 0; color: inherit; text-decoration: none; }
nav a + a { border-top: 1px solid var(--line); } nav a:hover span { text-decoration: underline; }
nav b { min-width: 3em; text-align: right; font-variant-numeric: tabular-nums; }
.cards { display: grid; gap: 12px; grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); }
.group { grid-column: 1 / -1; }
figure, .group { margin: 0; padding: 10px; background: var(--card); border: 1px solid var(--line);
  border-radius: 10px; font-size: 13px; line-height: 1.4; }
.group > div { display: grid; gap: 10px; grid-template-columns: repeat(auto-fill, minmax(130px, 1fr)); }
.group figure { padding: 0; border: 0; } .group p { margin: 0 0 8px; font-weight: 600; }
img, .none { display: block; width: 100%; aspect-ratio: 4 / 3; object-fit: contain; border-radius: 6px;
  background: var(--line); margin-bottom: 6px; }
.none { display: grid; place-items: center; color: var(--dim); aspect-ratio: auto; padding: 8px; }
figcaption b { display: block; } ul { padding-left: 20px; }
"""


def render(diagnosis: Diagnosis) -> str:
    """Writes the page; photos are opened again for their thumbnails, which carry no EXIF."""
    total = sum(diagnosis.photos.values())
    name = escape(sources.title(diagnosis.data))
    notes = "".join(f"<li>{escape(note)}</li>" for note in diagnosis.notes)
    classes = ", ".join(f"{escape(label)} {count}" for label, count in diagnosis.photos.items())
    body = [
        f"<h1>{name}: what is wrong with these photos</h1>",
        f'<p class="dim">{total} photos that can be read: {classes}</p>',
        f'<ul class="dim">{notes}</ul>' if notes else "",
        _contents(diagnosis) if diagnosis.findings else "<p>Nothing is wrong.</p>",
        "".join(f"<p>{escape(sentence)}</p>" for sentence in sentences(diagnosis.flattery)),
        *(_section(diagnosis, kind) for kind in diagnosis.findings),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{name}: what is wrong with these photos</title><style>{_STYLE}</style></head>\n"
        f"<body>\n{chr(10).join(part for part in body if part)}\n</body></html>\n"
    )


def _contents(diagnosis: Diagnosis) -> str:
    links = "".join(
        f'<a href="#{kind}"><b class="{CHECKS[kind].severity}">{len(found)}</b>'
        f"<span>{escape(CHECKS[kind].title)}</span></a>"
        for kind, found in diagnosis.findings.items()
    )
    return f"<nav>{links}</nav>"


def _section(diagnosis: Diagnosis, kind: str) -> str:
    check, found = CHECKS[kind], diagnosis.findings[kind]
    cards = "".join(_card(diagnosis, finding) for finding in found[:_MOST])
    more = f'<p class="dim">and {len(found) - _MOST} more, which --json lists</p>' if len(found) > _MOST else ""
    return (
        f'<section id="{kind}"><h2 class="{check.severity}">{escape(check.title)}: <b>{len(found)}</b></h2>'
        f'<p class="dim">{escape(check.advice)}</p><div class="cards">{cards}</div>{more}</section>'
    )


def _card(diagnosis: Diagnosis, finding: Finding) -> str:
    text = escape(finding.text)
    if not finding.photos:
        return f'<div class="group">{text}</div>'
    if len(finding.photos) == 1:
        return _figure(diagnosis, finding.photos[0], text)
    figures = "".join(_figure(diagnosis, path) for path in finding.photos[:_MOST_PHOTOS])
    more = f", {len(finding.photos)} photos" if len(finding.photos) > _MOST_PHOTOS else ""
    return f'<div class="group"><p>{text}{more}</p><div>{figures}</div></div>'


def _figure(diagnosis: Diagnosis, path: Location, text: str = "") -> str:
    name = escape(diagnosis.name(path))
    label = diagnosis.class_of.get(path)
    alt = f"{escape(label)}: {name}" if label else name
    address = thumbnails.address(path, _SIDE)
    picture = f'<img src="{address}" alt="{alt}">' if address else '<div class="none">no picture</div>'
    caption = f"<b>{text}</b>" if text else ""
    return f'<figure>{picture}<figcaption>{caption}<span class="dim">{name}</span></figcaption></figure>'
