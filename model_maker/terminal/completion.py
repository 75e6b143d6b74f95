"""Shell completion: registry names, files or folders, depending on the name of an argument.

argcomplete gets sub-commands and flags from the parser itself; this module knows the values of each argument.
Registries are loaded only when a shell asks for one of their names. Paths are listed here,
because argcomplete's own completer of files starts bash for each answer, which zsh and fish users may not have.
"""

import argparse
import importlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence

from model_maker import options

SHELLS = ("bash", "zsh", "fish")
PROGRAMS = ("model_maker", "benchmark")
# Argument to the registry of its values; options of `train` declare theirs.
_NAMES = {
    "accept_licence": "model_maker.clip.records:LICENCES",
    "backbone": "model_maker.backbones:BACKBONES",
    "fix": "model_maker.doctor.checks:FIXABLE",
    "format": "model_maker.exporters.export:EXPORTERS",
    "model": "model_maker.backbones:BACKBONES",
    "preset": "model_maker.data.augment:PRESETS",
    "tower": "model_maker.clip.records:TOWERS",
    "tier": "model_maker.zero_shot_learning.tiers:TIERS",
} | {name: declared.choices for name, declared in options.declarations().items() if declared.choices}
# These take several names separated by commas.
_LISTS = ("delegate", "fix", "format", "model")
# These metavars stand for paths. `train --data DIR` takes files, too.
_PATHS = ("DATA", "DIR", "FILE", "MODEL", "NEW", "OLD", "PHOTO", "RUN.JSON")
_FOLDERS_ONLY = ("android", "ios", "output", "quarantine", "shards", "tensorboard", "text_vectors", "why")

Completer = Callable[..., Iterable[str]]


def answer(parser: argparse.ArgumentParser, **names: Sequence[str]) -> None:
    """Answers a completion request of a shell and ends the process; else does nothing. `names` are further values."""
    if "_ARGCOMPLETE" not in os.environ:
        return
    import argcomplete

    _equip(parser, names)
    argcomplete.autocomplete(parser, default_completer=argcomplete.completers.SuppressCompleter())


def script(shell: str) -> str:
    """Returns the script that sets up completion of PROGRAMS in one of SHELLS."""
    from argcomplete.shell_integration import shellcode

    # Without `use_defaults`: where there are no completions, for example after --seed, bash must not offer files.
    return str(shellcode(PROGRAMS, use_defaults=False, shell=shell))


def _equip(parser: argparse.ArgumentParser, names: dict[str, Sequence[str]]) -> None:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                _equip(command, names)
        elif completer := _completer(action, names):
            action.completer = completer  # type: ignore[attr-defined]  # which argcomplete looks for


def _completer(action: argparse.Action, names: dict[str, Sequence[str]]) -> Completer | None:
    kind, name = str(action.metavar), action.dest
    if kind in _PATHS:
        folders_only = kind == "DIR" and name in _FOLDERS_ONLY
        return lambda prefix, **_: _paths(prefix, folders_only=folders_only)
    if name not in names and name not in _NAMES:
        return None

    def offered(prefix: str, **_: object) -> Iterator[str]:
        yield from _named(prefix, names.get(name) or _registry(name), several=name in _LISTS)
        if name == "model":  # which may be a file, too
            yield from _paths(prefix)

    return offered


def _registry(name: str) -> Iterable[str]:
    module, _, registry = _NAMES[name].partition(":")
    names: Iterable[str] = getattr(importlib.import_module(module), registry)
    return names


def _named(prefix: str, names: Iterable[str], *, several: bool) -> Iterator[str]:
    """Yields the names that complete a word, or the last word of a list."""
    head, comma, last = prefix.rpartition(",") if several else ("", "", prefix)
    yield from (f"{head}{comma}{name}" for name in names if name.startswith(last) and name not in head.split(","))


def _paths(prefix: str, *, folders_only: bool = False) -> Iterator[str]:
    """Yields the paths that complete a word, folders with a trailing slash; hidden ones after a dot."""
    folder, last = os.path.split(prefix)
    try:
        entries = sorted(os.scandir(os.path.expanduser(folder) or "."), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        if entry.name.startswith(last) and (last or not entry.name.startswith(".")):
            path = prefix.removesuffix(last) + entry.name
            if entry.is_dir():
                yield f"{path}/"
            elif not folders_only:
                yield path
