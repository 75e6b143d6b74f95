"""The real adb client against a device on 127.0.0.1, with an adb server of its own."""

from __future__ import annotations

import os
import subprocess

import pytest
from loopback_device import TMP

from model_maker.benchmark.adb import (
    Attached,
    Device,
    DeviceError,
    DeviceLost,
    DeviceTimeout,
    find_adb,
    list_devices,
    parse_devices,
    pick,
)


def test_devices_are_read_in_every_state():
    # As adb prints them: https://developer.android.com/tools/adb#devicestatus, and USB without udev rules.
    text = (
        "* daemon not running; starting now at tcp:5037\n* daemon started successfully\n"
        "List of devices attached\nemulator-5554\tdevice\n0a388e93\tunauthorized\nR58M123\toffline\n"
        "(no serial number)\tno permissions (user in plugdev group; are your udev rules wrong?); see "
        "[http://developer.android.com/tools/device.html]\n\n"
    )
    assert parse_devices(text) == [
        Attached("emulator-5554", "device"),
        Attached("0a388e93", "unauthorized"),
        Attached("R58M123", "offline"),
        Attached("(no serial number)", "no permissions"),
    ]


def test_the_long_list_is_read_too():
    text = (
        "List of devices attached\n"
        "ebe3968d               device product:OP5B16L1 model:CPH2641 device:OP5B16L1 transport_id:1\n\n"
    )
    assert parse_devices(text) == [Attached("ebe3968d", "device")]
    assert parse_devices("List of devices attached\n\n") == []


def test_adb_is_found_by_argument_variable_and_path(tmp_path, monkeypatch):
    tool = tmp_path / "my-adb"
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("ADB", raising=False)
    assert find_adb(tool) == tool
    with pytest.raises(DeviceError, match=r"adb was not found\. Install .*platform-tools"):
        find_adb()
    monkeypatch.setenv("ADB", str(tool))
    assert find_adb() == tool
    with pytest.raises(DeviceError, match="/nowhere/adb is not an adb that can be run"):
        find_adb("/nowhere/adb")


def test_no_device(adb):
    with pytest.raises(DeviceError, match=r"No Android device is attached.*USB debugging.*adb devices"):
        pick(adb)


def test_the_only_device_is_picked(adb, attach):
    serial = attach().serial
    assert pick(adb, serial) == Device(adb, serial)  # connects
    assert pick(adb) == Device(adb, serial)


def test_two_devices_need_a_serial(adb, attach, monkeypatch):
    one, two = attach().serial, attach().serial
    pick(adb, one)
    pick(adb, two)
    with pytest.raises(DeviceError) as caught:
        pick(adb)
    assert f"{one} (device)" in str(caught.value)
    assert f"{two} (device)" in str(caught.value)
    assert pick(adb, two).serial == two
    monkeypatch.setenv("ANDROID_SERIAL", one)
    assert pick(adb).serial == one


def test_an_unknown_serial_is_answered_with_those_there_are(adb, attach):
    serial = attach().serial
    pick(adb, serial)
    with pytest.raises(DeviceError, match=rf"No device R58M123 is attached; there is: {serial} \(device\)"):
        pick(adb, "R58M123")


def test_a_refused_connection_is_an_error_although_adb_returns_0(adb):
    # Port 1 of the loopback belongs to tcpmux, which nobody runs.
    done = subprocess.run([adb, "connect", "127.0.0.1:1"], capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0
    with pytest.raises(DeviceError, match=r"No device 127\.0\.0\.1:1 is attached \(adb connect: .*refused\)"):
        pick(adb, "127.0.0.1:1")


def test_an_unauthorized_device_says_what_to_do_on_it(adb, attach):
    serial = attach(authorized=False).serial
    with pytest.raises(DeviceError, match=rf"{serial} is attached but unauthorized\. Unlock it, accept 'Allow USB"):
        pick(adb, serial)


@pytest.mark.parametrize("shell_v2", [True, False])
def test_exit_codes_and_output_come_through(adb, attach, shell_v2):
    # Without shell_v2 (before Android 7) adb itself returns 0 for every command.
    device = pick(adb, attach(shell_v2=shell_v2).serial)
    done = device.shell("echo out; echo err >&2; sh -c 'exit 7'")
    assert (done.output, done.code) == ("out\nerr\n", 7)
    assert device.shell("printf 'no line end'").output == "no line end"
    assert device.shell("true").output == ""
    assert device.shell("sh -c 'kill -SEGV $$'").code == 128 + 11


def test_files_arrive_whole(adb, attach, tmp_path):
    loopback = attach()
    device = pick(adb, loopback.serial)
    content = os.urandom(300_000)  # several packets of 64 KB
    (tmp_path / "a file").write_bytes(content)
    device.push(tmp_path / "a file", f"{TMP}/folder/copy")
    assert (loopback.tmp / "folder" / "copy").read_bytes() == content
    device.remove(f"{TMP}/folder", f"{TMP}/never there")
    assert loopback.files() == []


def test_a_full_device_says_so(adb, attach, tmp_path):
    loopback = attach(free_bytes=1000)
    device = pick(adb, loopback.serial)
    (tmp_path / "big.bin").write_bytes(bytes(2_000_000))
    with pytest.raises(DeviceError, match=r"has no space for big\.bin \(2\.0 MB\)\. Free some storage"):
        device.push(tmp_path / "big.bin", f"{TMP}/big.bin")
    assert loopback.files() == []


def test_a_command_has_a_time_limit(adb, attach):
    device = pick(adb, attach().serial)
    with pytest.raises(DeviceTimeout, match=r"gave no answer within 0\.5 s"):
        device.shell("sleep 60", timeout_s=0.5)
    assert device.shell("echo still there").output == "still there\n"


def test_an_unplugged_device_is_lost(adb, attach):
    loopback = attach()
    device = pick(adb, loopback.serial)
    loopback.on_shell = lambda command: loopback.unplug()
    with pytest.raises(DeviceLost, match=rf"{loopback.serial} went away while running a command"):
        device.shell("sleep 60")
    assert [found.state for found in list_devices(adb)] != ["device"]
