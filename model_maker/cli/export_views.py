"""How an export looks in a terminal, and a model put into an app."""

from model_maker.apps.put_in_app import Installed
from model_maker.exporters.export import Export
from model_maker.terminal import rendering
from model_maker.terminal.rendering import escape, percent


def show_export(found: Export) -> None:
    """Prints each export and its difference from the float model; failures follow on stderr."""
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
    notes = [(entry.format, escape(entry.note)) for entry in made if entry.note]
    rendering.facts(console, notes, [("folder", f"[bold]{escape(str(found.directory))}[/]")])


def show_app(found: Installed, folder: str) -> None:
    """Prints where the model is, in which app, and the next steps."""
    place, studio = escape(rendering.quoted(folder)), "Android Studio"
    ios = found.app.platform == "ios"
    to_copy = [
        ("model", f"[bold]{escape(str(found.path))}[/] ({found.size_bytes / 1e6:.2f} MB)"),
        ("app", escape(found.app.name) + (", a new copy" if found.made_app else "")),
        ("next", f"cd {place}; pod install; open *.xcworkspace" if ios else f"open {place} in {studio} and run it"),
    ]
    rendering.facts(rendering.console(), [], to_copy)
