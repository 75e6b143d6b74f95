"""Finds or downloads the official `benchmark_model` for Android, and checks that a device can run it.

The published binary is downloaded on request only.
"""

import hashlib
import http.client
import os
import struct
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

from model_maker.benchmark.adb import DeviceError
from model_maker.system import files

VARIABLE = "MODEL_MAKER_BENCHMARK_BINARY"

# https://ai.google.dev/edge/litert/models/measurement, "Native benchmark binary"
PUBLISHED = "https://storage.googleapis.com/tensorflow-nightly-public/prod/tensorflow/release/lite/tools/nightly/latest"
_PUBLISHED_NAMES = {
    "arm64-v8a": "android_aarch64_benchmark_model",
    "armeabi-v7a": "android_arm_benchmark_model",
}

# e_machine of the ELF header -> Android's name; the numbers are the ELF registry's.
_ABIS = {3: "x86", 40: "armeabi-v7a", 62: "x86_64", 183: "arm64-v8a", 243: "riscv64"}


def find(path: str | os.PathLike[str] | None = None) -> Path:
    """Finds the binary: `path`, else the variable MODEL_MAKER_BENCHMARK_BINARY.

    Raises:
      DeviceError: none is set, or it is not a file.
    """
    given = os.fspath(path) if path else os.environ.get(VARIABLE)
    if not given:
        raise DeviceError(
            f"Android needs the benchmark_model binary. Pass its path (or set {VARIABLE}), or download it "
            f"from {PUBLISHED} with --fetch-binary"
        )
    if not Path(given).is_file():
        raise DeviceError(f"There is no benchmark_model at {given}. Pass the path of the binary itself.")
    return Path(given)


def fetch(abis: Sequence[str], *, announce: Callable[[str], None], address: str = PUBLISHED) -> Path:
    """Returns the published binary for a device, downloading it unless the cache has it.

    The nightly build has no published hash: its sha256 is recorded next to it, announced, and checked from then on.

    Args:
      abis: what the device runs, best first.
      announce: called with messages about the download and the hash.
      address: the folder of the published binaries.

    Raises:
      DeviceError: none is published for these ABIs, or it cannot be downloaded.
      OutputError: the cache cannot be written.
    """
    name = next((_PUBLISHED_NAMES[abi] for abi in abis if abi in _PUBLISHED_NAMES), None)
    if name is None:
        raise DeviceError(f"No benchmark_model is published for {', '.join(abis)}. Build it and pass its path.")
    path = files.cache_directory() / "benchmark_model" / name
    record = path.with_name(f"{name}.sha256")
    if path.is_file() and record.is_file():
        digest = _digest(path.read_bytes())
        if digest == record.read_text(encoding="utf-8").strip():
            announce(f"Using {path} (sha256 {digest}). Delete it to fetch a newer one.")
            return path
        announce(f"{path} has changed since it was downloaded; downloading it again.")
    announce(f"Fetching {address}/{name}")
    content = _download(f"{address}/{name}")
    digest = _digest(content)
    files.write(path, content)
    files.write(record, f"{digest}\n".encode())
    announce(f"Fetched {len(content) / 1e6:.1f} MB to {path} (sha256 {digest}; the publisher provides no hash).")
    return path


def check_abi(path: Path, abis: Sequence[str]) -> None:
    """Checks that a device can run the binary; a script (`#!`) is accepted.

    Raises:
      DeviceError: it is built for another platform, or is not a program.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(20)
    except OSError as error:
        raise DeviceError(f"{path}: {error.strerror}. Pass the path of benchmark_model.") from error
    if head.startswith(b"#!"):
        return
    abi = _abi(head)
    if abi is None:
        raise DeviceError(f"{path} is not a program for Android (no ELF header). Pass the path of benchmark_model.")
    if abi not in abis:
        raise DeviceError(f"{path} is built for {abi}, but the device runs {', '.join(abis)}. Use a build for that.")


def _abi(head: bytes) -> str | None:
    if len(head) < 20 or head[:4] != b"\x7fELF":
        return None
    order = ">" if head[5] == 2 else "<"
    machine = struct.unpack_from(f"{order}H", head, 18)[0]
    return _ABIS.get(machine, f"ELF machine {machine}")


def _download(address: str) -> bytes:
    try:
        with urllib.request.urlopen(address, timeout=60) as reply:  # the address is ours
            content = reply.read()
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        raise DeviceError(f"{address} cannot be fetched: {error}. Download it elsewhere and pass its path.") from error
    if _abi(content[:20]) is None:
        raise DeviceError(f"{address} is not a program (a login page?). Download it elsewhere and pass its path.")
    return content


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
