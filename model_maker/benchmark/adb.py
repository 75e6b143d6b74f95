"""A thin client over the real `adb` executable.

It finds adb, picks a device, runs commands and copies files. Every failure becomes one line with adb's output and
advice. `phone` chooses the commands.

adb's exit codes are unreliable: `adb connect` returns 0 on failure, a lost connection and a failed command both return
1, and before Android 7 every command returns 0.
"""

import os
import re
import shlex
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from model_maker.errors import ModelMakerError

# The first call starts adb's server, which takes a few seconds on a slow machine.
_ANSWER_S = 30.0
# USB 2 moves at least 5 MB/s, Wi-Fi about 1 MB/s; models and binary have a few dozen MB.
_COPY_S = 300.0
# How long a newly connected device may be in a transient state.
_SETTLE_S = 5.0
# The line after a command's output. If it is missing, the connection was lost.
_MARK = "model_maker_exit_code="

_STATES = {
    "unauthorized": "Unlock it, accept 'Allow USB debugging' and run again",
    "authorizing": "Unlock it, accept 'Allow USB debugging' and run again",
    "offline": "Unplug and replug it (or run: adb reconnect) and run again",
    "connecting": "Wait a few seconds and run again",
    "no permissions": "Install udev rules (Debian: apt install android-sdk-platform-tools-common) and replug it",
    "bootloader": "Start Android on it and run again",
    "recovery": "Start Android on it and run again",
    "sideload": "Start Android on it and run again",
}


class DeviceError(ModelMakerError):
    """A failure of a phone, or of a tool for it."""


class DeviceLost(DeviceError):
    """The connection to the phone was lost."""


class DeviceTimeout(DeviceError):
    """No answer within the time limit; the command may still run on the phone."""


@dataclass(frozen=True)
class Attached:
    """One line of `adb devices`: a serial and its state; only devices in the state "device" are usable."""

    serial: str
    state: str


@dataclass(frozen=True)
class AdbReply:
    """What a command on the device printed (stdout and stderr in one, lines end with LF) and its exit code."""

    output: str
    code: int


@dataclass(frozen=True)
class Device:
    """One device, ready for commands; `serial` is as `adb devices` lists it."""

    adb: Path
    serial: str

    def shell(self, command: str, *, timeout_s: float = _ANSWER_S) -> AdbReply:
        """Runs a command line in the shell of the device.

        Raises:
          DeviceTimeout: it takes longer than `timeout_s`. It continues on the device.
          DeviceLost: the device was disconnected.
          DeviceError: adb ended before the command did, and the device still answers.
        """
        wrapped = f"{{ {command}\n}} 2>&1; code=$?; echo; echo {_MARK}$code"
        done = _run(self.adb, "-s", self.serial, "shell", wrapped, timeout_s=timeout_s)
        output, mark, code = done.stdout.rpartition(f"\n{_MARK}")
        if not mark:
            raise self._failure("running a command", done)
        return AdbReply(output, int(code))

    def push(self, source: Path, target: str, *, timeout_s: float = _COPY_S) -> None:
        """Copies a file to the device.

        Raises:
          DeviceTimeout: it takes longer than `timeout_s`.
          DeviceLost: the device was disconnected.
          DeviceError: the device has no space, or refuses the file.
        """
        done = _run(self.adb, "-s", self.serial, "push", str(source), target, timeout_s=timeout_s)
        if done.returncode == 0:
            return
        if "No space left on device" in done.stderr + done.stdout:
            raise DeviceError(
                f"{self.serial} has no space for {source.name} ({source.stat().st_size / 1e6:.1f} MB). "
                "Free some storage on it and run again."
            )
        raise self._failure(f"receiving {source.name}", done)

    def remove(self, *targets: str) -> None:
        """Removes files and folders; ignores missing ones."""
        self.shell("rm -rf " + shlex.join(targets))

    def _failure(self, doing: str, done: subprocess.CompletedProcess[str]) -> DeviceError:
        said = _last_line(done.stderr) or _last_line(done.stdout) or f"nothing, exit code {done.returncode}"
        if self._answers():
            return DeviceError(f"{self.serial} failed while {doing}; adb said: {said}. Check the device and run again.")
        return DeviceLost(f"{self.serial} was disconnected while {doing}; adb said: {said}. Reconnect and run again.")

    def _answers(self) -> bool:
        """Whether the device itself answers: adb may list one for a moment after it was disconnected."""
        try:
            return _run(self.adb, "-s", self.serial, "shell", "echo here", timeout_s=10).stdout.strip() == "here"
        except DeviceTimeout:
            return False


