"""A process that is fed hostile input, and the one that watches it: hangs, crashes and stray output are findings too.

Run as a program it is the process that is fed. Models are opened in forks of it, so that one that hangs or crashes
there costs milliseconds.
"""

import contextlib
import dataclasses
import io
import json
import os
import resource
import select
import signal
import struct
import subprocess
import sys
import tempfile
import time
import traceback
import zipfile
from pathlib import Path

# Far above what any case needs on a busy machine, and far below for ever.
LIMIT_S = 120
VETTING_S, USING_S = 5, 20
# Of computing in the process that is fed: hangs are findings, and a busy machine is none.
MOST_S = 10
MEMORY_BYTES = 4 << 30


class Worker:
    """Gives cases to a process, one after another, and starts another one where a case ends it.

    Args:
      kind: a key of KINDS.
    """

    def __init__(self, kind):
        self._kind = kind
        self._start()

    def _start(self):
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - `close` closes it
        self._process = subprocess.Popen(
            [sys.executable, __file__, self._kind],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
        )

    def attempt(self, content, *, limit_s=LIMIT_S):
        """Returns the result of a case: {"outcome": "fine" or "refused" or what is wrong, ...}."""
        try:
            self._process.stdin.write(struct.pack("<I", len(content)) + content)
            self._process.stdin.flush()
            if not select.select([self._process.stdout], [], [], limit_s)[0]:
                return self._restart(f"hung for {limit_s} s")
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            answer = b""
        if not answer:
            return self._restart(f"ended the process ({self._process.wait()})")
        found = json.loads(answer)
        if os.fstat(self._said.fileno()).st_size:
            self._said.seek(0)
            return self._restart(f"wrote to the terminal: {self._said.read(2000)!r} ({found['outcome']})")
        return found

    def _restart(self, outcome):
        self.close()
        self._start()
        return {"outcome": outcome}

    def close(self):
        self._process.kill()
        self._process.communicate()
        self._said.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def read_image(content):
    from model_maker.data import images

    loaded = images.load(content, 8)
    assert loaded.shape == (8, 8, 3) and loaded.dtype == "uint8"


def judge_image(content):
    return outcome(read_image, content)


def judge_model(content):
    """Vets a model as the child does, and uses it as a process does in which it was vetted.

    While it is vetted it may hang, crash and ask for all memory, which is what the child is there for. Afterwards it
    may not.
    """
    found = forked(vet, content, vetting=True)
    if found["outcome"] != "fine":
        return found
    used = forked(use if found["result"] == "runs" else look_into, content)
    imported = forked(import_backbone, content, vetting=True)
    return used if imported["outcome"] in ("fine", "refused", "stopped") else imported


def vet(content):
    from model_maker.errors import ModelError
    from model_maker.tflite import vetting

    vetting.attempt(content, vetting.READ)
    try:
        vetting.attempt(content, "xnnpack")
    except ModelError:
        return "is read"
    return "runs"


def look_into(content):
    """`inspect`, and what `export` begins with."""
    from model_maker.cli import model_views
    from model_maker.packaging import export_source
    from model_maker.progress import Progress
    from model_maker.tflite import inspection, metadata

    facts, info = inspection.inspect(content), metadata.read(content)
    json.dumps([dataclasses.asdict(facts), dataclasses.asdict(info)], allow_nan=False)
    with contextlib.redirect_stdout(io.StringIO()) as shown:
        model_views.show_model(Path("model.tflite"), facts, info, {})
    assert not set(shown.getvalue()) & set("\x1b\x07\x9b"), "sent commands to the terminal"
    export_source.float_model(Path("model.tflite"), content, Progress())


def use(content):
    """What all commands do, `predict` and `evaluate` among them."""
    import numpy as np

    from model_maker.errors import ModelError
    from model_maker.inference.classifier import FileClassifier

    with contextlib.suppress(ModelError):  # of a model that has no float form
        look_into(content)
    classifier = FileClassifier(content, threads=1)
    pictures = [np.full((9, 9, 3), level, np.uint8) for level in (0, 200)]
    for row in classifier.predict(pictures):
        json.dumps([dataclasses.asdict(entry) for entry in row], allow_nan=False)


def import_backbone(content):
    from model_maker.backbones import importers

    importers.from_tflite(content, image_size=None, stated=None)


def judge_data(content):
    """Reads a dataset as `train` does, and its first pictures."""
    return outcome(lambda packed: _opened(packed, read_data), content)


