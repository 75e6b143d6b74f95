"""What `verify` prints: where a file runs and how alike, what apps' ways with photos cost, which rules it keeps."""

from __future__ import annotations

from model_maker import terminal
from model_maker.deploy.app_pixels import PREPARATIONS
from model_maker.deploy.certificate import NOT_HERE, OWN, REFUSED, Certificate, Run
from model_maker.terminal import escape


def show_certificate(found: Certificate) -> None:
    """Where the file runs and how alike, what apps' ways with photos cost, and which rules it keeps."""
    console = terminal.console()
    table = terminal.table("runtime", "pixels", "right>", "unknown>", "same answer>", "differs by>")
    for run in found.runs:
        table.add_row(escape(run.name), "its own" if run.pixels == OWN else "ours", *_run_cells(run))
    console.print(table)
    if found.preparations:
        table = terminal.table("photos in apps", "right>", "unknown>", "same answer>", "differs by>", "so in")
        table.columns[0].no_wrap = True
        for run in found.preparations:
            table.add_row(escape(run.name), *_run_cells(run), escape(PREPARATIONS[run.pixels].used_by))
        console.print(table)
    table = terminal.table("what clients demand", "", "received")
    for entry in found.findings:
        state = "[green]kept[/]" if entry.passed else "[red]broken[/]" if entry.rule.binding else "[yellow]missed[/]"
        table.add_row(escape(entry.rule.demand), state, escape(entry.received))
    console.print(table)
    for run in found.runs:
        if run.state == NOT_HERE:
            console.print(f"{escape(run.name)}: {escape(run.why)}", soft_wrap=True)
    for entry in found.findings:
        if not entry.passed and not entry.rule.binding:
            console.print(f"{escape(entry.rule.by)} look for this: {escape(entry.rule.advice)}", soft_wrap=True)
    for failure in found.failures:
        console.print(f"[red]failed[/] {escape(failure)}", soft_wrap=True)
    if not found.failures:
        console.print(f"[bold green]passed[/] {escape(str(found.model))} [dim]sha256 {found.sha256[:16]}[/]")


def _run_cells(run: Run) -> tuple[str, ...]:
    if run.state == NOT_HERE:
        return "[dim]not here[/]", "", "", ""
    if run.state == REFUSED:
        return "[red]refused[/]", "", "", ""
    if run.right is None:
        return "runs", "", "", ""
    counts = f"{run.right} of {run.photos}", str(run.unknown or ""), f"{run.same_answer} of {run.photos}"
    return *counts, f"{run.largest_difference:.3f}"
