"""How trained models compare in a terminal: several of them, or one trained again."""

from model_maker.terminal import rendering
from model_maker.terminal.flags import in_flags
from model_maker.terminal.rendering import escape
from model_maker.training.comparison import THREADS, Comparison
from model_maker.training.reproduction import Reproduction

# Hashes and lists of labels are cut; --json has them complete.
_WIDEST_TEXT = 60
# The longest name of a backbone.
_WIDEST_NAME = 31


def show_reproduction(found: Reproduction) -> None:
    """Prints whether the file is byte-identical, else the differences."""
    console, size = rendering.console(), found.size_bytes[1]
    if found.equal:
        rendering.say(console, f"[bold green]byte-identical[/]: {size:,} bytes, sha256 {found.sha256[1]}")
        return
    table = rendering.table("value", "in the file", "retrained")
    for entry in found.differences:
        if not entry.what.endswith("interval"):  # it follows from its share
            table.add_row(escape(entry.what), escape(entry.before[:_WIDEST_TEXT]), escape(entry.after[:_WIDEST_TEXT]))
    console.print(table)
    rendering.say(console, f"[bold red]different[/]: {found.size_bytes[0]:,} bytes in the file, {size:,} retrained")


def show_comparison(found: Comparison) -> None:
    """Prints all models in one table with the Pareto front marked, and the recommended one."""
    console = rendering.console()
    times = (f"ms, {count}\nthread{'s' * (count > 1)}>" for count in THREADS)
    table = rendering.table("model", "top-1\n%>", "95 %\ninterval>", "int8\ndrop>", "MB>", *times, "")
    table.columns[0].min_width = min(_WIDEST_NAME, max(len(entry.name) for entry in found.entries))
    for entry in found.entries:
        if entry.top1 is None or entry.top1_interval is None:
            table.add_row(escape(entry.name), "[red]failed[/]")
            continue
        low, high = (f"{100 * end:.0f}" for end in entry.top1_interval)
        name = f"[bold green]{escape(entry.name)}[/]" if entry.name == found.recommended else escape(entry.name)
        table.add_row(
            name,
            f"{100 * entry.top1:.1f}",
            f"{low}-{high} %",
            f"{100 * (entry.drop or 0):+.1f}",
            f"{(entry.size_bytes or 0) / 1e6:.2f}",
            *(f"{entry.latency_ms[n]:.1f}" if n in entry.latency_ms else "-" for n in THREADS),
            "*" if entry.on_front else "",
        )
    console.print(table)
    rendering.say(console, "int8 drop in points. *: on the Pareto front of accuracy, size and latency.")
    for entry in found.entries:
        if entry.failure:
            rendering.say(console, f"{escape(entry.name)}: {escape(in_flags(entry.failure))}")
    rendering.say(console, escape(in_flags(found.reason)))
    rendering.say(console, f"Each model is in a folder of its own in [bold]{escape(str(found.directory))}[/].")
