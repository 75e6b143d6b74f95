"""`studio`: from photos to a model in the browser."""

import argparse

from model_maker.cli.arguments import command
from model_maker.cli.demo_command import serve, server_flags


def add(commands) -> None:
    parser = command(
        commands,
        run,
        "studio",
        "make a model in the browser: collect photos, train, try, check, ship; nothing leaves this machine",
    )
    parser.add_argument(
        "folder",
        metavar="DIR",
        nargs="?",
        default="photos",
        help="folder with a folder of photos for each class; made if it is not there (default: photos)",
    )
    server_flags(parser)


def run(arguments: argparse.Namespace) -> None:
    from model_maker.studio.studio import Studio
    from model_maker.studio.studio_server import StudioServer
    from model_maker.studio.workspace import Workspace

    with Studio(Workspace(arguments.folder)) as studio:
        serve(StudioServer(studio, arguments.port or 0), arguments.folder, arguments)
