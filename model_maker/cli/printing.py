"""Prints text, JSON and written files."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from model_maker.terminal import safe_text


def show(text: str, *, flush: bool = False) -> None:
    """Prints text that may contain untrusted names."""
    print(safe_text.set_in(text), flush=flush)


def print_json(content) -> None:
    print(safe_text.printable_json(json.dumps(content, indent=2, ensure_ascii=False)))


def print_result(arguments: argparse.Namespace, found, show_found: Callable[[Any], None]) -> None:
    """Prints a result as JSON with --json, otherwise with `show_found`."""
    if arguments.json:
        print_json(found.as_dict())
    else:
        show_found(found)


def show_file(path: Path, arguments: argparse.Namespace) -> None:
    size = path.stat().st_size
    if arguments.json:
        print_json({"path": str(path), "bytes": size})
    else:
        show(f"{path} ({size / 1e6:.2f} MB)")
