"""`python -m model_maker` is the `model_maker` command."""

from model_maker.cli import run

if __name__ == "__main__":
    run()
