from __future__ import annotations

import hashlib
import http.server
import platform
import struct
import sys
import threading

import pytest

from model_maker.benchmark import binary
from model_maker.benchmark.adb import DeviceError

PHONE = ("arm64-v8a", "armeabi-v7a")


def elf(machine: int, *, bits: int = 64) -> bytes:
    """Writes the start of an ELF header by its specification: magic, class, little-endian, version, ET_DYN, machine."""
    return b"\x7fELF" + bytes([bits // 32, 1, 1]) + bytes(9) + struct.pack("<HH", 3, machine) + bytes(44)


@pytest.fixture
def site(tmp_path):
    """Serves a folder on 127.0.0.1."""
    folder = tmp_path / "site"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=str(folder))

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join(timeout=10)


@pytest.mark.parametrize(
    ("machine", "bits", "abi", "other"), [(183, 64, *PHONE), (40, 32, *reversed(PHONE))]
)  # EM_AARCH64, EM_ARM
def test_both_builds_run_on_a_64_bit_phone_and_neither_where_only_the_other_does(tmp_path, machine, bits, abi, other):
    (tmp_path / "tool").write_bytes(elf(machine, bits=bits))
    binary.check_abi(tmp_path / "tool", PHONE)
    with pytest.raises(DeviceError, match=f"built for {abi}, but the device runs {other}"):
        binary.check_abi(tmp_path / "tool", [other])


def test_a_build_for_something_else_is_refused(tmp_path):
    (tmp_path / "tool").write_bytes(elf(62))  # EM_X86_64
    with pytest.raises(DeviceError, match="built for x86_64, but the device runs arm64-v8a, armeabi-v7a"):
        binary.check_abi(tmp_path / "tool", PHONE)
    (tmp_path / "tool").write_bytes(elf(183))
    with pytest.raises(DeviceError, match="built for arm64-v8a, but the device runs armeabi-v7a"):
        binary.check_abi(tmp_path / "tool", ("armeabi-v7a",))


def test_a_real_program_is_read_as_its_machine():
    abi = {"x86_64": "x86_64", "aarch64": "arm64-v8a"}.get(platform.machine())
    if abi is None or not sys.platform.startswith("linux"):
        pytest.skip("needs Linux on x86_64 or aarch64")
    binary.check_abi(sys.executable, (abi,))
    with pytest.raises(DeviceError, match=f"built for {abi}"):
        binary.check_abi(sys.executable, ("x86",))


def test_a_script_has_no_abi_and_a_text_is_no_program(tmp_path):
    (tmp_path / "script").write_bytes(b"#!/bin/sh\n")
    binary.check_abi(tmp_path / "script", PHONE)
    (tmp_path / "text").write_bytes(b"hello")
    with pytest.raises(DeviceError, match="is not a program for Android"):
        binary.check_abi(tmp_path / "text", PHONE)
    with pytest.raises(DeviceError, match="No such file"):
        binary.check_abi(tmp_path / "nothing", PHONE)


def test_the_binary_is_found_by_argument_and_variable(tmp_path, monkeypatch):
    monkeypatch.delenv(binary.VARIABLE, raising=False)
    tool = tmp_path / "tool"
    tool.write_bytes(elf(183))
    assert binary.find(tool) == tool
    with pytest.raises(DeviceError, match="Give its path .or set MODEL_MAKER_BENCHMARK_BINARY"):
        binary.find()
    monkeypatch.setenv(binary.VARIABLE, str(tool))
    assert binary.find() == tool
    with pytest.raises(DeviceError, match="There is no benchmark_model at /nowhere"):
        binary.find("/nowhere")


def test_fetching_announces_records_and_caches(site, tmp_path, monkeypatch):
    folder, address = site
    monkeypatch.setenv("MODEL_MAKER_CACHE", str(tmp_path / "cache"))
    content = elf(183) + b"first"
    digest = hashlib.sha256(content).hexdigest()
    (folder / "android_aarch64_benchmark_model").write_bytes(content)
    said = []
    path = binary.fetch(PHONE, announce=said.append, address=address)
    assert path.read_bytes() == content
    assert path.is_relative_to(tmp_path / "cache")
    assert said[0] == f"Fetching {address}/android_aarch64_benchmark_model"
    assert digest in said[1]
    assert path.with_name(path.name + ".sha256").read_text() == f"{digest}\n"

    (folder / "android_aarch64_benchmark_model").write_bytes(elf(183) + b"second")
    said.clear()
    assert binary.fetch(PHONE, announce=said.append, address=address).read_bytes() == content
    assert len(said) == 1
    assert digest in said[0]

    path.write_bytes(b"damaged")
    said.clear()
    assert binary.fetch(PHONE, announce=said.append, address=address).read_bytes().endswith(b"second")
    assert "has changed" in said[0]


def test_what_cannot_be_fetched_leaves_nothing(site, tmp_path, monkeypatch):
    folder, address = site
    monkeypatch.setenv("MODEL_MAKER_CACHE", str(tmp_path / "cache"))
    with pytest.raises(DeviceError, match="cannot be fetched: HTTP Error 404"):
        binary.fetch(("armeabi-v7a",), announce=lambda line: None, address=address)
    (folder / "android_arm_benchmark_model").write_bytes(b"<html>log in</html>")
    with pytest.raises(DeviceError, match="gave no program"):
        binary.fetch(("armeabi-v7a",), announce=lambda line: None, address=address)
    with pytest.raises(DeviceError, match="No benchmark_model is published for x86_64"):
        binary.fetch(("x86_64",), announce=lambda line: None, address=address)
    assert not (tmp_path / "cache").exists()
