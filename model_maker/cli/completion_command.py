"""`completion`: shell completion scripts."""

import argparse

from model_maker.cli.arguments import command
from model_maker.terminal import completion

_COMPLETION = """to turn it on:
  bash   in ~/.bashrc                     eval "$(model_maker completion bash)"
  zsh    in ~/.zshrc, after compinit      eval "$(model_maker completion zsh)"
  fish   in ~/.config/fish/config.fish    model_maker completion fish | source
"""


def add(commands) -> None:
    parser = command(
        commands,
        run,
        "completion",
        "print a script for shell completion of model_maker and benchmark",
        epilog=_COMPLETION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("shell", metavar="SHELL", choices=completion.SHELLS, help=", ".join(completion.SHELLS))


def run(arguments: argparse.Namespace) -> None:
    print(completion.script(arguments.shell), end="")
