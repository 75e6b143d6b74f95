"""Jobs: long work, one at a time, in a thread beside the server; pages follow it and can end it."""

import dataclasses
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from absl import logging

from model_maker.errors import DataError, ModelMakerError
from model_maker.progress import Progress

RUNNING, DONE, FAILED, CANCELLED = "running", "done", "failed", "cancelled"


class Cancelled(BaseException):
    """Somebody has ended the job. As ctrl-C, it is no error that work on the way may catch and go on."""


@dataclass(frozen=True)
class Job:
    """A job as pages see it.

    Attributes:
      number: counts up; 0 before the first.
      kind: "train", "check", "ship" or the like; empty before the first.
      state: RUNNING, DONE, FAILED or CANCELLED.
      stage: what it is at.
      done, total: of the stage's steps; 0 where it counts none.
      result: what it gave, as plain JSON types.
    """

    number: int = 0
    kind: str = ""
    state: str = DONE
    stage: str = ""
    done: int = 0
    total: int = 0
    notes: tuple[str, ...] = ()
    message: str = ""
    result: dict[str, Any] = field(default_factory=dict)


class Jobs:
    """Starts jobs, and knows the last one; `ended` is called when one has ended, however it did."""

    def __init__(self, ended: Callable[[], None] = lambda: None) -> None:
        self.job, self._ended = Job(), ended
        self._lock, self._ends = threading.Lock(), threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def is_running(self) -> bool:
        return self.job.state == RUNNING

    def start(self, kind: str, work: Callable[[Progress], dict[str, Any] | None]) -> Job:
        """Begins a job.

        Raises:
          DataError: another one runs.
        """
        with self._lock:
            if self.is_running:
                raise DataError(f"There is something running ({self.job.kind}): wait for its end, or cancel it.")
            self._ends.clear()
            self.job = Job(self.job.number + 1, kind, RUNNING)
            self._thread = threading.Thread(target=self._run, args=(work,), name=f"studio {kind}")
            self._thread.start()
            return self.job

    def cancel(self) -> None:
        """Ends the running job at its next step; what it made so far vanishes."""
        self._ends.set()

    def join(self) -> None:
        """Waits for the end of the running job."""
        if self._thread:
            self._thread.join()

    def close(self) -> None:
        """Ends the running job and waits for that."""
        self.cancel()
        self.join()

    def _run(self, work: Callable[[Progress], dict[str, Any] | None]) -> None:
        try:
            result = work(_Followed(self))
        except Cancelled:
            self.change(state=CANCELLED)
        except ModelMakerError as error:
            self.change(state=FAILED, message=str(error))
        except Exception as error:  # a bug: the page says so, and the terminal has its traceback
            logging.error("%s", traceback.format_exc())
            self.change(state=FAILED, message=f"That should not happen: {type(error).__name__}: {error}")
        else:
            self.change(state=DONE, result=result or {})
        finally:
            self._ended()

    def change(self, **fields: Any) -> None:
        """Says how the job stands; after a cancellation it is ended here."""
        if self._ends.is_set() and not fields.keys() & {"state"}:
            raise Cancelled
        self.job = dataclasses.replace(self.job, **fields)


class _Followed(Progress):
    """Progress that pages see."""

    def __init__(self, jobs: Jobs):
        super().__init__()
        self._jobs = jobs

    def begin(self, name: str) -> None:
        self._jobs.change(stage=name, done=0, total=0)

    def step(self, done: int, total: int) -> None:
        self._jobs.change(done=done, total=total)

    def note(self, text: str) -> None:
        self.notes.append(text)
        self._jobs.change(notes=tuple(self.notes))
