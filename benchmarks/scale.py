"""What training costs by the number of photos: `python -m benchmarks.scale --photos 10000,100000 --model FILE`.

Each number of small JPEGs is drawn, all different, and `train` runs on them in a child with an empty cache. Then it
runs again, is killed when half of the photos are embedded, and goes on: what is in the store is counted, and the model
has to be the same. A fast `--model` leaves the rest to be seen.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from model_maker.data.streaming import cores
from model_maker.embeddings.store import names_in
from model_maker.system import files

SIDE = 72  # pixels
# Colours of a photo, each way, and what is the class's in them; the rest is noise.
_COLOURS, _CLASS_SHARE = 6, 0.35
_BATCH = 500
_POLL_SECONDS = 0.1
_ONLY_LINUX = "Memory is looked at in /proc here, which only Linux has."


@dataclass(frozen=True)
class TimedTraining:
    """One run of `train`.

    Attributes:
      photos: how many it was given.
      seconds, cpu_seconds: on the clock, and of all cores.
      peak_mb: most resident memory, mapped pages of files among it.
      anonymous_mb: the same without them; looked at ten times a second.
      stages: as run.json has them.
      top1: of the shipped file on its test part.
    """

    photos: int
    seconds: float
    cpu_seconds: float
    peak_mb: float
    anonymous_mb: float
    stages: list[dict[str, Any]] = field(default_factory=list)
    top1: float = 0.0


@dataclass(frozen=True)
class Resumed:
    """A run that was killed, and the one that went on.

    Attributes:
      photos: how many it was given.
      kept: embeddings in the store after the kill.
      stored, different: embeddings in the end, and how many different photos they are of.
      same_model: whether the model is byte-identical to that of an uninterrupted run.
    """

    photos: int
    kept: int
    stored: int
    different: int
    same_model: bool


def draw(folder: Path, photos: int, *, classes: int) -> None:
    """Draws JPEGs in one folder for each class, on all cores; a folder that is there already is complete."""
    if folder.exists():
        return
    with files.new_directory(folder) as made, ProcessPoolExecutor(cores()) as pool:
        for label in range(classes):
            (made / f"class_{label:03}").mkdir()
        starts = range(0, photos, _BATCH)
        futures = [pool.submit(_draw, made, start, min(start + _BATCH, photos), classes) for start in starts]
        for future in futures:
            future.result()


def _draw(folder: Path, start: int, stop: int, classes: int) -> None:
    for number in range(start, stop):
        label = number % classes
        noise, own = (
            np.random.default_rng([kind, seed]).uniform(0, 255, (_COLOURS, _COLOURS, 3))
            for kind, seed in enumerate((number, label))
        )
        colours = (_CLASS_SHARE * own + (1 - _CLASS_SHARE) * noise).astype(np.uint8)
        picture = Image.fromarray(colours).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        picture.save(folder / f"class_{label:03}" / f"{number:07}.jpg", quality=85)


def measure(command: list[str], output: Path, cache: Path, *, photos: int) -> TimedTraining:
    """Runs `train` to its end."""
    if sys.platform == "win32":
        raise SystemExit(_ONLY_LINUX)
    begin = time.perf_counter()
    child = _start(command, cache)
    anonymous = _Peak(child.pid)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"train ended with {child.returncode}; see above.")
    record = json.loads((output / "run.json").read_text(encoding="utf-8"))
    report = json.loads((output / "metrics.json").read_text(encoding="utf-8"))
    return TimedTraining(
        photos,
        seconds=round(time.perf_counter() - begin, 1),
        cpu_seconds=round(usage.ru_utime + usage.ru_stime, 1),
        peak_mb=round(usage.ru_maxrss / 1024, 1),  # kilobytes on Linux
        anonymous_mb=anonymous.stop(),
        stages=record["stages"],
        top1=report["test"]["top1"],
    )


def kill_and_resume(command: list[str], output: Path, cache: Path, *, photos: int, model: bytes) -> Resumed:
    """Kills `train` when half of the photos are in the store, and lets it go on."""
    if sys.platform == "win32":
        raise SystemExit(_ONLY_LINUX)
    child = _start(command, cache)
    while len(_stored(cache)) < photos / 2:
        if child.poll() is not None:
            raise SystemExit("train was over before it could be killed.")
        time.sleep(_POLL_SECONDS)
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    kept = len(_stored(cache))
    if _start(command, cache).wait():
        raise SystemExit("train failed after the kill; see above.")
    names = _stored(cache)
    same = (output / "model.tflite").read_bytes() == model
    return Resumed(photos, kept, len(names), len(np.unique(names)), same)


def _start(command: list[str], cache: Path) -> subprocess.Popen:
    environment = os.environ | {"MODEL_MAKER_CACHE": str(cache)}
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, start_new_session=True)


def _stored(cache: Path) -> np.ndarray:
    """Names in the largest store of a cache; a small one is of photos that both forms of a backbone are compared on."""
    stores = list(cache.glob("embeddings/*.vectors"))
    return max(map(names_in, stores), key=len, default=np.empty(0, "V32"))


class _Peak:
    """Looks at a process's anonymous memory until it is stopped."""

    def __init__(self, pid: int):
        self._status, self._peak_kb, self._over = Path(f"/proc/{pid}/status"), 0, threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _watch(self) -> None:
        while not self._over.wait(_POLL_SECONDS):
            try:
                lines = self._status.read_text(encoding="utf-8").splitlines()
            except OSError:
                return
            found = [int(line.split()[1]) for line in lines if line.startswith("RssAnon:")]
            self._peak_kb = max(self._peak_kb, *found, 0)

    def stop(self) -> float:
        """Returns megabytes."""
        self._over.set()
        self._thread.join()
        return round(self._peak_kb / 1024, 1)


