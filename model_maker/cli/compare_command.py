"""`compare`: an older and a newer model on the same photos."""

import argparse

from model_maker.cli.arguments import command, json_flag, page_of
from model_maker.cli.printing import print_result
from model_maker.errors import DataError


def add(commands) -> None:
    parser = command(
        commands,
        run,
        "compare",
        "compare two models on the same photos",
        epilog="Exit code 1: more photos turned wrong than --allow.",
    )
    parser.add_argument("old", metavar="OLD", help="a .tflite, a folder that train made, or an export")
    parser.add_argument("new", metavar="NEW", help="the same, of the model to judge")
    parser.add_argument(
        "--data", metavar="DIR", help="labeled photos (default: the test split of the training data of OLD, or of NEW)"
    )
    parser.add_argument(
        "--allow", type=int, metavar="N", help="fail if more than N photos turned wrong (default: never)"
    )
    parser.add_argument("--page", metavar="FILE", help="also write an HTML page with the photos that turned")
    parser.add_argument("--overwrite", action="store_true", help="replace that page if it exists")
    json_flag(parser)


def run(arguments: argparse.Namespace) -> int:
    from model_maker.assessment import comparison_page
    from model_maker.assessment.model_comparison import compare_models
    from model_maker.cli.bars import Bars
    from model_maker.system import files

    if arguments.allow is not None and arguments.allow < 0:
        raise DataError(f"--allow {arguments.allow}: pass 0 or more.")
    page = page_of(arguments, arguments.page)
    with Bars(arguments) as bars:
        found = compare_models(arguments.old, arguments.new, arguments.data, progress=bars)
        if page:
            files.write(page, comparison_page.render(found).encode(errors="backslashreplace"))
            bars.note(f"Page: {page}")
    print_result(arguments, found, _show)
    return 1 if found.exceeds(arguments.allow) else 0


def _show(found) -> None:
    from model_maker.assessment import comparison_page
    from model_maker.terminal import rendering
    from model_maker.terminal.rendering import escape

    console, table = rendering.console(), rendering.table("", "old>", "new>")
    for row in comparison_page.rows(found):
        table.add_row(*row)
    console.print(table)
    for name, turned in (("turned wrong", found.turned_wrong), ("turned right", found.turned_right)):
        rendering.say(console, f"{name}: [bold]{len(turned)}[/] of {found.photos} photos")
        for entry in turned[:5]:
            rendering.say(console, escape(f"{entry.photo}: {entry.label}, old {entry.old}, new {entry.new}"), indent=2)
    rendering.say(console, escape(comparison_page.verdict(found)))
    for note in found.notes:
        rendering.say(console, escape(note))
