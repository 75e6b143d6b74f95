"""A certificate as a self-contained HTML page: whether the file passes, then every runtime, app and requirement."""

from model_maker.report import page_parts, pages
from model_maker.terminal import rendering
from model_maker.terminal.flags import in_flags
from model_maker.verification.certificate import OWN, RAN, SAME, Certificate, Run

Row = tuple[str, ...]

_PIXELS = {SAME: "ours", OWN: "its own"}


def render(found: Certificate) -> str:
    """Writes the page."""
    unknown = any(run.unknown for run in (*found.runs, *found.apps))
    return pages.render(
        "certificate.html",
        title=found.name or found.model.name,
        file=found.model.name,
        passed=not found.failures,
        origin=page_parts.origin(found.provenance, certified=found.created),
        links=(),
        photos=found.photos,
        size=f"{found.size_bytes / 1e6:.2f} MB",
        sha256=found.sha256,
        failures=[in_flags(failure) for failure in found.failures],
        columns=("correct", *(["unknown"] if unknown else []), "same answer", "scores differ by"),
        runtimes=[(run.title, _PIXELS[run.pixels], *_cells(run, unknown=unknown)) for run in found.runs],
        apps=[(run.title, run.pixels, *_cells(run, unknown=unknown)) for run in found.apps],
        trials=[
            (
                trial.delegate,
                "passed" if trial.passed else "failed",
                trial.why if trial.deviation is None else f"{trial.deviation:.3f}",
            )
            for trial in found.self_test
        ],
        rules=[
            (
                entry.rule.demand,
                entry.rule.by,
                "kept" if entry.passed else "broken" if entry.rule.binding else "missed",
            )
            for entry in found.findings
        ],
        remarks=[in_flags(remark) for remark in (*found.notes, *found.remarks)],
        command=f"model_maker evaluate {rendering.quoted(str(found.model))} --report evaluation.html",
    )


def _cells(run: Run, *, unknown: bool) -> list[str]:
    if run.same_answer is None:
        return ["runs" if run.state == RAN else run.state, *[""] * (3 if unknown else 2)]
    right, same = ("-" if count is None else f"{count} of {run.photos}" for count in (run.right, run.same_answer))
    return [right, *([str(run.unknown or "")] if unknown else []), same, f"{run.largest_difference:.3f}"]
