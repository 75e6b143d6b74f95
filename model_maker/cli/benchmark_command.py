"""`benchmark`: a model's latency."""

import argparse

from model_maker.cli.arguments import command


def add(commands) -> None:
    from model_maker.benchmark import command_line

    parser = command(
        commands,
        run,
        "benchmark",
        "measure a model's latency here or on a phone",
        epilog=command_line.EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command_line.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    from model_maker.benchmark import command_line

    return command_line.run_command(arguments)
