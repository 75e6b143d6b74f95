"""Serves the files of a `static_site` on this machine, and to this machine alone."""

import contextlib
import http.server
import sys
import threading
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from pathlib import PurePosixPath

from absl import logging

from model_maker.demo import companions, static_site
from model_maker.errors import OutputError

_HOST = "127.0.0.1"
# Of a body that no request here has, so much is read, for the client to get its answer.
_DRAINED_BYTES = 1 << 16
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".md": "text/plain; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
    ".gif": "image/gif",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
    ".tflite": "application/octet-stream",
    "": "text/plain; charset=utf-8",
}


# A page of the model folder, such as its report, brings its script, style and pictures along. Whoever made it, it is a
# stranger to the pages served here and fetches nothing. Our report's own policy allows its one script alone.
_DOCUMENT_POLICY = (
    "sandbox allow-downloads allow-scripts; default-src 'none'; script-src 'unsafe-inline'; "
    "style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class PageServer(http.server.ThreadingHTTPServer):
    """Answers requests for the files of a site, and no others.

    Args:
      site: path to content.
      port: 0 takes any that is free.

    Raises:
      OutputError: the port cannot be taken.
    """

    daemon_threads = True
    # On Windows it would take a port that another server has; elsewhere one that was just left.
    allow_reuse_address = sys.platform != "win32"

    def __init__(self, site: Mapping[str, bytes], port: int = 0):
        self.site, self.headers = site, static_site.headers()
        try:
            super().__init__((_HOST, port), _Handler)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or "it is no port"
            raise OutputError(f"Port {port} cannot be taken: {reason}. Choose another one with `port`.") from error

    def handle_error(self, request: object, client_address: object) -> None:
        """Says nothing of clients that leave in the middle, or stay silent; what else fails keeps its traceback."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]

    @property
    def url(self) -> str:
        """The address of the page."""
        return f"http://{_HOST}:{self.server_port}/"


@contextlib.contextmanager
def serving(site: Mapping[str, bytes], port: int = 0) -> Iterator[PageServer]:
    """Serves a site in the background while the block runs."""
    with PageServer(site, port) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class _Handler(http.server.BaseHTTPRequestHandler):
    server: PageServer
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "model_maker", ""
    timeout = 60
    _policy: str | None = None

    def do_GET(self) -> None:
        if content := self._found():
            with contextlib.suppress(ConnectionError):  # the browser has left
                self.wfile.write(content)

    def do_HEAD(self) -> None:
        self._found()

    def _found(self) -> bytes | None:
        """Sends the headers of an answer; returns the file, or None where an error was sent."""
        # A page of another name that resolves to this address has another Host: it gets nothing. The port may differ,
        # as it does through a tunnel.
        if (self.headers.get("Host") or "").split(":")[0] not in (_HOST, "localhost"):
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST)
            return None
        if self._refuse_body():
            return None
        name = self.path.split("?")[0].removeprefix("/") or static_site.INDEX
        content = self.server.site.get(name)
        if content is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return None
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", _TYPES[PurePosixPath(name).suffix])
        self.send_header("Content-Length", str(len(content)))
        self._policy = _DOCUMENT_POLICY if name.startswith(companions.BESIDE) else None
        self.end_headers()
        return content

    def _refuse_body(self) -> bool:
        """Refuses a request with a body, and ends the connection: what is left of it is no next request."""
        lengths = self.headers.get_all("Content-Length", [])
        if set(lengths) <= {"0"} and "Transfer-Encoding" not in self.headers:
            return False
        if len(lengths) == 1 and lengths[0].isdecimal() and len(lengths[0]) < 9:
            self.rfile.read(min(int(lengths[0]), _DRAINED_BYTES))
        self.send_error(HTTPStatus.BAD_REQUEST, "A request for a file has no body")
        return True

    def end_headers(self) -> None:
        own = {"Content-Security-Policy": self._policy} if self._policy else {}
        self._policy = None  # the next request of this connection has another one
        for name, value in {**self.server.headers, **own, "Cache-Control": "no-store"}.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *values: object) -> None:
        logging.info(format, *values)
