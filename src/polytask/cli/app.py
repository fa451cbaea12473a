"""The command line itself: its options, its exit codes, and what all commands share."""

import os
import sys
from enum import StrEnum
from importlib.metadata import version
from typing import Annotated

import typer

from polytask.errors import DiskError, Interrupted, PolytaskError

USER_FAULT = 2
DISK_FAULT = 74
INTERRUPTED = 130

app = typer.Typer(
    help="One text model for all your language tasks: a shared encoder and a head for each.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override an option: train.epochs=2."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON rather than a table.")]


class SplitName(StrEnum):
    """A split that can be scored."""

    DEV = "dev"
    TEST = "test"


class DeviceName(StrEnum):
    """Where a model computes."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


class AffinityName(StrEnum):
    """What foretells which tasks help each other."""

    AHEAD = "ahead"
    COSINES = "cosines"
    LINEAR = "linear"


class LanguageName(StrEnum):
    """In which language a report is written."""

    EN = "en"
    ZH = "zh"


def main() -> None:
    """Runs a command; the user's faults are one message on standard error and exit code 2.

    A disk that refuses what a run writes is one, too, with exit code 74. A run that was stopped by
    Ctrl-C, SIGTERM or SIGUSR1 says how to go on; its exit code is 130.
    """
    try:
        app()
    except PolytaskError as error:
        _tell(error)
        sys.exit(DISK_FAULT if isinstance(error, DiskError) else USER_FAULT)
    except BrokenPipeError:
        sys.stderr.close()
    except Interrupted as error:
        _tell(f"{error} The state is saved: run the same command, without --overwrite, to go on.")
        sys.exit(INTERRUPTED)


def _is_one_of_many() -> bool:
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def _tell(text: object) -> None:
    """Of the processes of a launcher the first alone talks."""
    if not _is_one_of_many() or os.environ.get("RANK", "0") == "0":
        print(text, file=sys.stderr)


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    show_version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """One text model for all your language tasks: a shared encoder and a head for each."""
    if show_version:
        print(version("polytask"))
        raise typer.Exit
    if _is_one_of_many() and context.invoked_subcommand != "train":
        raise PolytaskError(
            "Only `polytask train` runs in several processes: leave out the launcher"
        )
