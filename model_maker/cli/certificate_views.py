"""The terminal output of `verify`: results per runtime and per app, and phone-client requirements."""

from collections.abc import Sequence

from rich.table import Table

from model_maker.packaging import self_test
from model_maker.packaging.self_test import Trial
from model_maker.terminal import rendering
from model_maker.terminal.flags import in_flags
from model_maker.terminal.rendering import escape
from model_maker.tflite.client_rules import RuleCheck
from model_maker.verification.certificate import NOT_HERE, OWN, RAN, REFUSED, SAME, Certificate, Run
from model_maker.verification.metadata_writing import Described

_PIXELS = {SAME: "ours", OWN: "its own"}
_STATES = {RAN: "runs", REFUSED: "[red]refused[/]", NOT_HERE: "[dim]not here[/]"}


def show_certificate(found: Certificate) -> None:
    """Prints results per runtime and per app, and which requirements are met."""
    console = rendering.console()
    console.print(_runs("runtime", "pixels", found.runs))
    if found.apps:
        console.print(_runs("app", "photos", found.apps))
    if found.self_test:
        console.print(trials(found.self_test))
    console.print(_demands(found.findings))
    for remark in found.remarks:
        rendering.say(console, escape(in_flags(remark)))
    for failure in found.failures:
        rendering.say(console, f"[red]failed[/] {escape(in_flags(failure))}")
    if not found.failures:
        rendering.say(console, f"[bold green]passed[/] {escape(str(found.model))} [dim]sha256 {found.sha256[:16]}[/]")


def show_described(found: Described) -> None:
    """Prints the metadata of the written file, and which requirements it meets."""
    console, info = rendering.console(), found.info
    assert info.normalization
    console.print(_demands(found.findings))
    rendering.say(
        console,
        f"{escape(str(found.path))}: {len(info.labels)} labels, input (pixel - {info.normalization.mean:g}) / "
        f"{info.normalization.std:g}",
    )


def trials(found: Sequence[Trial]) -> Table:
    """Returns a table of delegates that ran a self-test, the fastest that passed marked."""
    best = self_test.fastest(found)
    table = rendering.table("self-test", "", "differs by>", "ms a picture>", "")
    for trial in found:
        state = "[green]passed[/]" if trial.passed else "[red]failed[/]"
        deviation = "" if trial.deviation is None else f"{trial.deviation:.3f}"
        latency = "" if trial.latency_ms is None else f"{trial.latency_ms:.1f}"
        last = "fastest" if trial is best else escape(trial.why)
        table.add_row(escape(trial.delegate), state, deviation, latency, last)
    return table


def _demands(findings: Sequence[RuleCheck]) -> Table:
    received = any(entry.received for entry in findings)
    table = rendering.table("requirement", "", *(["received"] if received else []))
    for entry in findings:
        state = "[green]kept[/]" if entry.passed else "[red]broken[/]" if entry.rule.binding else "[yellow]missed[/]"
        table.add_row(escape(entry.rule.demand), state, *([escape(entry.received)] if received else []))
    return table


def _runs(name: str, pixels: str, runs: Sequence[Run]) -> Table:
    unknown = any(run.unknown for run in runs)
    table = rendering.table(name, pixels, "correct>", *(["unknown>"] if unknown else []), "same answer>", "differs by>")
    for run in runs:
        table.add_row(escape(run.title), _PIXELS.get(run.pixels, run.pixels), *_cells(run, unknown=unknown))
    return table


def _cells(run: Run, *, unknown: bool) -> list[str]:
    if run.same_answer is None:
        return [_STATES[run.state]]
    counts = ["-" if count is None else f"{count} of {run.photos}" for count in (run.right, run.same_answer)]
    return [counts[0], *([str(run.unknown or "")] if unknown else []), counts[1], f"{run.largest_difference:.3f}"]
