"""`python -m model_maker.benchmark` is the `benchmark` command."""

from model_maker.benchmark.command_line import run

if __name__ == "__main__":
    run()
