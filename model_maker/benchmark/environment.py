"""The machine of a measurement, and its load by other processes."""

import os
import platform
import re
import subprocess
import sys
import time
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Literal

from model_maker.benchmark.phone import DeviceFacts
from model_maker.data.streaming import cores
from model_maker.version import __version__

# From these shares of the machine's CPU time on, medians were observed to change by more than a few percent.
MOST_OTHERS = 0.05
MOST_STOLEN = 0.02

_PACKAGES = ("ai-edge-litert", "numpy")


@dataclass(frozen=True)
class Machine:
    """A computer or a phone; unknown fields are empty or None.

    Attributes:
      name: the processor of a computer, the model of a phone.
      cores: usable by the process that measured.
      system: operating system, its version, architecture.
      detail: of a phone: serial, system on chip.
      versions: of the software, by name.
    """

    kind: Literal["host", "android", "ios"]
    name: str
    cores: int | None = None
    system: str = ""
    governor: str = ""
    detail: str = ""
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def identity(self) -> dict[str, object]:
        """The fields that must be equal for two measurements to be comparable."""
        return {"kind": self.kind, "processor": self.name, "cores": self.cores, "governor": self.governor}


def this_machine() -> Machine:
    """Describes the computer that this runs on."""
    return Machine(
        kind="host",
        name=_processor(),
        cores=cores(),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        governor=content_of("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").strip(),
        versions=_versions() | {name: metadata.version(name) for name in _PACKAGES},
    )


def android_machine(facts: DeviceFacts) -> Machine:
    """Describes a phone by its properties."""
    release = f"Android {facts.android}" if facts.android else "Android"
    return Machine(
        kind="android",
        name=facts.model or "an Android device",
        cores=facts.cpus,
        system=f"{release} (API {facts.api}) {facts.abis[0] if facts.abis else ''}".strip(),
        detail=", ".join(part for part in (facts.soc, facts.serial) if part),
        versions=_versions(),
    )


def ios_machine(name: str) -> Machine:
    """Describes an iPhone or iPad; the benchmark app does not name it, so the user does."""
    return Machine(kind="ios", name=name or "an iOS device", versions=_versions())


@dataclass(frozen=True)
class Load:
    """The load of the machine by other processes; None if unknown.

    Attributes:
      average_before, average_after: processes that wanted to run, mean of the last minute.
      others: share of all cores' time that other processes used while it was measured.
      stolen: share that the hypervisor gave to other virtual machines.
    """

    average_before: float | None = None
    average_after: float | None = None
    others: float | None = None
    stolen: float | None = None

    def noise(self) -> tuple[str, ...]:
        """Returns descriptions of possible disturbances of a measurement."""
        found = []
        if self.others is not None and self.others > MOST_OTHERS:
            found.append(f"other processes used {100 * self.others:.0f} % of the CPU")
        if self.stolen is not None and self.stolen > MOST_STOLEN:
            found.append(f"the hypervisor took {100 * self.stolen:.0f} % of the CPU away")
        return tuple(found)


class LoadWatch:
    """Compares the machine's CPU time with this process's own, since its construction."""

    def __init__(self) -> None:
        self._average = _load_average()
        self._own = time.process_time()
        self._machine = cpu_seconds(content_of("/proc/stat"))

    def load(self) -> Load:
        """Returns the load since then."""
        load = Load(average_before=self._average, average_after=_load_average())
        now = cpu_seconds(content_of("/proc/stat"))
        if now is None or self._machine is None:
            return load
        total, busy, stolen = (after - before for after, before in zip(now, self._machine, strict=True))
        if total <= 0:
            return load
        others = max(0.0, busy - (time.process_time() - self._own)) / total
        return Load(load.average_before, load.average_after, round(others, 4), round(max(0.0, stolen) / total, 4))


def cpu_seconds(stat: str) -> tuple[float, float, float] | None:
    """Reads seconds from /proc/stat: of all cores since boot, of these used by processes, and stolen by the hypervisor.

    None if there is no such file.
    """
    found = re.match(r"cpu +(\d+(?: \d+){7})", stat)
    if not found or sys.platform == "win32":
        return None
    # proc(5); guest time is part of user time, so the numbers behind these eight would count twice.
    user, nice, system, idle, iowait, irq, softirq, steal = map(int, found[1].split())
    tick = 1 / os.sysconf("SC_CLK_TCK")
    busy = user + nice + system + irq + softirq
    return (busy + idle + iowait + steal) * tick, busy * tick, steal * tick


def _load_average() -> float | None:
    if sys.platform == "win32":
        return None
    try:
        return round(os.getloadavg()[0], 2)
    except OSError:
        return None


def _processor() -> str:
    if sys.platform == "darwin":
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)
        return done.stdout.strip()
    # x86 has a name for each core; boards with ARM have one "Model" or "Hardware" for the whole.
    found = re.search(r"^(?:model name|Model|Hardware)\s*: (.+)$", content_of("/proc/cpuinfo"), re.MULTILINE)
    return found[1].strip() if found else platform.processor() or platform.machine()


def _versions() -> dict[str, str]:
    return {"model_maker": __version__, "python": platform.python_version()}


def content_of(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
