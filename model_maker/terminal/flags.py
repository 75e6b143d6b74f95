"""The library's messages name parameters, `io='float32'`; on the command line they become flags, --io float32."""

import argparse
import re

from model_maker import options

_PARAMETER = re.compile(r"`([a-z][a-z_0-9]*)(?:=([^`]*))?`")
# Parameters whose flags have a different name.
_OTHER_NAMES = {"formats": "format", "kinds": "fix", "max_latency_ms": "max_latency", "max_size_mb": "max_size"}


def of_option(name: str) -> str:
    """Returns the flag of an option; one that is on by default has a flag that switches it off."""
    if options.kinds().get(name) is bool and getattr(options.Options, name):
        return f"--no-{name.replace('_', '-')}"
    return f"--{name.replace('_', '-')}"


def in_flags(text: str, parser: argparse.ArgumentParser | None = None) -> str:
    """Replaces parameters in a message by flags: those of the command, and those of `train`.

    Parameters stand there as `name` or `name=value`; other words in backquotes stay unchanged.
    """
    own = (
        {action.dest: action.option_strings[-1] for action in parser._actions if action.option_strings}
        if parser
        else {}
    )

    def flag(found: re.Match[str]) -> str:
        name, value = _OTHER_NAMES.get(found[1], found[1]), found[2]
        known = own.get(name) or (of_option(name) if name in options.declarations() else None)
        if known is None:
            return found[0]
        shown = value.strip("'") if value not in (None, "True", "False") else ""
        return f"{known} {shown}".rstrip()

    return _PARAMETER.sub(flag, text)
