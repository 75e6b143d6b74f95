"""Dates of records and pages: written in ISO 8601 with the zone, shown to the minute."""

import datetime


def now() -> str:
    """Returns the date and time, ISO 8601 with the zone."""
    return datetime.datetime.now().astimezone().isoformat(timespec="seconds")


def shown(date: str) -> str:
    """Returns a date of `now` as people read it; other text as it is."""
    try:
        found = datetime.datetime.fromisoformat(date)
    except ValueError:
        return date
    return found.strftime("%Y-%m-%d %H:%M %Z").strip()
