"""Serves a studio on this machine, and to this machine alone."""

import contextlib
import secrets
import socket
import sys
import threading
import time
from collections.abc import Iterator

import uvicorn

from model_maker.errors import OutputError
from model_maker.studio import routes
from model_maker.studio.studio import Studio

_HOST = "127.0.0.1"
# Connections at a time: a browser has six for each page, and one for its events.
_MOST_CONNECTIONS = 100


class StudioServer(uvicorn.Server):
    """Answers the page of a studio.

    Args:
      port: 0 takes any that is free.

    Attributes:
      token, url: the secret, and the address of the page, which holds it.

    Raises:
      OutputError: the port cannot be taken.
    """

    def __init__(self, studio: Studio, port: int = 0):
        self.token = secrets.token_urlsafe(24)  # stands in the address of one studio, and nobody can guess it
        self._socket = _bound(port)
        self.url = f"http://{_HOST}:{self._socket.getsockname()[1]}/{self.token}/"
        super().__init__(
            uvicorn.Config(
                routes.application(studio, self.token),
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=1,
                limit_concurrency=_MOST_CONNECTIONS,
            )
        )

    def serve_forever(self) -> None:
        """Answers until ctrl-C, or until `should_exit` is set."""
        with self._socket:
            self.run(sockets=[self._socket])


@contextlib.contextmanager
def serving(studio: Studio, port: int = 0) -> Iterator[StudioServer]:
    """Serves a studio in the background while the block runs."""
    server = StudioServer(studio, port)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield server
    finally:
        server.should_exit = True
        thread.join()


def _bound(port: int) -> socket.socket:
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        if sys.platform != "win32":  # there it would take a port that another server has
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((_HOST, port))
        found.listen()  # so that whoever knows the address may ask at once, and waits
    except (OSError, OverflowError) as error:
        found.close()
        reason = getattr(error, "strerror", None) or "it is no port"
        raise OutputError(f"Port {port} cannot be taken: {reason}. Choose another one with `port`.") from error
    return found
