"""Progress on stderr: a bar for the running stage, a line for each finished one."""

from __future__ import annotations

import argparse
import time

from rich import progress as rich_progress
from rich.progress import BarColumn, TaskID, TextColumn

from model_maker.progress import Progress
from model_maker.terminal import rendering
from model_maker.terminal.flags import in_flags
from model_maker.terminal.remaining_time import TimeLeft
from model_maker.terminal.rendering import escape

# Seconds between two redraws: with a million photos, not each is drawn. The speed is that of the last half minute.
_LOOK_SECONDS = 0.1


class Bars(Progress):
    """Draws a bar for the running stage, and a line for each finished one; only lines if stderr is not a terminal.

    Args:
      arguments: of the command; notes name its flags.
    """

    def __init__(self, arguments: argparse.Namespace | None = None) -> None:
        super().__init__()
        self._parser = arguments.parser if arguments else None
        self._console = rendering.console(stderr=True)
        self.live = rich_progress.Progress(
            TextColumn("  {task.description:<30}"),
            BarColumn(24),
            TextColumn("{task.fields[count]}"),
            TimeLeft(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task: TaskID | None = None
        self._name, self._begin, self._looked = "", 0.0, 0.0

    def __enter__(self) -> Bars:
        self.live.start()
        return self

    def __exit__(self, failure, *_) -> None:
        if failure is None:
            self.end()
        self.live.stop()

    def begin(self, name: str) -> None:
        self.end()  # of a stage that failed while the work continued
        self._name, self._begin, self._looked = name, time.perf_counter(), 0.0
        self._task = self.live.add_task(escape(name), total=None, count="")

    def step(self, done: int, total: int) -> None:
        now = time.perf_counter()
        if self._task is not None and (done in (0, total) or now - self._looked > _LOOK_SECONDS):
            self._looked = now
            if done == 0:  # the stage counts something else from here on
                self.live.reset(self._task)
            self.live.update(self._task, completed=done, total=total, count=f"{done:,}/{total:,}")

    def note(self, text: str) -> None:
        self.notes.append(text)
        rendering.say(self._console, f"[yellow]note[/] {escape(in_flags(text, self._parser))}", indent=2, hang=5)

    def end(self) -> None:
        if self._task is not None:
            self.live.remove_task(self._task)
            self._task = None
            seconds = time.perf_counter() - self._begin
            self._console.print(f"  {escape(self._name):<30}[dim]{seconds:6.1f} s[/]")
        self._name = ""
