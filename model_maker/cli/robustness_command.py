"""`robustness`: a model under conditions that phones meet."""

import argparse

from model_maker.cli.arguments import command, json_flag, page_of
from model_maker.cli.printing import print_result


def add(commands) -> None:
    parser = command(
        commands, run, "robustness", "measure a model in dusk, blur, backlight and other conditions that phones meet"
    )
    parser.add_argument("model", metavar="MODEL", help="a .tflite, a folder that train made, or an export")
    parser.add_argument("--data", metavar="DIR", help="labeled photos (default: the test split of the training data)")
    parser.add_argument(
        "--augment",
        metavar="PRESET",
        help="also train a model with this augmentation, light, standard or strong, and measure what it regains",
    )
    parser.add_argument("--page", metavar="FILE", help="also write an HTML page with photos in each condition")
    parser.add_argument("--overwrite", action="store_true", help="replace that page if it exists")
    json_flag(parser)


def run(arguments: argparse.Namespace) -> None:
    from model_maker.assessment import robustness_page
    from model_maker.assessment.robustness import robustness
    from model_maker.cli.bars import Bars
    from model_maker.system import files

    page = page_of(arguments, arguments.page)
    with Bars(arguments) as bars:
        found = robustness(arguments.model, arguments.data, augment=arguments.augment, progress=bars)
        if page:
            files.write(page, robustness_page.render(found).encode(errors="backslashreplace"))
            bars.note(f"Page: {page}")
    print_result(arguments, found, _show)


def _show(found) -> None:
    from model_maker.assessment import robustness_page
    from model_maker.terminal import rendering
    from model_maker.terminal.rendering import escape

    console = rendering.console()
    more = [f"regained\nby {found.augment}>"] if found.augment else []
    table = rendering.table("condition", "top-1>", "95 %\ninterval>", "change>", "mean\nscore>", *more)
    for one in found.conditions:
        low, high = (f"{100 * end:.0f}" for end in one.top1_interval)
        regained = [f"{100 * one.regained:+.1f}"] if one.regained is not None else []
        change = f"{100 * one.change:+.1f}" if one.change else ""
        table.add_row(one.name, f"{100 * one.top1:.1f} %", f"{low}-{high} %", change, f"{one.score:.2f}", *regained)
    console.print(table)
    rendering.say(console, f"{found.photos} photos in each condition; changes in points.")
    rendering.say(console, escape(robustness_page.background(found)))
    for note in found.notes:
        rendering.say(console, escape(note))
