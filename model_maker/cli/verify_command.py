"""`verify`: a `.tflite` in every available runtime, against phone-client requirements."""

import argparse

from model_maker.cli.arguments import command, json_flag, page_of
from model_maker.cli.printing import print_result


def add(commands) -> None:
    parser = command(
        commands,
        run,
        "verify",
        "run a .tflite in every available runtime and check it against phone-client requirements",
        epilog="Exit code 1: an installed runtime rejects the file, or phone clients will.",
    )
    parser.add_argument("model", metavar="MODEL", help="a .tflite, or a folder that train made")
    parser.add_argument(
        "--data", metavar="DIR", help="labeled photos; 50 are used (default: the test split of the training data)"
    )
    parser.add_argument(
        "--head", metavar="NAME", help="which output of a file that combine made (default: each of them)"
    )
    parser.add_argument("--report", metavar="FILE", help="also write the certificate as an HTML page")
    parser.add_argument("--overwrite", action="store_true", help="replace the page if it exists")
    json_flag(parser)


def run(arguments: argparse.Namespace) -> int:
    from model_maker.cli import certificate_views
    from model_maker.cli.bars import Bars
    from model_maker.system import files
    from model_maker.verification import certificate_page
    from model_maker.verification.verify import verify

    page = page_of(arguments, arguments.report)
    with Bars(arguments) as bars:
        found = verify(arguments.model, data=arguments.data, head=arguments.head, progress=bars)
        if page is not None:
            files.write(page, certificate_page.render(found).encode(errors="backslashreplace"))
            bars.note(f"Certificate: {page}")
    print_result(arguments, found, certificate_views.show_certificate)
    return 1 if found.failures else 0
