"""`studio`: from photos to a model in the browser."""

import argparse
import contextlib
import threading
import webbrowser

from model_maker.cli.arguments import command
from model_maker.cli.printing import show


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
    parser.add_argument("--port", type=int, metavar="N", help="port on 127.0.0.1 (default: any free one)")
    parser.add_argument("--no-browser", action="store_true", help="do not open the browser")


def run(arguments: argparse.Namespace) -> None:
    from model_maker.studio.studio import Studio
    from model_maker.studio.studio_server import StudioServer
    from model_maker.studio.workspace import Workspace

    with Studio(Workspace(arguments.folder)) as studio:
        server = StudioServer(studio, arguments.port or 0)
        show(f"{arguments.folder} at {server.url} (ctrl-C ends)", flush=True)
        if not arguments.no_browser:
            # Aside, for a browser in the terminal returns only when it is left.
            threading.Thread(target=webbrowser.open, args=(server.url,), daemon=True).start()
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()
    print()  # behind the terminal's ^C
