"""The phone clients are started without a network, and say what is missing."""

import socket
import subprocess
import sys

import pytest

from model_maker.system import extras, limited_process
from model_maker.verification import clients

pytestmark = pytest.mark.slow


def test_a_client_that_cannot_be_loaded_says_how_to_get_it(model, photos, monkeypatch):
    monkeypatch.setattr(extras, "is_here", lambda module: True)
    reply = clients.reply_missing(ImportError("No module named 'mediapipe'"), "Run: pip install it")
    monkeypatch.setattr(clients, "offline", lambda: ("unshare",))
    monkeypatch.setattr(limited_process, "run", lambda *_, **__: reply)
    with pytest.raises(clients.NotHere, match="Tasks is not available .No module named .mediapipe... Run: pip"):
        clients.ask("MediaPipe Tasks", [model], [])


def test_clients_have_no_network(model, monkeypatch):
    monkeypatch.setattr(extras, "is_here", lambda module: True)
    if not clients.offline():
        pytest.skip("the system does not let a process leave the network (unshare)")
    with socket.create_server(("127.0.0.1", 0)) as server:
        reach = f"import socket; socket.create_connection({server.getsockname()!r}, 5)"
        inside, outside = (
            subprocess.run([*within, sys.executable, "-c", reach], capture_output=True, check=False).returncode
            for within in (clients.offline(), ())
        )
    assert (inside, outside) == (1, 0)
    seen = []
    monkeypatch.setattr(limited_process, "run", lambda *_, within, **__: seen.append(within) or b'{"models": []}')
    clients.ask("MediaPipe Tasks", [], [])
    assert seen == [clients.offline()]


def test_mediapipe_does_not_run_where_the_network_cannot_be_cut_off(model, photos, monkeypatch, capsys):
    monkeypatch.setattr(extras, "is_here", lambda module: True)

    def started(module, *_, within, **__):
        assert (module, within) == (clients.CLIENTS[clients.TASK_LIBRARY], ())
        return b'{"models": []}'

    monkeypatch.setattr(limited_process, "run", started)
    monkeypatch.setattr(clients, "offline", tuple)
    with pytest.raises(clients.NotHere, match="may send usage metrics to its vendor.*Allow user namespaces"):
        clients.ask(clients.MEDIAPIPE, [model], [])
    # The other sends nothing.
    assert clients.ask(clients.TASK_LIBRARY, [], []) == []


def test_a_way_out_of_the_network_is_found_where_there_is_one(monkeypatch):
    tried = []

    def runs(words, **_):
        tried.append(words)
        return subprocess.CompletedProcess(words, 0 if words[1] == "--net" else 1)

    monkeypatch.setattr(subprocess, "run", runs)
    clients.offline.cache_clear()
    try:
        assert clients.offline() == ("unshare", "--net")
        assert [words[1] for words in tried] == ["--map-root-user", "--net"]
    finally:
        clients.offline.cache_clear()