def _tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _table(run: TimedTraining) -> None:
    _tell(
        f"{run.photos} photos: {run.seconds} s, {run.cpu_seconds} s of CPU, peak {run.peak_mb} MB "
        f"({run.anonymous_mb} MB anonymous), top-1 {100 * run.top1:.1f} %"
    )
    for stage in run.stages:
        each = 1000 * stage["cpu_seconds"] / run.photos
        _tell(
            f"  {stage['name']:<52}{stage['seconds']:9.1f} s{stage['cpu_seconds']:9.1f} s of CPU"
            f"{each:8.3f} ms a photo{stage['peak_memory_mb']:8.0f} MB"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", default="10000,100000", help="numbers of photos")
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--folder", type=Path, required=True, help="where photos, caches and models go")
    parser.add_argument("--no-kill", action="store_true", help="leave the kill and the resumption out")
    parser.add_argument("train", nargs="*", help="options of train, behind --")
    given = parser.parse_args()
    if sys.platform != "linux":
        raise SystemExit(_ONLY_LINUX)
    found: list[dict[str, Any]] = []
    for photos in map(int, given.photos.split(",")):
        home = given.folder / f"{photos}"
        draw(home / "photos", photos, classes=given.classes)
        command = [
            sys.executable,
            "-m",
            "model_maker",
            "train",
            f"--data={home / 'photos'}",
            *given.train,
            "--overwrite",
        ]
        run = measure([*command, f"--output={home / 'model'}"], home / "model", home / "cache", photos=photos)
        _table(run)
        found.append(asdict(run))
        if not given.no_kill:
            again = home / "resumed"
            model = (home / "model" / "model.tflite").read_bytes()
            resumed = kill_and_resume(
                [*command, f"--output={again}"], again, home / "resumed_cache", photos=photos, model=model
            )
            _tell(f"  killed and resumed: {resumed}")
            found.append(asdict(resumed))
    files.write(given.folder / "scale.json", (json.dumps(found, indent=2) + "\n").encode())


if __name__ == "__main__":
    main()
