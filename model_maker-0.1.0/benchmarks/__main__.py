"""`python -m benchmarks` is the `benchmark` command."""

from benchmarks.cli import run

if __name__ == "__main__":
    run()
