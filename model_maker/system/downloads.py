"""Downloads files: announced, resumable, verified, and failing quickly without a network."""

import base64
import contextlib
import hashlib
import http.client
import os
import socket
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from model_maker.errors import BackboneError
from model_maker.system import files, locks
from model_maker.version import __version__

# Detecting a missing network must not take long; a name server may never answer.
CONNECT_S = 2.0
# A connection that receives no byte for this long is dead.
STALLED_S = 30.0
_CHUNK = 1 << 18
_PORTS = {"http": 80, "https": 443}


class Unavailable(BackboneError):
    """A file that is not in the cache and cannot be downloaded now."""


def address(url: str) -> str:
    """Returns the address of a file; MODEL_MAKER_MIRROR, an http(s) address, replaces scheme and host.

    Raises:
      BackboneError: the mirror is not such an address.
    """
    mirror = os.environ.get("MODEL_MAKER_MIRROR")
    if not mirror:
        return url
    if urllib.parse.urlsplit(mirror).scheme not in _PORTS:
        raise BackboneError(f"MODEL_MAKER_MIRROR={mirror} is not an http or https address.")
    return mirror.rstrip("/") + urllib.parse.urlsplit(url).path


def reachable(url: str) -> bool:
    """Whether the host, or its proxy, accepts a connection within CONNECT_S."""
    parts = urllib.parse.urlsplit(url)
    proxy = urllib.request.getproxies().get(parts.scheme)
    if proxy and not urllib.request.proxy_bypass(parts.netloc):
        parts = urllib.parse.urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    answered = threading.Event()

    def connect() -> None:
        with contextlib.suppress(OSError, UnicodeError):
            place = parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 80)
            socket.create_connection(place, CONNECT_S).close()
            answered.set()

    # In a thread, because name lookup has no time limit; a daemon thread, so that it does not delay exit.
    worker = threading.Thread(target=connect, daemon=True)
    worker.start()
    worker.join(CONNECT_S)
    return answered.is_set()


def fetch(url: str, target: Path, *, sha256: str | None, progress: Callable[[int, int], None]) -> None:
    """Downloads a file; resumes from `<target>.part` of an earlier attempt.

    Args:
      url: http or https.
      target: created when the file is complete and verified.
      sha256: of the file; None if it is not published.
      progress: called with (done, total) kilobytes.

    Raises:
      BackboneError: the server refuses, the connection breaks, or the file does not match its hash.
      OutputError: it cannot be written.
    """
    part = target.with_name(f"{target.name}.part")
    with files.explained(part):
        part.parent.mkdir(parents=True, exist_ok=True)
        with locks.locked(target.with_name(f"{target.name}.lock")):  # another process may be downloading it
            if target.exists():
                return
            with open(part, "ab") as file:
                md5 = _receive(url, file, progress)
            for expected, kind in ((sha256, "sha256"), (md5, "md5")):
                with open(part, "rb") as content:
                    found = hashlib.file_digest(content, kind).hexdigest() if expected else None
                if found != expected:
                    part.unlink()
                    raise BackboneError(
                        f"What {url} sent is not the published file ({kind} {found}, expected {expected}). "
                        "It was deleted; try again, or ask your network administrator."
                    )
            files.rename(part, target)


def _receive(url: str, file: BinaryIO, progress: Callable[[int, int], None]) -> str | None:
    """Appends the missing part to the file; returns the md5 of the whole if the server states it."""
    done = os.fstat(file.fileno()).st_size
    with _explained(url), _open(url, done) as response:
        if response.status != http.client.PARTIAL_CONTENT:
            file.truncate(done := 0)
        length = response.headers.get("Content-Length")
        total = done + int(length) if length else None
        while chunk := response.read(_CHUNK):
            file.write(chunk)
            done += len(chunk)
            progress(done // 1000, (total or done) // 1000)
        if total is not None and done != total:
            raise http.client.IncompleteRead(b"", total - done)
        return _md5(response.headers.get_all("x-goog-hash") or ())


def _open(url: str, begin: int):
    headers = {"User-Agent": f"model_maker/{__version__}"} | ({"Range": f"bytes={begin}-"} if begin else {})
    try:
        response = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=STALLED_S)
    except urllib.error.HTTPError as error:
        if begin and error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            return _open(url, 0)
        raise
    stated = response.headers.get("Content-Range", "")
    if response.status == http.client.PARTIAL_CONTENT and not stated.startswith(f"bytes {begin}-"):
        response.close()
        return _open(url, 0)
    return response


@contextlib.contextmanager
def _explained(url: str) -> Iterator[None]:
    try:
        yield
    except urllib.error.HTTPError as error:
        raise BackboneError(f"{url} answers {error.code} {error.reason}.") from error
    except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError) as error:
        reason = getattr(error, "reason", None) or error
        raise BackboneError(
            f"The download of {url} broke off ({reason}). Run the same command again to resume it."
        ) from error


def _md5(hashes: tuple[str, ...] | list[str]) -> str | None:
    """Reads Google Cloud Storage's "crc32c=...,md5=..."."""
    for entry in ",".join(hashes).split(","):
        if entry.strip().startswith("md5="):
            return base64.b64decode(entry.strip().removeprefix("md5=")).hex()
    return None
