"""`python -m tuner.serve`."""

from tuner.cli import main
from tuner.serve.command import run

if __name__ == "__main__":
    main(run)