def find_adb(path: str | os.PathLike[str] | None = None) -> Path:
    """Finds the adb executable: `path`, else the variable ADB, else PATH.

    Raises:
      DeviceError: it is missing, or cannot be run.
    """
    wanted = os.fspath(path) if path else os.environ.get("ADB")
    found = shutil.which(wanted or "adb")
    if found:
        return Path(found)
    if wanted:
        raise DeviceError(f"{wanted} is not an adb executable. Pass its path, or unset ADB to use the one on PATH.")
    raise DeviceError(
        "adb was not found. Install Android's platform-tools (Debian: apt install adb; macOS: brew install "
        "android-platform-tools), or set the variable ADB to its path."
    )


def list_devices(adb: Path) -> list[Attached]:
    """Lists every attached device, usable or not.

    Raises:
      DeviceError: adb cannot reach or start its server.
    """
    done = _run(adb, "devices", timeout_s=_ANSWER_S)
    if done.returncode != 0:
        raise DeviceError(f"adb devices failed: {_last_line(done.stderr)}. Run: adb kill-server, then again.")
    return parse_devices(done.stdout)


def parse_devices(text: str) -> list[Attached]:
    """Reads what `adb devices` (or `adb devices -l`) printed."""
    listed = []
    for line in text.partition("List of devices attached")[2].splitlines():
        # A tab separates the two, except in the long form, where neither serial nor state has spaces in practice.
        serial, _, state = line.partition("\t") if "\t" in line else line.strip().partition(" ")
        if serial and state.strip():
            # "no permissions (user in plugdev group; ...)" is the only state of two words.
            word = "no permissions" if state.strip().startswith("no permissions") else state.split()[0]
            listed.append(Attached(serial.strip(), word))
    return listed


def pick(adb: Path, serial: str | None = None) -> Device:
    """Selects the device: `serial`, else the variable ANDROID_SERIAL, as for adb itself, else the only attached device.

    A serial `HOST:PORT` is connected to first if needed.

    Raises:
      DeviceError: there is no device, there are several without a serial, or it is not usable in its state.
    """
    serial = serial or os.environ.get("ANDROID_SERIAL")
    attached = list_devices(adb)
    if serial:
        return _ready(adb, _with_serial(adb, serial, attached))
    if not attached:
        raise DeviceError(
            "No Android device is attached. Plug one in, switch on USB debugging (Settings, Developer options) and "
            "check with: adb devices"
        )
    if len(attached) > 1:
        raise DeviceError(f"{len(attached)} devices are attached: {_names(attached)}. Choose one with its serial.")
    return _ready(adb, attached[0])


def _with_serial(adb: Path, serial: str, attached: list[Attached]) -> Attached:
    said = ""
    if serial not in (device.serial for device in attached) and re.fullmatch(r"\S+:\d+", serial):
        # Its exit code is 0 even if it failed, so the list decides; its output goes into the message.
        said = f" (adb connect: {_last_line(_run(adb, 'connect', serial, timeout_s=_ANSWER_S).stdout)})"
        attached = list_devices(adb)
    for device in attached:
        if device.serial == serial:
            return device
    raise DeviceError(f"No device {serial} is attached{said}; attached: {_names(attached)}. Check with: adb devices")


def _ready(adb: Path, device: Attached) -> Device:
    end = time.monotonic() + _SETTLE_S
    while device.state in ("authorizing", "connecting") and time.monotonic() < end:
        time.sleep(0.1)
        device = next((found for found in list_devices(adb) if found.serial == device.serial), device)
    if device.state != "device":
        advice = _STATES.get(device.state, "Check it with: adb devices")
        raise DeviceError(f"{device.serial} is attached but {device.state}. {advice}.")
    return Device(adb, device.serial)


def _names(attached: list[Attached]) -> str:
    return ", ".join(f"{device.serial} ({device.state})" for device in attached) or "none"


def _run(adb: Path, *arguments: str, timeout_s: float) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            [str(adb), *arguments],
            stdin=subprocess.DEVNULL,  # adb shell would otherwise swallow the caller's input
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        what = " ".join(argument for argument in arguments[:4] if argument != "-s")[:60].splitlines()[0]
        raise DeviceTimeout(f"adb {what} timed out after {timeout_s:g} s. Check the device and run again.") from error
    except OSError as error:
        raise DeviceError(f"{adb} cannot be run: {error.strerror}. Install Android's platform-tools.") from error


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1].rstrip(".")[:300] if lines else ""
