"""How long the studio takes: `python -m benchmarks.studio_times PHOTOS [--runs 5]`, PHOTOS a folder of class folders.

A studio in a process of its own, with an empty cache, gets all photos over HTTP, as a browser sends them. Measured are
the time until all are embedded, beside that of `train` with an empty cache; what the rehearsal behind it takes; the
time from the request to train until the result has been fetched; and the same after one photo has moved to another
class. CPU time is of the studio and of the processes that it started.
"""

import argparse
import contextlib
import http.client
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from model_maker.system import files

# As the page does: uploads at a time.
_UPLOADS = 4
_LIMIT_S = 900


@dataclass(frozen=True)
class Took:
    """Seconds on the clock, and of all cores; the latter only on Linux, else NaN."""

    seconds: float
    cpu_seconds: float


class Asking:
    """Asks a studio, in a process of its own, as its page does."""

    def __init__(self, process: subprocess.Popen[str], url: str):
        self.process, self._parts = process, urlsplit(url)

    def ask(self, method: str, path: str, body: bytes | None = None) -> dict[str, Any]:
        with contextlib.closing(self._connection()) as connection:
            connection.request(method, self._parts.path + path, body, {"Origin": f"http://{self._parts.netloc}"})
            answer = connection.getresponse()
            found: dict[str, Any] = json.loads(answer.read())
        if answer.status != 200:
            raise SystemExit(f"The studio refuses {path}: {found.get('error')}")
        return found

    def act(self, action: str, /, **body: Any) -> dict[str, Any]:
        return self.ask("POST", f"api/do/{action}", json.dumps(body).encode())

    def upload(self, photos: list[Path]) -> None:
        def send(photo: Path) -> None:
            query = f"name={quote(photo.name)}&class={quote(photo.parent.name)}"
            self.ask("PUT", f"api/upload?{query}", photo.read_bytes())

        with ThreadPoolExecutor(_UPLOADS) as pool:
            list(pool.map(send, photos))

    def follow(self, is_over: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Reads the events until one of them says so."""
        with contextlib.closing(self._connection()) as connection:
            connection.request("GET", f"{self._parts.path}api/events")
            for line in connection.getresponse():
                if line.startswith(b"data: ") and is_over(pulse := json.loads(line[6:])):
                    return dict(pulse)
        raise SystemExit("The studio fell silent.")

    @contextlib.contextmanager
    def timed(self, into: list[Took]) -> Iterator[None]:
        """Measures a block."""
        cpu, start = _cpu_seconds(self.process.pid), time.perf_counter()
        yield
        into.append(Took(time.perf_counter() - start, _cpu_seconds(self.process.pid) - cpu))

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self._parts.hostname or "", self._parts.port, timeout=_LIMIT_S)


@contextlib.contextmanager
def studio(folder: Path, cache: Path) -> Iterator[Asking]:
    """Runs a studio while the block does."""
    command = [sys.executable, "-m", "model_maker", "studio", str(folder), "--no-browser"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, encoding="utf-8", env=_environment(cache)
    ) as process:
        line = process.stdout.readline() if process.stdout else ""
        try:
            yield Asking(process, line.split(" at ")[1].split(" (")[0])
        finally:
            process.terminate()


def measure(source: Path, folder: Path, *, runs: int) -> dict[str, list[Took]]:
    """Measures everything; the first training is apart from the later ones."""
    photos = sorted(path for group in source.iterdir() if group.is_dir() for path in group.iterdir())
    names = ("train, empty cache", "embed", "rehearse", "first", "moved", "again")
    found: dict[str, list[Took]] = {name: [] for name in names}
    start = time.perf_counter()
    command = [sys.executable, "-m", "model_maker", "train", "--data", str(source), "--output", str(folder / "made")]
    before = os.times()
    subprocess.run(command, check=True, capture_output=True, env=_environment(folder / "cache of train"))
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    found["train, empty cache"].append(Took(time.perf_counter() - start, cpu))
    with studio(folder / "photos", folder / "cache") as asking:
        for name in sorted({photo.parent.name for photo in photos}):
            asking.act("add_class", name=name)
        with asking.timed(found["embed"]):
            asking.upload(photos)
            asking.follow(lambda pulse: pulse["embedded"] == [len(photos), len(photos)])
        with asking.timed(found["rehearse"]):
            asking.follow(lambda pulse: bool(pulse["ready"]))
        _train(asking, found["first"])
        for number in range(runs):
            classes = asking.ask("GET", "api/state")["classes"]
            source_class, target = classes[number % len(classes)], classes[(number + 1) % len(classes)]
            asking.act("move", photos=[source_class["photos"][0]["id"]], to=target["name"])
            _train(asking, found["moved"])
            _train(asking, found["again"])
    return found


def _train(asking: Asking, into: list[Took]) -> None:
    """From the click to the result, which the page fetches when the job has ended."""
    with asking.timed(into):
        asking.act("train", options={})
        ended = asking.follow(lambda pulse: pulse["job"]["state"] != "running")
        if ended["job"]["state"] != "done":
            raise SystemExit(f"Training failed: {ended['job']['message']}")
        asking.ask("GET", "api/state")


def _environment(cache: Path) -> dict[str, str]:
    return os.environ | {"XDG_CACHE_HOME": str(cache)}


def _cpu_seconds(process: int) -> float:
    """Returns what a process and those it started and waited for have computed; NaN where only Linux says it."""
    if sys.platform != "linux":
        return float("nan")
    fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path, help="a folder of class folders")
    parser.add_argument("--runs", type=int, default=5, help="trainings after the first, of each kind")
    arguments = parser.parse_args()
    with files.temporary_directory() as folder:
        found = measure(arguments.photos.resolve(), Path(folder), runs=arguments.runs)
    print(f"{'':20} runs  seconds (least)  CPU seconds")
    for name, took in found.items():
        wall, cpu = [one.seconds for one in took], [one.cpu_seconds for one in took]
        print(
            f"{name:20} {len(took):4} {statistics.median(wall):8.2f} ({min(wall):.2f}) {statistics.median(cpu):12.2f}"
        )


if __name__ == "__main__":
    main()
