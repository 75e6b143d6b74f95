"""`demo`: a model in the browser."""

import argparse
import contextlib
import threading
import webbrowser

from model_maker.cli.arguments import command
from model_maker.cli.printing import show
from model_maker.errors import DataError


def add(commands) -> None:
    parser = command(
        commands,
        run,
        "demo",
        "try a model in the browser on photos, camera and video; no data leaves this machine",
    )
    parser.add_argument("model", metavar="MODEL", help="a .tflite, or a folder that train made")
    server_flags(parser)
    parser.add_argument("--export", metavar="DIR", help="write the page as a static site instead, for any host")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing site")


def run(arguments: argparse.Namespace) -> None:
    from model_maker.classes.splitting import teaching_files
    from model_maker.demo import companions, static_site
    from model_maker.demo.page_server import PageServer

    if arguments.export:
        if arguments.port is not None:
            raise DataError(f"--port {arguments.port} has no effect with --export: leave one out.")
        folder = static_site.write_site(
            arguments.model, arguments.export, more=teaching_files(arguments.model), overwrite=arguments.overwrite
        )
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        show(f"{folder}/{static_site.INDEX} ({size / 1e6:.1f} MB in all)")
        return
    more = teaching_files(arguments.model) | companions.local(arguments.model)
    with PageServer(static_site.site(arguments.model, more), arguments.port or 0) as server:
        serve(server, arguments.model, arguments)


def server_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of commands that serve a page."""
    parser.add_argument("--port", type=int, metavar="N", help="port on 127.0.0.1 (default: any free one)")
    parser.add_argument("--no-browser", action="store_true", help="do not open the browser")


def serve(server, name: str, arguments: argparse.Namespace) -> None:
    """Serves a page until ctrl-C, and opens it in the browser."""
    show(f"{name} at {server.url} (ctrl-C ends)", flush=True)
    if not arguments.no_browser:
        # In a thread, because a terminal browser returns only when the user quits it.
        threading.Thread(target=webbrowser.open, args=(server.url,), daemon=True).start()
    with contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()
    print()  # after the terminal's ^C
