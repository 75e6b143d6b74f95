"""The remaining time of a running stage, as progress bars show it."""

from rich.progress import ProgressColumn, Task
from rich.text import Text


class TimeLeft(ProgressColumn):
    """The estimated remaining time of the stage, once known."""

    def render(self, task: Task) -> Text:
        seconds = task.time_remaining
        return Text(f"{duration(seconds)} left" if seconds and not task.finished else "")


def duration(seconds: float) -> str:
    """Formats a duration with no more precision than an estimate has."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{round(seconds)} s"
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
