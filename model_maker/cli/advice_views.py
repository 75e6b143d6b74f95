"""How advice on photos to add, and the receipt of photos that were forgotten, look in a terminal."""

from collections.abc import Sequence
from typing import Any

from model_maker.forecasts import Advice, Estimate, Kind
from model_maker.terminal import rendering
from model_maker.terminal.rendering import escape, percent


def show_advice(found: Advice) -> None:
    """Prints forecasts, gains by class and missing kinds."""
    console = rendering.console()
    rendering.say(
        console,
        f"[bold green]{percent(found.now)}[/] of {found.test_photos} test photos are correct now, with "
        f"{found.per_class:.0f} photos per class to learn from.",
    )
    table = rendering.table("photos to add", "top-1 then>", "95 % interval>")
    for factor, then in found.forecasts.items():
        more = round((factor - 1) * found.per_class)
        table.add_row(f"{more} of each class ({factor:g} times as many)", *_forecast(then))
    for entry in found.classes:
        table.add_row(escape(f"{entry.more} of {entry.label} alone"), *_forecast(entry.top1))
    console.print(table)
    for line in kinds(found.kinds):
        rendering.say(console, escape(line))


def show_receipt(found: dict[str, Any]) -> None:
    """Prints what was forgotten, both models, and what remains."""
    console = rendering.console()
    parts = ", ".join(f"{found['parts'].count(part)} from {part}" for part in dict.fromkeys(found["parts"]))
    count, metric = len(found["forgotten"]), "top-1" if found["metric"] == "top1" else "mAP"
    rendering.say(console, f"[bold]{count}[/] photo{'' if count == 1 else 's'} forgotten ({parts})")
    table = rendering.table("", "photos>", f"{metric}>", "dataset", "model.tflite")
    for name, value in zip(("before", "after"), found["values"], strict=True):
        entry = found[name]
        hashes = (entry["fingerprint"][:16], entry["sha256"][:16])
        table.add_row(name, str(entry["photos"]), percent(value), *hashes)
    console.print(table)
    rows = [("cache", f"{found['cached']} embedding{'' if found['cached'] == 1 else 's'} overwritten")]
    rows += [("" if number else "remains", escape(line)) for number, line in enumerate(found["remains"])]
    rendering.facts(console, rows, [("model", escape(found["output"]))])


def kinds(found: Sequence[Kind] | None) -> list[str]:
    """Returns a sentence for each missing kind, or one that there is none."""
    if not found:
        return [
            "No kind of photo (by brightness, sharpness, size, aspect, format, camera) is wrong noticeably more often."
        ]
    return [
        f"Missing: {one.text}{' of ' + one.label if one.label else ''}: {one.wrong} of {one.photos} "
        f"wrong, of the others {one.others_wrong} of {one.others}."
        for one in found
    ]


def _forecast(then: Estimate) -> tuple[str, str]:
    return percent(then.value), f"{percent(then.low)} to {percent(then.high)}"
