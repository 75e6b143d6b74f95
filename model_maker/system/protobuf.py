"""Reads Protobuf messages by the numbers of their fields, for formats whose packages may not be installed."""

from collections.abc import Iterator
from typing import Any


def fields(message: bytes | memoryview) -> Iterator[tuple[int, Any]]:
    """Yields number and value of each field: an integer, or a part of the message.

    Raises:
      ValueError, IndexError: it is damaged, or has groups, which only old messages have.
    """
    place = 0
    while place < len(message):
        key, place = _number(message, place)
        field, kind = key >> 3, key & 7
        if kind == 0:
            value, place = _number(message, place)
            yield field, value
            continue
        if kind == 2:
            size, place = _number(message, place)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise ValueError("groups are not supported")
        if place + size > len(message):
            raise ValueError("it ends too early")
        yield field, message[place : place + size]
        place += size


def _number(message: bytes | memoryview, place: int) -> tuple[int, int]:
    """Reads an integer of seven bits a byte; returns it and where the next value begins."""
    value = 0
    for shift in range(0, 70, 7):
        byte = message[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise ValueError("a number of more than ten bytes")
