"""The samples that come with the package, and a first run."""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import cast

from rich.console import Console

from polytask.api.runs import evaluate, train
from polytask.api.studies import compare
from polytask.build import read_experiment
from polytask.config.experiment import dump_yaml
from polytask.errors import RunError
from polytask.ship.evaluation import Evaluation
from polytask.studies.comparison import Comparison
from polytask.studies.study import of_tasks
from polytask.training.checkpoint import write_synced, writing
from polytask.training.folder import RunFolder

SAMPLES = ("english", "chinese")
"""The experiments that come with the package."""
_SMALL = ("data.messages.limit=400", "train.epochs=3", "train.batch_tokens=256")
_NUM_COMPARED = 2
"""What makes the comparison of the sample one of minutes: few rows, epochs and tasks."""


def sample(name: str = "english") -> Path:
    """The experiment file of a sample that comes with the package."""
    if name not in SAMPLES:
        raise RunError(f"no sample '{name}'. Known: {', '.join(SAMPLES)}.")
    return Path(str(files("polytask"))) / "samples" / "helpdesk" / f"{name}.yaml"


def quickstart(
    *, out: str | Path = "runs/quickstart", jobs: int = 1, console: Console | None = None
) -> tuple[Evaluation, Comparison]:
    """Trains the English sample, scores it on test, and compares tasks together and alone.

    The comparison is small, so that it takes minutes: the first two tasks, few rows, epochs and
    seeds, into `out` and `-compare`. A finished run of the sample is trained anew, an unfinished
    one gone on with. Raises RunError for a folder that holds anything else.
    """
    folder = RunFolder(Path(out))
    status, before = folder._read()
    plain = read_experiment(sample()).plain
    if status is not None and _beside_precision(before) != _beside_precision(plain):
        raise RunError(f"{folder.path}: holds a run of another experiment. Use another --out.")
    train(sample(), out=out, overwrite=status == "finished", console=console)
    scores = evaluate(out)
    beside = folder.path.with_name(f"{folder.path.name}-compare")
    file = beside / "small.yaml"
    with writing(file):
        beside.mkdir(parents=True, exist_ok=True)
        small = read_experiment(sample(), _SMALL)
        names = [task.name for task in small.tasks][:_NUM_COMPARED]
        write_synced(file, dump_yaml(of_tasks(small, names, small.train.epochs)))
    compared = compare(file, seeds=2, longer=1, jobs=jobs, out=beside, console=console)
    return scores, compared


def _beside_precision(plain: Mapping[str, object]) -> dict[str, object]:
    """An experiment without what a run fills in when it starts."""
    options = cast(Mapping[str, object], plain["train"])
    return {**plain, "train": {**options, "precision": "auto"}}
