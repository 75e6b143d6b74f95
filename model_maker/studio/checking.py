"""Check: what the doctor finds, as a list to work through on the page; photos by their identifiers."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from model_maker.data.entries import Location
from model_maker.doctor import diagnosis
from model_maker.doctor.checks import CHECKS
from model_maker.doctor.findings import Finding
from model_maker.progress import Progress
from model_maker.studio.workspace import Workspace

# Of one kind, so many on the page; the next check has the others.
MOST_FOUND = 60


def check(workspace: Workspace, progress: Progress) -> dict[str, Any]:
    """Examines all photos; nothing is changed."""
    found = diagnosis.diagnose(workspace.photos, progress=progress)
    groups = [
        {
            "kind": kind,
            "title": CHECKS[kind].title,
            "severity": CHECKS[kind].severity,
            "advice": CHECKS[kind].advice,
            "count": len(findings),
            "found": [_plain(finding, found, workspace) for finding in findings[:MOST_FOUND]],
        }
        for kind, findings in found.findings.items()
    ]
    return {"groups": groups, "photos": sum(found.photos.values()), "notes": list(found.notes)}


def _plain(finding: Finding, found: diagnosis.Diagnosis, workspace: Workspace) -> dict[str, Any]:
    photos = [
        {"id": workspace.id_of(path), "class": found.class_of.get(path, ""), "name": path.name}
        for path in _inside(finding.photos, workspace)
    ]
    removable = [workspace.id_of(path) for path in _inside(finding.removable, workspace)]
    return {"text": finding.text, "photos": photos, "removable": removable, "suggestion": finding.suggestion}


def _inside(photos: Iterable[Location], workspace: Workspace) -> list[Path]:
    return [path for path in photos if isinstance(path, Path) and path.is_relative_to(workspace.photos)]
