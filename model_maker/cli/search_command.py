"""`search`: photos of a folder like a photo, or that show what words say."""

import argparse
from pathlib import Path

from model_maker.cli.arguments import command, json_flag, page_of
from model_maker.cli.printing import print_result
from model_maker.cli.zero_shot_command import template_flag, tier_flags, tier_options


def add(commands) -> None:
    parser = command(commands, run, "search", "find photos in a folder by a photo or by words")
    parser.add_argument("data", metavar="DIR", help="folder of photos, in folders of any depth")
    parser.add_argument("query", metavar="QUERY", help="a photo, its http(s) address, or words")
    parser.add_argument("--top-k", type=int, default=10, metavar="K", help="photos at most (default: 10)")
    parser.add_argument("--model", metavar="NAME", default="efficientnet_lite0", help="backbone, see `models`")
    tier_flags(parser)
    template_flag(parser)
    parser.add_argument("--sheet", metavar="FILE", help="also draw the photos on one sheet, .png or .jpg")
    parser.add_argument("--page", metavar="FILE", help="also write an HTML page with thumbnails")
    parser.add_argument("--overwrite", action="store_true", help="replace that sheet or page if it exists")
    json_flag(parser)


def run(arguments: argparse.Namespace) -> None:
    from model_maker.cli.bars import Bars
    from model_maker.collection.search import search
    from model_maker.data import contact_sheet
    from model_maker.system import files

    sheet = Path(arguments.sheet) if arguments.sheet else None
    if sheet:
        contact_sheet.check(sheet, overwrite=arguments.overwrite)
    page = page_of(arguments, arguments.page)
    with Bars(arguments) as bars:
        found = search(
            arguments.data,
            arguments.query,
            top_k=arguments.top_k,
            model=arguments.model,
            progress=bars,
            **tier_options(arguments),
        )
    if sheet:
        lines = [(match.path, f"{match.score:.3f} {_name(match, arguments)}") for match in found.matches]
        contact_sheet.write(sheet, contact_sheet.grid(lines, found.query, _answered(found)))
    if page:
        files.write(page, _page(found, arguments).encode(errors="backslashreplace"))
    print_result(arguments, found, lambda found: _show(found, arguments))


def _answered(found) -> str:
    """Says what compared how many photos."""
    how = f"by the tier {found.tier}, {found.meaning}" if found.tier else "by embeddings"
    return f"{found.searched:,} photos, {how} ({found.model})"


def _name(match, arguments: argparse.Namespace) -> str:
    """Names a photo from the folder that was searched."""
    return Path(match.path).relative_to(arguments.data).as_posix()


def _page(found, arguments: argparse.Namespace) -> str:
    from model_maker.report import photo_page

    shown = [(match.path, _name(match, arguments), f"{match.score:.3f}") for match in found.matches]
    return photo_page.render(f"Search: {found.query}", _answered(found), [photo_page.Group("Matches", "", shown)])


def _show(found, arguments: argparse.Namespace) -> None:
    from model_maker.terminal import rendering
    from model_maker.terminal.rendering import escape

    console, table = rendering.console(), rendering.table(">", "photo", "score>")
    for rank, match in enumerate(found.matches, start=1):
        table.add_row(str(rank), escape(_name(match, arguments)), f"{match.score:.3f}")
    console.print(table)
    rendering.say(console, escape(_answered(found)))
