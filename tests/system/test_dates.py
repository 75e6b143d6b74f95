"""Dates as people read them."""

import datetime

import pytest

from model_maker.system import dates


def test_now_is_iso_with_a_zone():
    found = datetime.datetime.fromisoformat(dates.now())
    assert abs(found - datetime.datetime.now(datetime.UTC)) < datetime.timedelta(minutes=1)


@pytest.mark.parametrize(
    ("date", "shown"),
    [
        ("2026-01-02T03:04:05+00:00", "2026-01-02 03:04 UTC"),
        ("2026-01-02T03:04:05+05:30", "2026-01-02 03:04 UTC+05:30"),
        ("2026-01-02T03:04:05", "2026-01-02 03:04"),
        ("last week", "last week"),
        ("", ""),
    ],
)
def test_a_date_is_shown_to_the_minute(date, shown):
    assert dates.shown(date) == shown
