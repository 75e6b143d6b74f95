"""`verify`: a `.tflite` in every available runtime, against phone-client requirements."""

from __future__ import annotations

import argparse

from model_maker.cli.arguments import command, json_flag, new_page
from model_maker.cli.printing import print_json
from model_maker.terminal import exit_codes


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
    parser.add_argument("--report", metavar="FILE", help="also write an HTML report of certificate and accuracy")
    parser.add_argument("--overwrite", action="store_true", help="replace the report and its plots")
    json_flag(parser)


def run(arguments: argparse.Namespace) -> int:
    from model_maker import run_record
    from model_maker.cli import certificate_views
    from model_maker.cli.bars import Bars
    from model_maker.inference.classifier import Classifier
    from model_maker.report import model_page
    from model_maker.verification.verify import verify

    page = new_page(arguments)
    with Bars(arguments) as bars:
        found = verify(arguments.model, data=arguments.data, head=arguments.head, progress=bars)
    if arguments.json:
        print_json(found.as_dict())
    else:
        certificate_views.show_certificate(found)
    if page is not None and not found.apps:
        exit_codes.say("model_maker", f"{page} is not written because LiteRT cannot run the file.")
    elif page is not None:
        with Bars(arguments) as bars:
            classifier = Classifier(arguments.model, head=arguments.head)
            with bars.stage("Evaluate the file"):
                dataset, _ = run_record.photos_for(
                    arguments.model, arguments.data, multi_label=classifier.info.multi_label
                )
                scored = classifier.score_labelled(dataset, progress=bars.step)
            metrics, name = classifier.measure(scored), classifier.info.name
            own, certificate = run_record.is_own_test(arguments.model, arguments.data), found.as_dict()
            model_page.write(page, name, scored, metrics, model=arguments.model, own_test=own, certificate=certificate)
            bars.note(f"Report: {page}")
    return 1 if found.failures else 0
