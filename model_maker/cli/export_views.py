"""How an export looks in a terminal, and a model put into an app."""

from __future__ import annotations

from rich.table import Table

from model_maker.apps.put_in_app import Installed
from model_maker.exporters.export import Export
from model_maker.terminal import rendering
from model_maker.terminal.rendering import escape, percent


def show_export(found: Export) -> None:
    """What was made, how near each comes to the float model; what could not be made follows on stderr."""
    console, made = rendering.console(), [entry for entry in found.entries if entry.path is not None]
    table = rendering.table("format", "model", "MB>", "differs by>", "same answer>")
    for entry in made:
        table.add_row(
            entry.format,
            escape(entry.path.relative_to(found.directory).as_posix()) if entry.path else "",
            f"{(entry.size_bytes or 0) / 1e6:.2f}",
            "-" if entry.difference is None else f"{entry.difference:.1g}",
            "-" if entry.same_top1 is None else percent(entry.same_top1),
        )
    console.print(table)
    for entry in made:
        if entry.note:
            console.print(f" {entry.format}: {escape(entry.note)}")
    console.print(f" in [bold]{escape(str(found.directory))}[/]")


def show_app(found: Installed, folder: str) -> None:
    """Where the model is, in which app, and what to do next."""
    console, table = rendering.console(), Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_row("model", f"[bold]{escape(str(found.path))}[/] ({found.size_bytes / 1e6:.2f} MB)")
    table.add_row("app", escape(found.app.name) + (", a new copy" if found.made_app else ""))
    place, studio = escape(rendering.quoted(folder)), "Android Studio"
    if found.app.platform == "ios":
        table.add_row("next", f"cd {place}; pod install; open *.xcworkspace")
    else:
        table.add_row("next", f"open {place} in {studio} and run it")
    console.print(table)
