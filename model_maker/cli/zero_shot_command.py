"""`zero-shot`: a classifier of labels without photos; and what `predict` asks of labels that are given with photos."""

import argparse
from typing import Any

from model_maker.cli.arguments import command, json_flag
from model_maker.cli.printing import print_result


def add(commands) -> None:
    parser = command(commands, run, "zero-shot", "write a .tflite for classes without photos, from their names")
    parser.add_argument(
        "--labels",
        metavar="LABELS",
        required=True,
        help="with commas, in quotes where one has a comma, as 'cat,\"dog, barking\"'; or a .txt with one a line",
    )
    parser.add_argument("--output", metavar="DIR", required=True, help="folder to make")
    parser.add_argument("--overwrite", action="store_true", help="replace the output folder if it exists")
    parser.add_argument("--data", metavar="DIR", help="labeled photos to measure the file on")
    parser.add_argument("--weights", metavar="FILE", help="weights to use instead of the backbone's published ones")
    parser.add_argument("--model", metavar="NAME", default="efficientnet_lite0", help="backbone, see `models`")
    tier_flags(parser)
    json_flag(parser)


def tier_flags(parser: argparse._ActionsContainer) -> None:
    """Adds what says where labels get their meaning from."""
    parser.add_argument(
        "--tier",
        metavar="TIER",
        help="known, words or pictures: ImageNet's classes and their kinds; any words, by a text tower; any words, by"
        " both towers of CLIP (default: known where every label is)",
    )
    parser.add_argument(
        "--text-vectors", metavar="DIR", help="names.txt and vectors.npy, in the place of a text tower (tier words)"
    )
    parser.add_argument("--tower", metavar="NAME", help="CLIP towers (default: tinyclip_vit_40m_32)")
    parser.add_argument(
        "--accept-licence",
        metavar="NAME",
        help="licence that you accept, for towers that are not for every use: apple-amlr, Apple's for research only",
    )


def tier_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Returns what `tier_flags` and `template_flag` state, as arguments of the API."""
    from model_maker.zero_shot_learning.text_vectors import TEMPLATE

    stated = ("tier", "text_vectors", "tower", "accept_licence")
    template = arguments.hypothesis_template or TEMPLATE
    return {name: getattr(arguments, name) for name in stated} | {"hypothesis_template": template}


def template_flag(parser: argparse._ActionsContainer) -> None:
    """Adds the sentence of a text tower."""
    parser.add_argument(
        "--hypothesis-template",
        metavar="TEXT",
        help="sentence for a text tower, {} for the label (default: This is a photo of {}.)",
    )


def run(arguments: argparse.Namespace) -> None:
    from model_maker.cli.bars import Bars
    from model_maker.zero_shot_learning import label_names, tiers
    from model_maker.zero_shot_learning.phone_file import zero_shot_file

    names = label_names.parse(arguments.labels)
    with Bars(arguments) as bars:
        vectors = tiers.read_vectors(arguments.text_vectors)
        if arguments.tier == tiers.WORDS and vectors is None:
            label_names.check(names)
            vectors = tiers.tower(arguments.tower, accept_licence=arguments.accept_licence, progress=bars)
        made = zero_shot_file(
            names,
            arguments.output,
            model=arguments.model,
            tier=arguments.tier,
            vectors=vectors,
            data=arguments.data,
            weights=arguments.weights,
            overwrite=arguments.overwrite,
            progress=bars,
        )
    print_result(arguments, made, _show)


def _show(made) -> None:
    from model_maker.cli import metrics_views
    from model_maker.output_folder import MODEL
    from model_maker.terminal import rendering
    from model_maker.terminal.rendering import escape
    from model_maker.zero_shot_learning.phone_file import NOT_MEASURED

    console, table = rendering.console(), rendering.table("label", "taken for")
    for label, meaning in made.meanings.items():
        table.add_row(escape(label), escape(meaning))
    console.print(table)
    rendering.say(console, f"tier [bold]{made.tier}[/] ({escape(made.source)})")
    if made.metrics:
        metrics_views.show_metrics(made.metrics)
    else:
        rendering.say(console, f"accuracy {NOT_MEASURED}")
    rendering.say(console, f"[bold]{escape(str(made.directory / MODEL))}[/] ({made.size_bytes / 1e6:.2f} MB)")


def classifier_of(arguments: argparse.Namespace):
    """Returns what `predict --candidate-labels` answers with, and which tier that is."""
    from model_maker.cli.bars import Bars
    from model_maker.zero_shot_learning import classify, label_names

    with Bars(arguments) as bars:
        found = classify.prepare(
            label_names.parse(arguments.candidate_labels),
            model=arguments.model or "efficientnet_lite0",
            progress=bars,
            **tier_options(arguments),
        )
    return found.classifier, found.tier
