"""A Hugging Face Hub on 127.0.0.1, as far as uploading a repository goes; it can break off once, or refuse."""

import base64
import contextlib
import hashlib
import http.server
import json
import threading


class Hub(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repositories: dict[str, dict] = {}  # "models/owner/name" to what it was made with
        self.files: dict[str, dict[str, bytes]] = {}
        self.objects: dict[str, bytes] = {}
        self.sent: list[str] = []  # objects, as often as they were uploaded
        self.break_commits = 0
        self.token = "secret"

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def _answer(self, body, status=200):
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _body(self):
        if self.headers.get("Transfer-Encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def do_PUT(self):  # noqa: N802
        content = self._body()
        name = self.path.rsplit("/", 1)[1]
        assert hashlib.sha256(content).hexdigest() == name
        self.server.objects[name] = content
        self.server.sent.append(name)
        self._answer({})

    def do_POST(self):  # noqa: N802
        hub, path, body = self.server, self.path.partition("?")[0], self._body()
        if self.headers.get("Authorization") != f"Bearer {hub.token}":
            self._answer({"error": "who are you"}, 401)
        elif path == "/api/repos/create":
            self._create(json.loads(body))
        elif path == "/api/validate-yaml":
            self._answer({"errors": [], "warnings": []})
        elif "/preupload/" in path:
            files = json.loads(body)["files"]
            modes = ["lfs" if f["path"].endswith((".tflite", ".wasm", ".png")) else "regular" for f in files]
            told = [
                {"path": f["path"], "uploadMode": m, "shouldIgnore": False} for f, m in zip(files, modes, strict=True)
            ]
            self._answer({"files": told})
        elif path.endswith("/info/lfs/objects/batch"):
            self._answer({"transfer": "basic", "objects": [self._object(o) for o in json.loads(body)["objects"]]})
        elif "/commit/" in path:
            self._commit(path, body)
        else:
            self._answer({}, 404)

    def _create(self, asked):
        kind = asked.get("type", "model")
        owner = asked.get("organization")
        name = f"{kind}s/{owner}/{asked['name']}" if owner else f"{kind}s/{asked['name']}"
        url = f"{self.server.address}/{'' if kind == 'model' else f'{kind}s/'}{name.split('/', 1)[1]}"
        if name in self.server.repositories:
            self._answer({"url": url, "error": "exists"}, 409)
            return
        self.server.repositories[name] = asked
        self._answer({"url": url})

    def _object(self, asked):
        here = asked["oid"] in self.server.objects
        upload = {"href": f"{self.server.address}/objects/{asked['oid']}"}
        return asked | ({} if here else {"actions": {"upload": upload}})

    def _commit(self, path, body):
        if self.server.break_commits:
            self.server.break_commits -= 1
            self._answer({"error": "no longer"}, 400)
            return
        _, _, kind, owner, name, *_ = path.split("/")
        files = self.server.files.setdefault(f"{kind}/{owner}/{name}", {})
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.server.objects[value["oid"]]
        self._answer({"commitUrl": f"{self.server.address}/{owner}/{name}/commit/1", "commitOid": "1", "success": True})


@contextlib.contextmanager
def serve():
    hub = Hub()
    threading.Thread(target=hub.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()
