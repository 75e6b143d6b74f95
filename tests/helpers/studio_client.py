"""Asks a studio that is being served, as a page would; or otherwise, as others might."""

import http.client
import json
import socket
from urllib.parse import quote, urlsplit


class StudioClient:
    """Args: url, the whole address of a studio."""

    def __init__(self, url):
        self.parts = urlsplit(url)

    def ask(self, method, path, body=None, *, whole=False, **headers):
        """Returns status, headers and content of an answer; `path` is below the token's unless `whole` says so."""
        connection = http.client.HTTPConnection(self.parts.hostname, self.parts.port, timeout=60)
        given = {"Origin": f"http://{self.parts.netloc}"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        sent = {name: value for name, value in given.items() if value is not None}
        connection.request(method, path if whole else self.parts.path + path, body, sent)
        answer = connection.getresponse()
        found = answer.status, answer.headers, answer.read()
        connection.close()
        return found

    def state(self):
        return json.loads(self.ask("GET", "api/state")[2])

    def act(self, action, /, **body):
        status, _, content = self.ask("POST", f"api/do/{action}", json.dumps(body))
        return status, json.loads(content)

    def upload(self, name, content, label=None, **headers):
        query = f"name={quote(name)}" + ("" if label is None else f"&class={quote(label)}")
        status, _, answer = self.ask("PUT", f"api/upload?{query}", content, **headers)
        return status, json.loads(answer)

    def raw(self, line, body=b"", *, ends=False, **headers):
        """Sends a request that no library would; returns the whole answer. It may end before its body does."""
        given = {"Host": self.parts.netloc, "Origin": f"http://{self.parts.netloc}"} | headers
        method, path = line.split()
        fields = [f"{name.replace('_', '-')}: {value}" for name, value in given.items()]
        head = "\r\n".join([f"{method} {self.parts.path}{path} HTTP/1.1", *fields, "", ""])
        with socket.create_connection((self.parts.hostname, self.parts.port), timeout=60) as connection:
            connection.sendall(head.encode() + body)
            if ends:
                connection.shutdown(socket.SHUT_WR)
            answer = b""
            while chunk := connection.recv(1 << 16):
                answer += chunk
        return answer
