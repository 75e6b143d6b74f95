"""An Android device played on 127.0.0.1, for the real adb client.

It speaks adb's transport (CNXN, AUTH, OPEN, OKAY, WRTE, CLSE) with the services `shell` (version 2, or 1 as before
Android 7) and `sync` (stat, send, receive). Commands really run, with /bin/sh, in a folder that stands for the device:
/data/local/tmp in a command or a path is a folder below it. `getprop` answers from a table.

What it runs as `benchmark_model` is in `loopback_benchmark`.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

TMP = "/data/local/tmp"

_HEADER = struct.Struct("<4sIIIII")
_VERSION = 0x01000000
_MAX_PAYLOAD = 256 * 1024
_CHUNK = 32 * 1024  # of one WRTE; small enough that a transfer takes several

PROPERTIES = {
    "ro.product.model": "Loopback 1",
    "ro.build.version.release": "14",
    "ro.build.version.sdk": "34",
    "ro.product.cpu.abilist": "arm64-v8a,armeabi-v7a",
    "ro.soc.model": "Host",
}


class LoopbackDevice:
    """The device.

    Args:
      root: an empty folder that stands for its storage.
      properties: what differs from PROPERTIES.
      authorized: whether it accepts the computer's key; if not, it asks for ever, as a phone with its dialog open.
      free_bytes: what can be pushed until the storage is full.
      shell_v2: whether exit codes are carried, as from Android 7.
    """

    def __init__(
        self,
        root: Path,
        *,
        properties: dict[str, str] | None = None,
        authorized: bool = True,
        free_bytes: int = 1 << 40,
        shell_v2: bool = True,
    ):
        self.root = root
        self.authorized = authorized
        self.free_bytes = free_bytes
        self.features = "shell_v2,cmd" if shell_v2 else "cmd"
        self.commands: list[str] = []
        self.pushed: list[str] = []
        self.on_shell: Callable[[str], None] = lambda command: None
        self._children: list[subprocess.Popen] = []
        self._connections: list[socket.socket] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.serial = f"127.0.0.1:{self._server.getsockname()[1]}"
        self.tmp.mkdir(parents=True)
        self._install_getprop(PROPERTIES | (properties or {}))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def tmp(self) -> Path:
        """The folder that is /data/local/tmp on the device."""
        return self.root / TMP[1:]

    def files(self) -> list[str]:
        """Names every file and folder on the device below /data/local/tmp."""
        return sorted(str(path.relative_to(self.tmp)) for path in self.tmp.rglob("*"))

    def running(self) -> list[str]:
        """Names the commands that have not ended."""
        return [child.args[2] for child in self._children if child.poll() is None]

    def unplug(self) -> None:
        """Breaks every connection and accepts no other. What runs on the device goes on."""
        # shutdown, not close: it also wakes the threads that wait in accept and recv.
        for link in (self._server, *self._connections):
            with contextlib.suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)
            link.close()

    def stop(self) -> None:
        """Unplugs the device and ends what it still runs."""
        self.unplug()
        for child in self._children:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait(timeout=10)

    def local(self, path: str) -> Path:
        """Maps a path of the device to the folder that stands for it."""
        return self.root / path.lstrip("/")

    def spawn(self, command: str) -> subprocess.Popen:
        """Starts a command line of the device."""
        self.commands.append(command)
        child = subprocess.Popen(
            ["/bin/sh", "-c", command.replace(TMP, str(self.tmp))],
            cwd=self.root,
            env={"PATH": f"{self.root / 'bin'}:/usr/bin:/bin", "HOME": str(self.root)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._children.append(child)
        self.on_shell(command)
        return child

    def _install_getprop(self, properties: dict[str, str]) -> None:
        (self.root / "bin").mkdir()
        table = self.root / "bin" / "properties"
        table.write_text("".join(f"[{name}]: [{value}]\n" for name, value in properties.items()))
        script = self.root / "bin" / "getprop"
        script.write_text(f"#!/bin/sh\ncat {table}\n")
        script.chmod(0o755)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                link, _ = self._server.accept()
                link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # or every answer waits 40 ms
                self._connections.append(link)
                threading.Thread(target=_Transport(self, link).serve, daemon=True).start()


class _Transport:
    """One connection with adb's server."""

    def __init__(self, device: LoopbackDevice, link: socket.socket):
        self.device = device
        self._link = link
        self._sending = threading.Lock()
        self._streams: dict[int, _Stream] = {}

    def serve(self) -> None:
        with contextlib.suppress(OSError, EOFError):
            while True:
                command, first, second, payload = self._receive()
                self._handle(command, first, second, payload)
        for stream in list(self._streams.values()):
            stream.hang_up()

    def send(self, command: bytes, first: int, second: int, payload: bytes = b"") -> None:
        magic = int.from_bytes(command, "little") ^ 0xFFFFFFFF
        header = _HEADER.pack(command, first, second, len(payload), sum(payload) & 0xFFFFFFFF, magic)
        with self._sending:
            self._link.sendall(header + payload)

    def _handle(self, command: bytes, first: int, second: int, payload: bytes) -> None:
        if command == b"CNXN" or command == b"AUTH":
            if self.device.authorized:
                banner = f"device::ro.product.name=loopback;features={self.device.features}"
                self.send(b"CNXN", _VERSION, _MAX_PAYLOAD, banner.encode())
            elif first != 3:  # adb tries its keys; when it sends the public one, a phone shows its dialog and is silent
                self.send(b"AUTH", 1, 0, os.urandom(20))
        elif command == b"OPEN":
            stream = _Stream(self, local=len(self._streams) + 1, remote=first)
            self._streams[stream.local] = stream
            service = payload.rstrip(b"\0").decode()
            threading.Thread(target=stream.serve, args=(service,), daemon=True).start()
        elif command == b"OKAY":
            self._streams[second].acknowledged.release()
        elif command == b"WRTE":
            self._streams[second].received.put(payload)
            self.send(b"OKAY", second, first)
        elif command == b"CLSE" and second in self._streams:
            self._streams[second].hang_up()

    def _receive(self) -> tuple[bytes, int, int, bytes]:
        command, first, second, length, _, _ = _HEADER.unpack(self._exactly(_HEADER.size))
        return command, first, second, self._exactly(length)

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self._link.recv(size - len(data))
            if not more:
                raise EOFError
            data += more
        return data


