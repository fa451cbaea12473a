"""The command line: options in, exit code out. `--help` loads neither torch nor transformers."""

from polytask.cli import runs, studies
from polytask.cli.app import app, main

__all__ = ["app", "main", "runs", "studies"]
