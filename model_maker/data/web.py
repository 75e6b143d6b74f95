"""Photos from http(s) addresses: downloaded with a size limit and retries, and cached."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from model_maker.errors import DataError
from model_maker.system import files

# A photo of 100 megapixels has about 50 MB; more is a mistake or an attack.
MAX_BYTES = 64 << 20
TIMEOUT_S = 20
_CHUNK = 1 << 16
# Seconds before each retry; an error follows if the server stays busy.
PAUSES_S = (0.5, 2.0)
# Status codes to retry: too early, too many requests, and server errors.
_PASSING = (408, 425, 429, 500, 502, 503, 504)


@dataclass(frozen=True, slots=True)
class Address:
    """A photo at an http(s) address; it is downloaded once, and then read from the cache."""

    address: str

    def __str__(self) -> str:
        return self.address

    @property
    def cached(self) -> Path:
        """Its path in the cache."""
        name = hashlib.sha256(self.address.encode()).hexdigest()
        return files.cache_directory() / "photos" / name[:2] / name

    def read_bytes(self) -> bytes:
        if (content := files.read_checked(self.cached)) is None:
            content = patient(lambda: fetch(self.address))
            files.write_checked(self.cached, content)
        return content


def is_address(name: str) -> bool:
    return name.lower().startswith(("http://", "https://"))


def fetch(address: str, *, timeout: float | None = None) -> bytes:
    """Downloads a photo.

    Args:
      timeout: seconds that the server may keep silent; TIMEOUT_S by default.

    Raises:
      DataError: no answer, an error status, or more than MAX_BYTES.
    """
    import http.client  # imported here, because every command imports this module, and these take a while
    import urllib.error
    import urllib.request

    try:
        request = urllib.request.Request(address, headers={"User-Agent": "model_maker"})
        with urllib.request.urlopen(request, timeout=timeout or TIMEOUT_S) as answer:
            content = limited(answer, address)
            if (stated := answer.length) and stated > 0:
                raise DataError(f"{address}: cannot be fetched (the connection broke before the end)")
            return content
    except urllib.error.HTTPError as error:
        raise DataError(f"{address}: the server answered {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise DataError(f"{address}: cannot be fetched ({reason})") from error


def patient(call: Callable[[], bytes]) -> bytes:
    """Retries after a pause on temporary errors."""
    import urllib.error

    for pause_s in PAUSES_S:
        try:
            return call()
        except DataError as error:
            cause = error.__cause__
            if isinstance(cause, urllib.error.HTTPError) and cause.code not in _PASSING:
                raise
        time.sleep(pause_s)
    return call()


def limited(stream: BinaryIO, name: str) -> bytes:
    """Reads a stream to its end.

    Raises:
      DataError: it holds more than MAX_BYTES.
    """
    content = bytearray()
    while chunk := stream.read(_CHUNK):
        content += chunk
        if len(content) > MAX_BYTES:
            raise DataError(f"{name}: more than {MAX_BYTES >> 20} MB; a photo is smaller")
    return bytes(content)
