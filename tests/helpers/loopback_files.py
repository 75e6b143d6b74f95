"""A web server on 127.0.0.1 that hands out files, and can be told to misbehave; it ends with its block."""

import contextlib
import http.server
import threading


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.headers: dict[str, dict[str, str]] = {}
        self.requests: list[tuple[str, str | None]] = []  # method and path, Range
        self.stop_after: int | None = None  # bytes, after which the connection breaks once
        self.knows_ranges = True

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_HEAD(self):  # noqa: N802
        self.do_GET()

    def do_GET(self):  # noqa: N802
        server, path = self.server, self.path
        server.requests.append((f"{self.command} {path}", self.headers.get("Range")))
        if path not in server.files:
            self.send_error(404)
            return
        content, begin = server.files[path], 0
        if (wanted := self.headers.get("Range")) and server.knows_ranges:
            begin = int(wanted.removeprefix("bytes=").split("-")[0])
            if begin >= len(content):
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        body = content[begin:]
        self.send_header("Content-Length", str(len(body)))
        for name, value in server.headers.get(path, {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if server.stop_after is not None:
            body, server.stop_after = body[: server.stop_after], None
            self.close_connection = True
        with contextlib.suppress(ConnectionError):
            self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def serve():
    server = Server()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
