"""Check: what the doctor finds, as a list to work through on the page; photos by their identifiers.

The list is kept beside the photos. Of a finding only what is still true is shown: one whose photos are changed, moved
or gone leaves the list, and is back when they are.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from model_maker.data.entries import Location
from model_maker.doctor import diagnosis
from model_maker.doctor.checks import CHECKS
from model_maker.doctor.findings import Finding
from model_maker.errors import DataError
from model_maker.progress import Progress
from model_maker.studio import kept_work
from model_maker.studio.kept_work import Mark
from model_maker.studio.workspace import FINDINGS, Workspace, listing, shown

# Of one kind, so many on the page; the next check has the others.
MOST_FOUND = 60
# What the command would do; the page has a button for it.
_OF_COMMAND = re.compile(r"; --fix [^.]+(?=\.)")


def check(workspace: Workspace, progress: Progress) -> None:
    """Examines all photos and keeps what is found; no photo is changed."""
    classes = workspace.classes()
    # Marked before they are examined: what changes meanwhile does not count as examined.
    before = kept_work.marks(photo.path for photos in classes.values() for photo in photos)
    found = diagnosis.diagnose(workspace.photos, progress=progress)
    groups = [
        {
            "kind": kind,
            "count": len(findings),
            "found": [_record(finding, found, workspace, before) for finding in findings[:MOST_FOUND]],
        }
        for kind, findings in found.findings.items()
    ]
    content = {"listing": listing(classes), "groups": groups, "notes": list(found.notes)}
    kept_work.write(workspace.side / FINDINGS, content)


def kept(workspace: Workspace, now: str) -> dict[str, Any] | None:
    """Returns what is still true of the last check, for the page; None where there was none.

    Findings about whole classes hold only while the `listing` of the photos is the same.
    """
    record = kept_work.read(workspace.side / FINDINGS)
    if record is None:
        return None
    try:
        same, accepted = record["listing"] == now, workspace.accepted()
        groups = []
        for group in record["groups"]:
            stored = [(_key(group["kind"], one), one) for one in group["found"]]
            open_ones = [(key, one) for key, one in stored if key not in accepted]
            plain = [found for key, one in open_ones if (found := _plain(key, one, workspace, same=same))]
            groups.append(_headed(group["kind"]) | {"found": plain, "more": max(0, group["count"] - len(stored))})
        notes = [shown(note) for note in record["notes"]]
    except kept_work.DAMAGE:
        return None
    return {"groups": [group for group in groups if group["found"]], "notes": notes, "changed": not same}


def accept(workspace: Workspace, finding: object) -> None:
    """Takes a finding off the list for good, until `undo`.

    Raises:
      DataError: it is not on the list.
    """
    found = kept(workspace, listing(workspace.classes()))
    listed = {one["key"]: one for group in (found or {"groups": []})["groups"] for one in group["found"]}
    if not isinstance(finding, str) or finding not in listed:
        raise DataError("This finding is no longer on the list: reload the page.")
    workspace.accept(f"accepted: {listed[finding]['text'][:80]}", finding)


def _record(
    finding: Finding, found: diagnosis.Diagnosis, workspace: Workspace, before: Mapping[Path, Mark]
) -> dict[str, Any]:
    removable = set(_inside(finding.removable, before))
    photos = [
        kept_work.named(path, workspace.photos, before[path])
        | {"class": found.class_of.get(path, ""), "removable": path in removable}
        for path in _inside(finding.photos, before)
    ]
    # Photos that are left out were changed while they were examined.
    counted = len(finding.photos)
    return {"text": finding.text, "photos": photos, "counted": counted, "suggestion": finding.suggestion}


def _inside(photos: Iterable[Location], before: Mapping[Path, Mark]) -> list[Path]:
    return [path for path in photos if isinstance(path, Path) and path in before]


def _key(kind: str, finding: Mapping[str, Any]) -> str:
    """Returns what identifies a finding, in this check and in later ones."""
    facts = [kind, finding["text"], [[photo["path"], photo["mark"]] for photo in finding["photos"]]]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:20]


def _headed(kind: str) -> dict[str, Any]:
    check = CHECKS[kind]
    advice = _OF_COMMAND.sub("", check.advice)
    return {"kind": kind, "title": check.title, "severity": check.severity, "advice": advice}


def _plain(key: str, finding: Mapping[str, Any], workspace: Workspace, *, same: bool) -> dict[str, Any] | None:
    """Returns a finding as a page shows it; None where it is not true any more.

    One of several photos, such as copies, ends when one is left; one about whole classes when any photo has moved.
    """
    present = [
        (path, photo)
        for photo in finding["photos"]
        if (path := kept_work.unchanged(photo, workspace.photos)) is not None
    ]
    counted = int(finding["counted"])
    if not (len(present) == counted if counted == 1 else len(present) > 1 if counted else same):
        return None
    photos = [
        {"id": workspace.id_of(path), "class": shown(photo["class"]), "name": shown(path.name)}
        for path, photo in present
    ]
    removable = [workspace.id_of(path) for path, photo in present if photo["removable"] is True]
    texts = {"text": shown(finding["text"]), "suggestion": shown(finding["suggestion"])}
    return {"key": key, "photos": photos, "removable": removable, **texts}
