"""The samples that come with the package, and a first run."""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import cast

from rich.console import Console

from polytask.api.runs import evaluate, train
from polytask.api.studies import compare
from polytask.build import (
    read_experiment,
)
from polytask.errors import RunError
from polytask.ship.evaluation import Evaluation
from polytask.studies.comparison import Comparison
from polytask.training.folder import RunFolder

SAMPLES = ("english", "chinese")
"""The experiments that come with the package."""
_SMALL = ("data.messages.limit=400", "train.epochs=3", "train.batch_tokens=256")
"""What makes the comparison of the sample one of minutes."""


def sample(name: str = "english") -> Path:
    """The experiment file of a sample that comes with the package."""
    if name not in SAMPLES:
        raise RunError(f"no sample '{name}'. Known: {', '.join(SAMPLES)}.")
    return Path(str(files("polytask"))) / "samples" / "helpdesk" / f"{name}.yaml"


def quickstart(
    *, out: str | Path = "runs/quickstart", jobs: int = 1, console: Console | None = None
) -> tuple[Evaluation, Comparison]:
    """Trains the English sample, scores it on test, and compares it with a model for each task.

    The comparison is small, so that it takes minutes: few rows, epochs and seeds, into `out` and
    `-compare`. A finished run of the sample is trained anew, an unfinished one gone on with. Raises
    RunError for a folder that holds anything else.
    """
    folder = RunFolder(Path(out))
    status, before = folder._read()
    plain = read_experiment(sample()).plain
    if status is not None and _beside_precision(before) != _beside_precision(plain):
        raise RunError(f"{folder.path}: holds a run of another experiment. Use another --out.")
    train(sample(), out=out, overwrite=status == "finished", console=console)
    scores = evaluate(out)
    compared = compare(
        sample(),
        seeds=2,
        longer=1,
        jobs=jobs,
        out=folder.path.with_name(f"{folder.path.name}-compare"),
        overrides=_SMALL,
        console=console,
    )
    return scores, compared


def _beside_precision(plain: Mapping[str, object]) -> dict[str, object]:
    """An experiment without what a run fills in when it starts."""
    options = cast(Mapping[str, object], plain["train"])
    return {**plain, "train": {**options, "precision": "auto"}}
