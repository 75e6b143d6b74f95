"""`advise`: what more photos would gain, of which class, and what kind is missing."""

import argparse

from model_maker.cli.arguments import command, json_flag, page_of
from model_maker.cli.printing import print_result


def add(commands) -> None:
    parser = command(commands, run, "advise", "forecast what more photos would gain, and which ones")
    parser.add_argument("model", metavar="MODEL", help="a folder that train made")
    parser.add_argument("--data", metavar="DIR", help="its training photos, if they have moved")
    parser.add_argument("--report", metavar="FILE", help="also write an HTML page")
    parser.add_argument("--overwrite", action="store_true", help="replace that page if it exists")
    json_flag(parser)


def run(arguments: argparse.Namespace) -> None:
    from model_maker.cli import advice_views
    from model_maker.cli.bars import Bars
    from model_maker.report import pages
    from model_maker.system import files
    from model_maker.training.advice import advise

    page = page_of(arguments, arguments.report)
    with Bars(arguments) as bars:
        found = advise(arguments.model, arguments.data, progress=bars)
        if page:
            text = pages.render("advice_page.html", title=f"{arguments.model}: which photos next", advice=found)
            files.write(page, text.encode(errors="backslashreplace"))
            bars.note(f"Report: {page}")
    print_result(arguments, found, advice_views.show_advice)
