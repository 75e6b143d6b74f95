"""A diagnosis as a self-contained HTML page: every kind of finding with thumbnails of its photos."""

from typing import Any

from model_maker.data import sources, thumbnails
from model_maker.data.entries import Location
from model_maker.doctor.checks import CHECKS
from model_maker.doctor.diagnosis import Diagnosis, of_facts, sentences
from model_maker.doctor.findings import Finding
from model_maker.doctor.quarantine import folder_of
from model_maker.report import pages
from model_maker.terminal import rendering

# Pixels of a thumbnail; twice its size on the page, for high-density screens.
_SIDE = 240
# Limits that keep the page small enough for a phone; a thumbnail takes about 6 kB.
_MOST, _MOST_PHOTOS = 100, 6


def render(diagnosis: Diagnosis) -> str:
    """Writes the page; thumbnails are made from the photos and contain no EXIF."""
    kinds = [_kind(diagnosis, key) for key in diagnosis.findings]
    return pages.render(
        "doctor.html",
        name=sources.title(diagnosis.data),
        classes=diagnosis.photos,
        readable=diagnosis.readable,
        notes=diagnosis.notes,
        sentences=[*sentences(diagnosis.flattery), *filter(None, [of_facts(diagnosis.facts)])],
        kinds=kinds,
        undo=any(kind["command"] for kind in kinds) and f"model_maker doctor {rendering.quoted(diagnosis.data)} --undo",
    )


def _kind(diagnosis: Diagnosis, key: str) -> dict[str, Any]:
    check, found = CHECKS[key], diagnosis.findings[key]
    return {
        "key": key,
        "severity": check.severity,
        "title": check.title,
        "advice": check.advice,
        "count": len(found),
        "command": _command(diagnosis, key),
        "moves": diagnosis.removable([key]),
        "findings": [_finding(diagnosis, finding) for finding in found[:_MOST]],
    }


def _command(diagnosis: Diagnosis, key: str) -> str:
    """Returns the command that moves the photos of a kind of findings out; empty if none does."""
    if not diagnosis.removable([key]) or folder_of(diagnosis.data) is None:
        return ""
    several = " --multi-label" if diagnosis.total is not None else ""
    return f"model_maker doctor {rendering.quoted(diagnosis.data)}{several} --fix {key}"


def _finding(diagnosis: Diagnosis, finding: Finding) -> dict[str, Any]:
    shown = [_photo(diagnosis, path) for path in finding.photos[:_MOST_PHOTOS]]
    return {"text": finding.text, "count": len(finding.photos), "photos": shown}


def _photo(diagnosis: Diagnosis, path: Location) -> dict[str, str]:
    label, address = diagnosis.class_of.get(path) or "", thumbnails.address(path, _SIDE)
    return {"name": diagnosis.name(path), "label": label, "address": address}
