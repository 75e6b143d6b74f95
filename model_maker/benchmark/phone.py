"""An Android device: its properties, files copied to it, and their removal.

Commands and files go through `adb`; `android` chooses the cells and interprets their output.
"""

import hashlib
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from absl import logging

from model_maker.benchmark.adb import AdbReply, Device, DeviceError, DeviceLost, DeviceTimeout
from model_maker.benchmark.binary import check_abi

# On every Android version, adb may write and execute only in /data/local/tmp.
FOLDER = "/data/local/tmp/model_maker"
_RUN = f"{FOLDER}/run"
_PID = f"{_RUN}/pid"
MODEL = f"{_RUN}/model.tflite"


@dataclass(frozen=True)
class DeviceFacts:
    """The properties of a device; unknown ones are empty or None."""

    serial: str
    model: str
    android: str
    api: int | None
    abis: tuple[str, ...]
    soc: str
    cpus: int | None


def read_facts(device: Device) -> DeviceFacts:
    """Reads the properties of a device.

    Raises:
      DeviceError: it does not answer.
    """
    said = device.shell("getprop; echo cpus=$(cat /sys/devices/system/cpu/present 2>/dev/null)").output
    properties = dict(re.findall(r"^\[(.+?)\]: \[(.*)\]$", said, re.MULTILINE))

    def first(*names: str) -> str:
        return next((properties[name] for name in names if properties.get(name)), "")

    abis = first("ro.product.cpu.abilist", "ro.product.cpu.abi")
    api = first("ro.build.version.sdk")
    cpus = re.search(r"^cpus=([\d,-]+)$", said, re.MULTILINE)
    return DeviceFacts(
        serial=device.serial,
        model=first("ro.product.model"),
        android=first("ro.build.version.release"),
        api=int(api) if api.isdigit() else None,
        abis=tuple(abi.strip() for abi in abis.split(",") if abi.strip()),
        soc=first("ro.soc.model", "ro.board.platform", "ro.hardware"),  # the first exists since Android 12
        cpus=_count_cpus(cpus[1]) if cpus else None,
    )


class Workbench:
    """The tool and one model at a time on a device.

    The binary is in a folder named by its hash, so it is copied only once for all models. Always call `clean` at the
    end.
    """

    def __init__(self, device: Device, *, keep_binary: bool = False):
        self._device = device
        self._keep_binary = keep_binary
        self._binary = ""  # on the device
        self._running = False  # whether the tool may be running on the device

    def prepare(self, binary: Path) -> DeviceFacts:
        """Checks that the device can run the binary, and copies it.

        Raises:
          DeviceError: the binary is for another ABI, the device has no space or does not answer.
        """
        facts = read_facts(self._device)
        check_abi(binary, facts.abis)
        # A killed run may have left its model.
        self._device.shell(f"rm -rf {_RUN}; mkdir -p {_RUN}")
        digest = hashlib.sha256(binary.read_bytes()).hexdigest()
        self._binary = f"{FOLDER}/{digest[:16]}/benchmark_model"
        if self._device.shell(f"test -x {self._binary}").code == 0:
            return facts
        # Renamed when complete: an interrupted copy leaves a partial file.
        part = f"{self._binary}.part"
        self._device.push(binary, part)
        made = self._device.shell(f"chmod 755 {part} && mv {part} {self._binary}")
        if made.code != 0:
            raise DeviceError(f"{self._device.serial} cannot make benchmark_model executable: {made.output.strip()}.")
        return facts

    def load(self, model: Path) -> None:
        """Copies a model to the device and replaces the previous one.

        Raises:
          DeviceError: it is not a model, or the device has no space or does not answer.
        """
        try:
            with open(model, "rb") as file:
                mark = file.read(8)[4:]
        except OSError as error:
            raise DeviceError(f"{model}: {error.strerror}. Pass the path of a .tflite file.") from error
        if mark != b"TFL3":
            raise DeviceError(f"{model} is not a .tflite file (no TFL3 identifier). Pass the path of one.")
        self._device.remove(MODEL)  # first, to free space
        self._device.push(model, MODEL)

    def execute(self, arguments: Sequence[str], *, cpu_mask: str | None = None, timeout_s: float) -> AdbReply:
        """Runs the tool, and kills it at the time limit.

        Args:
          arguments: for the tool; the model is at MODEL.
          cpu_mask: the cores to run on, in hexadecimal without 0x (toybox, Android's taskset, does not take it).

        Raises:
          DeviceTimeout: it did not finish in time and was killed.
          DeviceLost: the device was disconnected, or does not answer any more.
          DeviceError: the connection was interrupted; the device still answers.
        """
        pinned = ["taskset", cpu_mask] if cpu_mask else []
        tool = shlex.join([*pinned, self._binary, *arguments])
        # `exec` replaces the shell, so the recorded process id is that of the tool.
        command = f"cd {_RUN} && sh -c {shlex.quote(f'echo $$ > {_PID}; exec {tool}')}"
        self._running = True
        try:
            answer = self._device.shell(command, timeout_s=timeout_s)
        except DeviceLost:
            raise
        except DeviceTimeout as error:
            self._interrupt()
            raise DeviceTimeout(
                f"It did not finish within {timeout_s:g} s. Allow more time, or reduce the number of runs."
            ) from error
        except DeviceError:
            self._interrupt()
            raise
        self._running = False
        return answer

    def place(self, name: str) -> str:
        """Returns the path of a file of `put` or `take` on the device."""
        return f"{_RUN}/{name}"

    def put(self, file: Path, name: str) -> None:
        """Copies a file to the device, next to the model.

        Raises:
          DeviceError: the device has no space or does not answer.
        """
        self._device.push(file, self.place(name))

    def take(self, name: str) -> str:
        """Reads a file on the device, in base64, and removes it; an empty string if it is missing.

        Raises:
          DeviceError: the device does not answer.
        """
        found = self._device.shell(f"base64 {self.place(name)} && rm {self.place(name)}")
        return found.output if found.code == 0 else ""

    def clean(self) -> None:
        """Removes all copied files from the device; only logs a failure if it was disconnected."""
        leftovers = [_RUN]
        if self._binary and not self._keep_binary:
            leftovers.append(self._binary.rpartition("/")[0])
        try:
            if self._running:
                self._interrupt()
            self._device.shell(f"rm -rf {shlex.join(leftovers)}; rmdir {FOLDER} 2>/dev/null; true")
        except DeviceError as error:
            logging.warning("Files may remain in %s on %s: %s", FOLDER, self._device.serial, error)

    def _interrupt(self) -> None:
        try:
            self._device.shell(f"kill -9 $(cat {_PID})")
        except DeviceTimeout as error:
            raise DeviceLost(f"{self._device.serial} does not answer any more. Restart it and run again.") from error
        self._running = False


def _count_cpus(present: str) -> int:
    """Counts the cores in a list of ranges of the kernel: "0-3,6" has five."""
    ranges = [part.split("-") for part in present.split(",") if part]
    return sum(int(part[-1]) - int(part[0]) + 1 for part in ranges)