def judge_foreign(content):
    """Opens a model of another format and lets it answer twice, from the process that `Classifier` starts for it."""
    found = outcome(lambda packed: _opened(packed, answer), content)
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss << 10
    # Beside what a model may take there is what its runtime took before.
    return found if most < MEMORY_BYTES + (1 << 30) else found | {"outcome": f"took {most >> 20} MB"}


def _opened(packed, attempt):
    """Unpacks a case and attempts it; nothing else may be in the folder afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "case"
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            archive.extractall(home)
            target = home / archive.comment.decode()
        before = sorted(Path(folder).rglob("*"))
        try:
            attempt(target)
        finally:
            assert sorted(Path(folder).rglob("*")) == before, "left something behind"


def read_data(path):
    from model_maker.data import images, sources
    from model_maker.errors import DataError

    found = sources.read(path)
    json.dumps([found.classes, found.notes, [str(entry.path) for entry in found.skipped]])
    for sample in found.samples[:3]:
        with contextlib.suppress(DataError):
            images.load(sample.path, 8)


def answer(path):
    import numpy as np

    from model_maker.inference.classifier import FileClassifier

    classifier = FileClassifier(path)
    pictures = [np.full((9, 9, 3), level, np.uint8) for level in (0, 200)]
    for row in classifier.predict(pictures):
        json.dumps([dataclasses.asdict(entry) for entry in row], allow_nan=False)


def forked(attempt, content, *, vetting=False):
    """Returns the outcome of an attempt in a fork; a fork that vets may end as it likes, which is "stopped"."""
    reader, writer = os.pipe()
    fork = os.fork()
    if fork == 0:
        try:
            # Ends also what hangs in C++, where Python has no say.
            signal.setitimer(signal.ITIMER_REAL, VETTING_S if vetting else USING_S)
            if vetting:
                os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            with os.fdopen(writer, "wb") as out:
                out.write(json.dumps(outcome(attempt, content)).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        answer = file.read()
    code = os.waitstatus_to_exitcode(os.waitpid(fork, 0)[1])
    if answer:
        found = json.loads(answer)
        return found | {"outcome": "stopped"} if vetting and "MemoryError" in found["outcome"] else found
    ending = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return {"outcome": "stopped" if vetting else f"{attempt.__name__} ended by {ending}", "reason": ending}


def outcome(attempt, content):
    from model_maker.errors import ModelMakerError

    begin = time.process_time()
    try:
        found = {"outcome": "fine", "result": attempt(content)}
    except ModelMakerError as error:
        said = str(error)
        found = {"outcome": "refused" if "\n" not in said else f"said more than a line: {said}", "reason": said[:200]}
    except Exception:
        found = {"outcome": traceback.format_exc()}
    seconds = time.process_time() - begin
    if seconds > MOST_S:
        found = {"outcome": f"took {seconds:.0f} s", "reason": found["outcome"]}
    return found | {"seconds": seconds}


def serve_images():
    return judge_image


def serve_models():
    """Loads everything before the first fork."""
    from model_maker.backbones import importers  # noqa: F401
    from model_maker.cli import model_views  # noqa: F401
    from model_maker.inference import classifier  # noqa: F401
    from model_maker.packaging import export_source  # noqa: F401
    from model_maker.tflite import vetting

    vetting.vet = lambda *_: None  # which the forks do
    return judge_model


def serve_data():
    from model_maker.data import sources  # noqa: F401

    return judge_data


def serve_foreign():
    from model_maker.inference import classifier, isolated_runtime  # noqa: F401

    isolated_runtime.OPEN_LIMIT_S, isolated_runtime.RUN_LIMIT_S = 50, 10
    return judge_foreign


KINDS = {"image": serve_images, "model": serve_models, "data": serve_data, "foreign": serve_foreign}


def serve(kind):
    from model_maker.system import suppressed_output

    judge = KINDS[kind]()
    if kind != "foreign":  # which sets limits to its own processes, and they inherit this one
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    suppressed_output.hush_pillow()
    # The answers' way out is kept apart from descriptor 1, on which libraries may print.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    while header := sys.stdin.buffer.read(4):
        content = sys.stdin.buffer.read(struct.unpack("<I", header)[0])
        answers.write(json.dumps(judge(content)).encode() + b"\n")
        answers.flush()


if __name__ == "__main__":
    serve(sys.argv[1])