class _Stream:
    """One service that adb opened: a shell command or a file transfer."""

    def __init__(self, transport: _Transport, *, local: int, remote: int):
        self.local = local
        self.received: queue.Queue[bytes | None] = queue.Queue()
        self.acknowledged = threading.Semaphore(1)
        self._transport = transport
        self._remote = remote
        self._open = True
        self._unread = b""

    def serve(self, service: str) -> None:
        with contextlib.suppress(OSError, EOFError):
            self._transport.send(b"OKAY", self.local, self._remote)
            name, _, argument = service.partition(":")
            if name.split(",")[0] == "shell":
                self._shell(argument, version_2="v2" in name.split(","))
            elif name == "sync":
                self._sync()
            self._transport.send(b"CLSE", self.local, self._remote)

    def hang_up(self) -> None:
        self._open = False
        self.received.put(None)
        self.acknowledged.release()

    def _write(self, data: bytes) -> None:
        for start in range(0, len(data), _CHUNK):
            self.acknowledged.acquire()  # one packet at a time: the next after adb's OKAY
            if not self._open:
                raise EOFError
            self._transport.send(b"WRTE", self.local, self._remote, data[start : start + _CHUNK])

    def _read(self, size: int) -> bytes:
        while len(self._unread) < size:
            more = self.received.get()
            if more is None:
                raise EOFError
            self._unread += more
        data, self._unread = self._unread[:size], self._unread[size:]
        return data

    def _shell(self, command: str, *, version_2: bool) -> None:
        # When adb hangs up the command goes on: the harder case, and what many devices do.
        child = self._transport.device.spawn(command)
        while data := child.stdout.read1(_CHUNK):
            self._write(struct.pack("<BI", 1, len(data)) + data if version_2 else data)
        code = child.wait()
        if version_2:
            self._write(struct.pack("<BIB", 3, 1, code & 0xFF))

    def _sync(self) -> None:
        device = self._transport.device
        while True:
            request, size = struct.unpack("<4sI", self._read(8))
            name = self._read(size).decode() if request != b"QUIT" else ""
            if request == b"STAT":
                path = device.local(name)
                found = path.stat() if path.exists() else None
                fields = (found.st_mode, found.st_size, int(found.st_mtime)) if found else (0, 0, 0)
                self._write(struct.pack("<4sIII", b"STAT", *fields))
            elif request == b"SEND":
                self._receive_file(device, name.rpartition(",")[0])
            elif request == b"RECV":
                self._send_file(device.local(name))
            else:
                return

    def _receive_file(self, device: LoopbackDevice, name: str) -> None:
        content = b""
        while (part := struct.unpack("<4sI", self._read(8)))[0] == b"DATA":
            content += self._read(part[1])
        if len(content) > device.free_bytes:
            message = b"write failed: No space left on device"  # as adbd words it
            self._write(struct.pack("<4sI", b"FAIL", len(message)) + message)
            return
        device.free_bytes -= len(content)
        device.pushed.append(name)
        path = device.local(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        self._write(struct.pack("<4sI", b"OKAY", 0))

    def _send_file(self, path: Path) -> None:
        content = path.read_bytes()
        self._write(struct.pack("<4sI", b"DATA", len(content)) + content + struct.pack("<4sI", b"DONE", 0))


@contextlib.contextmanager
def adb_server(adb: Path, home: Path) -> Iterator[None]:
    """Runs an adb server of our own, on a free port and with keys of its own, and points adb to it.

    Args:
      adb: the executable.
      home: an empty folder; adb makes its key pair there.
    """
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = str(probe.getsockname()[1])
    settings = {"ANDROID_ADB_SERVER_PORT": port, "HOME": str(home), "ADB_VENDOR_KEYS": ""}
    before = {name: os.environ.get(name) for name in (*settings, "ANDROID_SERIAL")}
    os.environ.update(settings)
    os.environ.pop("ANDROID_SERIAL", None)
    server = subprocess.Popen(
        [str(adb), "-P", port, "nodaemon", "server"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(lambda: _listens(int(port)))
        yield
    finally:
        server.kill()
        server.wait(timeout=10)
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def _wait_for(condition: Callable[[], bool], *, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("the private adb server did not start")
        time.sleep(0.02)
