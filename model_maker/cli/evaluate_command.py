"""`evaluate`: a model's accuracy on labeled photos."""

import argparse
from pathlib import Path

from model_maker.cli.arguments import command, foreign, foreign_flags, head_flag, json_flag
from model_maker.cli.printing import print_json


def add(commands) -> None:
    parser = command(commands, run, "evaluate", "measure a model's accuracy")
    parser.add_argument(
        "model",
        metavar="MODEL",
        help="a .tflite, a folder that train made, an export, or a backbone's name, which knows ImageNet's classes",
    )
    parser.add_argument("--data", metavar="DIR", help="labeled photos (default: the test split of the training data)")
    foreign_flags(parser)
    head_flag(parser)
    parser.add_argument("--report", metavar="FILE", help="also write an HTML report and its plots")
    parser.add_argument("--why", metavar="DIR", help="new folder for heat maps of where the wrong answers come from")
    parser.add_argument("--overwrite", action="store_true", help="replace the report and its plots")
    json_flag(parser)


def run(arguments: argparse.Namespace) -> None:
    from model_maker import run_record
    from model_maker.classifiers import Classifier
    from model_maker.cli import metrics_views, why
    from model_maker.cli.bars import Bars
    from model_maker.report import model_page

    page = Path(arguments.report) if arguments.report is not None else None
    if page is not None:
        model_page.check_new(page, overwrite=arguments.overwrite)
    with Bars(arguments) as bars:
        classifier = Classifier(arguments.model, head=arguments.head, **foreign(arguments), progress=bars)
        dataset, notes = run_record.photos_for(arguments.model, arguments.data, multi_label=classifier.info.multi_label)
        for note in notes:
            bars.note(note)
        why.check(arguments.why, classifier)
        with bars.stage("Evaluate the file"):
            scored = classifier.score_labelled(dataset, progress=bars.step)
            metrics = classifier.measure(scored)
        if skipped := len(dataset.skipped) + len(dataset) - metrics.photos:
            bars.note(f"{skipped} files cannot be read as photos and are skipped.")
        rows = why.mistakes(arguments, classifier, scored, bars) if arguments.why else []
        if page is not None:
            own = run_record.is_own_test(arguments.model, arguments.data)
            with bars.stage("Explain errors"):
                explain = why.for_page(arguments.model, classifier)
            model_page.write(
                page, classifier.info, scored, metrics, model=arguments.model, own_test=own, explain=explain
            )
            bars.note(f"Report: {page}")
    if arguments.json:
        print_json(metrics.as_dict() | ({"why": rows} if arguments.why else {}))
    else:
        metrics_views.show_metrics(metrics)
