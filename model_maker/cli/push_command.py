"""`push`: a model in a repository on the Hugging Face Hub."""

import argparse
import dataclasses

from model_maker.cli.arguments import command, json_flag
from model_maker.cli.printing import print_json, show


def add(commands) -> None:
    parser = command(commands, run, "push", "upload a model with its card to the Hugging Face Hub")
    parser.add_argument("model", metavar="MODEL", help="a folder that train or starter made")
    parser.add_argument("repository", metavar="OWNER/NAME", help="repository to make or to add to")
    parser.add_argument("--private", action="store_true", help="make it private, where it does not exist")
    parser.add_argument("--space", metavar="OWNER/NAME", help="also a static Space: the page that runs the model")
    parser.add_argument(
        "--examples", nargs="+", metavar="PHOTO", default=[], help="photos to publish with their answers"
    )
    parser.add_argument("--dataset", metavar="OWNER/NAME", help="dataset on the Hub that the model was trained on")
    parser.add_argument("--message", metavar="TEXT", help="of the commit")
    json_flag(parser)


def run(arguments: argparse.Namespace) -> None:
    from model_maker.cli.bars import Bars
    from model_maker.exporters.hub_upload import push

    more = {"message": arguments.message} if arguments.message else {}
    with Bars(arguments) as bars:
        found = push(
            arguments.model,
            arguments.repository,
            private=arguments.private,
            space=arguments.space,
            examples=arguments.examples,
            datasets=[arguments.dataset] if arguments.dataset else [],
            progress=bars,
            **more,
        )
    if arguments.json:
        print_json(dataclasses.asdict(found))
        return
    show(f"{found.url}: {', '.join(found.files)}")
    if found.space_url:
        show(found.space_url)
