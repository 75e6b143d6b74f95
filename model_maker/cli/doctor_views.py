"""The terminal output of `doctor`: findings, and what was moved."""

from collections import defaultdict
from pathlib import Path
from typing import Any

from rich.console import Console

from model_maker.doctor import diagnosis
from model_maker.doctor.checks import CHECKS, DEFAULT_FIXES
from model_maker.doctor.diagnosis import Diagnosis
from model_maker.doctor.findings import Finding
from model_maker.doctor.quarantine import Moves, folder_of
from model_maker.terminal import rendering
from model_maker.terminal.rendering import escape

# Findings per kind, and photos per finding, that are shown; --json and --html list more.
_MOST, _MOST_PHOTOS = 8, 3
_STYLES = {"serious": "bold red", "look": "bold yellow", "know": "bold"}


def show_diagnosis(found: Diagnosis) -> None:
    """Prints the findings, the most serious first, with advice."""
    console = rendering.console()
    photos, classes = found.readable, len(found.photos)
    rendering.say(console, f"{_count(photos, 'photo')} of {_count(classes, 'class', 'es')} in {escape(found.data)}")
    for note in found.notes:
        rendering.say(console, f"[yellow]note[/] {escape(note)}", hang=5)
    for name, findings in found.findings.items():
        check = CHECKS[name]
        console.print()
        rendering.say(
            console, f"[{_STYLES[check.severity]}]{escape(check.title)}: {len(findings)}[/]  [dim]({name})[/]"
        )
        rendering.say(console, escape(check.advice), indent=2, hang=0)
        for finding in findings[:_MOST]:
            rendering.say(console, _line(found, finding), indent=4)
        if len(findings) > _MOST:
            rendering.say(console, f"[dim]and {len(findings) - _MOST} more[/]", indent=4)
    if said := diagnosis.sentences(found.flattery):
        console.print()
        rendering.say(console, "[bold]Data leakage through duplicates[/]")
        for sentence in said:
            rendering.say(console, escape(sentence), indent=2, hang=0)
    if sentence := diagnosis.of_facts(found.facts):
        console.print()
        rendering.say(console, f"[dim]{escape(sentence)}[/]")
    console.print()
    for line in _next_steps(found):
        rendering.say(console, line)


def _line(found: Diagnosis, finding: Finding) -> str:
    shown = [escape(found.name(path)) for path in finding.photos[:_MOST_PHOTOS]]
    if len(finding.photos) > _MOST_PHOTOS:
        shown.append(f"{len(finding.photos) - _MOST_PHOTOS} more")
    text = escape(finding.text)
    return f"{' = '.join(shown)}  [dim]{text}[/]" if shown else text


def _next_steps(found: Diagnosis) -> list[str]:
    if not found.findings:
        return ["[bold green]No problems found.[/]"]
    able = {name: count for name in found.findings if (count := found.removable([name]))}
    if not able or folder_of(found.data) is None:
        return ["Fix these problems by hand, then run doctor again."]
    data = escape(rendering.quoted(found.data))
    usual = [name for name in able if name in DEFAULT_FIXES]
    lines = []
    if usual:
        files = _count(found.removable(usual), "file")
        lines.append(f"[bold]model_maker doctor {data} --fix[/] moves {files} to the quarantine ({', '.join(usual)}).")
    asked = [f"{name} ({count})" for name, count in able.items() if name not in DEFAULT_FIXES]
    if asked:
        lines.append(f"Pass kinds to --fix to move those: {', '.join(asked)}.")
    return [*lines, "--undo moves everything back."]


def show_plan(found: Diagnosis, planned: dict[Path, str]) -> None:
    """Prints every file to be moved, grouped by kind of finding."""
    console = rendering.console()
    kinds: dict[str, list[Path]] = defaultdict(list)
    for path, kind in planned.items():
        kinds[kind].append(path)
    for kind, paths in kinds.items():
        console.print()
        rendering.say(console, f"[bold]To be moved, {kind}: {_count(len(paths), 'file')}[/]")
        for path in paths:
            rendering.say(console, escape(found.name(path)), indent=4)


def show_mending(found: Diagnosis, moves: Moves) -> None:
    """Prints what was moved, and how to undo it."""
    console = rendering.console()
    _show_left(console, moves, "not moved")
    if not moves.moved:
        rendering.say(console, "Nothing was moved.")
        return
    rendering.say(
        console, f"[bold green]{_count(len(moves.moved), 'file')} moved[/] to {escape(str(moves.quarantine))}"
    )
    rendering.say(
        console, f"[bold]model_maker doctor {escape(rendering.quoted(found.data))} --undo[/] moves them back."
    )


def show_put_back(moves: Moves) -> None:
    """Prints what was moved back."""
    console = rendering.console()
    _show_left(console, moves, "left in the quarantine")
    rendering.say(console, f"{_count(len(moves.moved), 'file')} moved back from {escape(str(moves.quarantine))}")


def moves_as_dict(moves: Moves) -> dict[str, Any]:
    """Returns plain JSON types."""
    return {
        "quarantine": str(moves.quarantine),
        "moved": [str(path) for path in moves.moved],
        "left": [{"path": str(path), "reason": reason} for path, reason in moves.left],
    }


def _show_left(console: Console, moves: Moves, where: str) -> None:
    reasons: dict[str, list[Path]] = defaultdict(list)
    for path, reason in moves.left:
        reasons[reason].append(path)
    for reason, paths in reasons.items():
        first = escape(str(paths[0]))
        rendering.say(
            console, f"[yellow]{_count(len(paths), 'file')} {where}[/]: {escape(reason)} (the first: {first})"
        )


def _count(number: int, noun: str, ending: str = "s") -> str:
    return f"{number} {noun}{'' if number == 1 else ending}"
