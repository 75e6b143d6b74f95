"""`python -m model_maker.benchmark` is the `benchmark` command."""

from model_maker.benchmark.cli import run

if __name__ == "__main__":
    run()
