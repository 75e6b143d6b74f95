import io

import pytest
from rich.console import Console

from model_maker.cli import bars
from model_maker.terminal import remaining_time


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (89.4, "89 s"), (91, "2 min"), (3600, "60 min"), (5399, "1 h 30 min"), (100_000, "27 h 47 min")],
)
def test_durations_say_as_much_as_an_estimate_is_worth(seconds, words):
    assert remaining_time.duration(seconds) == words


@pytest.fixture
def screen(monkeypatch):
    """What the bars draw, on a clock that stands still between reports."""
    drawn, clock = io.StringIO(), [1000.0]
    monkeypatch.setattr(bars.rendering, "console", lambda **_: Console(file=drawn, force_terminal=True, width=90))
    monkeypatch.setattr(bars.time, "perf_counter", lambda: clock[0])
    shown = bars.Bars()
    shown.live.get_time = lambda: clock[0]

    def report(seconds, *call):
        clock[0] += seconds
        shown.step(*call)
        drawn.seek(0)
        drawn.truncate()
        shown.live.console.print(shown.live.get_renderable())
        return drawn.getvalue()

    shown.begin("Embed photos")
    return report


def test_a_bar_states_how_long_it_takes_from_the_speed_of_this_run(screen):
    # Photos that were known before are no work of this run: 100 a second are left to do 500,000 of.
    assert "500,000/1,000,000" in screen(1, 500_000, 1_000_000)
    screen(1, 500_100, 1_000_000)
    assert "83 min left" in screen(1, 500_200, 1_000_000)  # 499,800 / 100 s = 83.3 min


def test_a_bar_is_not_drawn_for_each_photo_but_for_the_last(screen):
    assert "1/1,000" in screen(1, 1, 1000)
    assert "1/1,000" in screen(0.01, 2, 1000)
    last = screen(0.01, 1000, 1000)
    assert "1,000/1,000" in last and "left" not in last
