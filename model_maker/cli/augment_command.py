"""`augment`: a contact sheet of augmented photos."""

import argparse
from pathlib import Path

from model_maker.cli.arguments import command, json_flag
from model_maker.cli.printing import print_json, show


def add(commands) -> None:
    parser = command(
        commands,
        run,
        "augment",
        "draw augmented views of some photos on a contact sheet",
    )
    parser.add_argument("data", metavar="DATA", help="folder of photos, as for train")
    parser.add_argument("--preview", metavar="FILE", required=True, help="contact sheet to write, .png or .jpg")
    parser.add_argument(
        "--preset", metavar="NAME", default="standard", help="none, light, standard or strong (default: standard)"
    )
    parser.add_argument("--photos", type=int, default=6, metavar="N", help="photos, one per row (default: 6)")
    parser.add_argument(
        "--views", type=int, default=8, metavar="K", help="views per photo, the first unchanged (default: 8)"
    )
    parser.add_argument("--seed", type=int, default=0, help="random seed for the views (default: 0)")
    parser.add_argument("--overwrite", action="store_true", help="replace the file if it exists")
    json_flag(parser)


def run(arguments: argparse.Namespace) -> None:
    from model_maker.data import contact_sheet, sources

    path = Path(arguments.preview)
    contact_sheet.check(path, overwrite=arguments.overwrite)
    sheet = contact_sheet.draw(
        sources.read(arguments.data, least_classes=1),
        arguments.preset,
        photos=arguments.photos,
        views=arguments.views,
        seed=arguments.seed,
    )
    contact_sheet.write(path, sheet)
    if arguments.json:
        print_json({"path": str(path), "preset": arguments.preset, "width": sheet.width, "height": sheet.height})
    else:
        show(f"{path} ({sheet.width} x {sheet.height} pixels, preset {arguments.preset})")
