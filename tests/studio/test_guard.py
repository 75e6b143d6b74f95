"""Who is let in: the page of this very studio, and nobody else."""

import pytest

CHANGE = ("POST", "api/do/add_class", '{"name": "tulip"}')


@pytest.mark.parametrize(
    ("request_line", "headers", "status"),
    [
        (("GET", "api/state"), {"Host": "evil.example"}, 421),
        (("GET", "api/state"), {"Host": "127.0.0.1.evil.example:80"}, 421),
        (("GET", "api/state"), {"Origin": "http://evil.example"}, 403),
        (("GET", "api/state"), {"Origin": None, "Sec_Fetch_Site": "cross-site"}, 403),
        (("GET", "api/state"), {"Origin": None, "Sec_Fetch_Site": "same-site"}, 403),
        (CHANGE, {"Origin": None}, 403),
        (CHANGE, {"Origin": "null"}, 403),
        (CHANGE, {"Origin": "http://127.0.0.1:1"}, 403),
        (("GET", "api/state"), {"Origin": None}, 200),
        (CHANGE, {}, 200),
    ],
)
def test_only_the_page_itself_is_answered(client, request_line, headers, status):
    assert client.ask(*request_line, **headers)[0] == status


@pytest.mark.parametrize("path", ["/", "/api/state", "/wrong/api/state", "//api/state", "/index.html", ""])
def test_without_the_token_there_is_nothing(client, path):
    status, _, content = client.ask("GET", path or "/", whole=True)
    assert status == 403
    assert b"holds a token" in content


def test_a_refused_change_changes_nothing(client, workspace):
    client.ask(*CHANGE, Origin="http://evil.example")
    assert list(workspace.classes()) == ["rose"]


def test_every_answer_has_the_policy(client):
    for path in ("", "api/state", "nothing.html", "photo/unknown", "demo/model.js"):
        headers = client.ask("GET", path)[1]
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe-inline" not in policy
        assert "'unsafe-eval'" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert "Access-Control-Allow-Origin" not in headers
