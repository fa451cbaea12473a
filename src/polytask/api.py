"""The verbs of the library, one function per command."""

import json
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import cast, overload

from rich.console import Console

from polytask.build import layout as experiment_layout
from polytask.build import (
    read_experiment,
)
from polytask.config.experiment import json_schema
from polytask.data.tables import default_cache
from polytask.errors import RunError
from polytask.evaluation.check import Check, check_experiment
from polytask.ship.card import write_card
from polytask.ship.evaluation import Evaluation, evaluation_of
from polytask.ship.info import info
from polytask.ship.items import Item
from polytask.ship.predictor import Answer, Device, Predictor, load
from polytask.ship.report import check_tables
from polytask.studies.affinity import Affinity, run_affinity
from polytask.studies.compare import run_compare
from polytask.studies.comparison import Comparison
from polytask.studies.curve import Curve, run_curve
from polytask.studies.mistakes import Found, run_mistakes
from polytask.studies.report import REPORT, write_report
from polytask.studies.study import Study
from polytask.studies.sweep import Sweep, run_sweep
from polytask.training.folder import RunFolder
from polytask.training.run import Trained, train_run
from polytask.training.scored import Split, score_run

SAMPLES = ("english", "chinese")
"""The experiments that come with the package."""


def train(
    experiment: str | Path,
    *,
    out: str | Path | None = None,
    overrides: Sequence[str] = (),
    overwrite: bool = False,
    console: Console | None = None,
) -> Trained:
    """Trains one model on all the tasks of an experiment file, into the run folder `out`.

    Without `out` that is `runs/` and the name of the file. An unfinished run is gone on with.
    `overrides` are texts like `train.lr=0.0001`. Raises PolytaskError for faults of the user's.
    """
    path = Path(experiment)
    folder = Path(out) if out is not None else Path("runs") / path.stem
    shown = console or Console(stderr=True)
    trained = train_run(path, folder, overrides=overrides, overwrite=overwrite, console=shown)
    if trained.is_first:
        write_card(trained.folder, trained.experiment)
    return trained


def evaluate(
    run: str | Path, *, split: Split = "test", overrides: Sequence[str] = ()
) -> Evaluation:
    """Scores a trained run on a split, and writes metrics, predictions and card into its folder.

    `overrides` may point data sets elsewhere, by paths seen from where you are:
    `data.reviews.test=new.jsonl`. The scores are then those of other data: nothing is written.
    """
    folder = RunFolder(Path(run))
    scored = score_run(folder, split, list(map(_seen_from_here, overrides)))
    if not overrides:
        write_card(folder, scored.experiment)
    return evaluation_of(split, scored.results)


def _seen_from_here(override: str) -> str:
    key, _, value = override.partition("=")
    is_file = key.startswith("data.") and Path(value).is_file()
    return f"{key}={json.dumps(str(Path(value).resolve()))}" if is_file else override


@overload  # a text is a sequence of texts too; the first overload is meant
def predict(  # type: ignore[overload-overlap]
    run: str | Path, items: Item, tasks: Sequence[str] | None = None, device: Device = "auto"
) -> Answer: ...
@overload
def predict(
    run: str | Path,
    items: Iterable[Item],
    tasks: Sequence[str] | None = None,
    device: Device = "auto",
) -> list[Answer]: ...
def predict(
    run: str | Path,
    items: Item | Iterable[Item],
    tasks: Sequence[str] | None = None,
    device: Device = "auto",
) -> Answer | list[Answer]:
    """Predictions of a trained run, by task, for an item or for each of several.

    This loads the model anew each time: to ask more than once, `load` it.
    """
    return load(run, device)(items, tasks=tasks)


def check(experiment: str | Path, *, overrides: Sequence[str] = ()) -> Check:
    """Reads all data of an experiment file and reports on it; trains nothing."""
    return check_experiment(read_experiment(Path(experiment), overrides), cache=default_cache())


def report(run: str | Path, *, out: str | Path | None = None, lang: str = "en") -> Path:
    """Writes what a run, or the studies in a folder, found: by default `report.html` in there.

    The folder is that of a run, finished or not, or of a comparison, a learning curve or an
    affinity; studies in folders right below it are shown too. `out` ends in `.html` for a page, in
    `.md` for Markdown or in `.json`. lang: `en` or `zh`. Raises PolytaskError.
    """
    folder = Path(run)
    file = folder / REPORT if out is None else Path(out)
    write_report(folder, file, lang)
    return file


def mistakes(run: str | Path, *, split: Split = "test") -> Found:
    """Scores a trained run on a split and tells, task by task, where it goes wrong.

    Which labels are taken for which, scores by length, by words that train lacks and by how often
    a label is in train, the surest mistakes, and gold labels that are probably wrong. All of it is
    written beside the predictions, where `report` finds it. Raises PolytaskError.
    """
    return run_mistakes(RunFolder(Path(run)), split)


def sweep(
    experiment: str | Path,
    *,
    vary: Sequence[str],
    seeds: int = 3,
    out: str | Path | None = None,
    overrides: Sequence[str] = (),
    console: Console | None = None,
) -> Sweep:
    """Trains every combination of values with seeds 1 to `seeds`, and compares scores on dev.

    `vary` are texts like `optimizer.lr=0.0001`; a key that is there twice has two values. Runs lie
    below `out`, by default `runs/` and the name of the file and `-sweep`; called again, it goes on.
    Raises PolytaskError for faults of the user's.
    """
    path = Path(experiment)
    return run_sweep(
        path,
        Path(out) if out is not None else Path("runs") / f"{path.stem}-sweep",
        vary=vary,
        seeds=seeds,
        overrides=overrides,
        console=console or Console(stderr=True),
    )


def compare(
    experiment: str | Path,
    *,
    seeds: int = 5,
    margin: float = 0.01,
    jobs: int = 1,
    balancing: Sequence[str] = (),
    mixing: Sequence[str] = (),
    out: str | Path | None = None,
    overrides: Sequence[str] = (),
    console: Console | None = None,
) -> Comparison:
    """Trains an experiment, and each of its tasks alone, and says for each whether sharing helped.

    Every model is trained with seeds 1 to `seeds`, `jobs` at a time. Scores are those on test, on
    which a difference of less than `margin` is as good as none. `balancing` and `mixing` name other
    ways to train all tasks together, beside which static weights get as many trials. Runs lie below
    `out`, by default `runs/` and the name of the file and `-compare`; called again, it goes on.
    Raises PolytaskError for faults of the user's.
    """
    path = Path(experiment)
    folder = Path(out) if out is not None else Path("runs") / f"{path.stem}-compare"
    shown = console or Console(stderr=True)
    found = run_compare(
        Study(path, folder, seeds, jobs, overrides, shown, balancing, mixing), margin
    )
    write_report(folder, folder / REPORT)
    return found


def curve(
    experiment: str | Path,
    task: str,
    *,
    rows: Sequence[int] = (),
    seeds: int = 3,
    jobs: int = 1,
    out: str | Path | None = None,
    overrides: Sequence[str] = (),
    console: Console | None = None,
) -> Curve:
    """Trains a task alone and together on few and on more rows, and says how many sharing saves.

    Without `rows` on a tenth, three tenths and all of its train rows. Runs lie below `out`, by
    default `runs/` and the names of file and task and `-curve`; called again, it goes on. Raises
    PolytaskError for faults of the user's.
    """
    path = Path(experiment)
    folder = Path(out) if out is not None else Path("runs") / f"{path.stem}-{task}-curve"
    shown = console or Console(stderr=True)
    found = run_curve(Study(path, folder, seeds, jobs, overrides, shown), task, rows)
    write_report(folder, folder / REPORT)
    return found


def affinity(
    experiment: str | Path,
    *,
    every: int = 30,
    out: str | Path | None = None,
    overrides: Sequence[str] = (),
    console: Console | None = None,
) -> Affinity:
    """Trains an experiment once and tells, every so many steps, how its tasks act on each other.

    The run lies below `out`, by default `runs/` and the name of the file and `-affinity`; called
    again, it goes on. Raises PolytaskError for faults of the user's.
    """
    path = Path(experiment)
    folder = Path(out) if out is not None else Path("runs") / f"{path.stem}-affinity"
    shown = console or Console(stderr=True)
    found = run_affinity(path, folder, every=every, overrides=overrides, console=shown)
    write_report(folder, folder / REPORT)
    return found


def schema() -> dict[str, object]:
    """The JSON Schema of an experiment file, for editors."""
    return json_schema(experiment_layout())


def sample(name: str = "english") -> Path:
    """The experiment file of a sample that comes with the package."""
    if name not in SAMPLES:
        raise RunError(f"no sample '{name}'. Known: {', '.join(SAMPLES)}.")
    return Path(str(files("polytask"))) / "samples" / "helpdesk" / f"{name}.yaml"


def quickstart(
    *, out: str | Path = "runs/quickstart", console: Console | None = None
) -> Evaluation:
    """Trains the English sample and scores it on test.

    A finished run of the sample is trained anew, an unfinished one gone on with. Raises RunError
    for a folder that holds anything else.
    """
    folder = RunFolder(Path(out))
    status, before = folder._read()
    plain = read_experiment(sample()).plain
    if status is not None and _beside_precision(before) != _beside_precision(plain):
        raise RunError(f"{folder.path}: holds a run of another experiment. Use another --out.")
    train(sample(), out=out, overwrite=status == "finished", console=console)
    return evaluate(out)


def _beside_precision(plain: Mapping[str, object]) -> dict[str, object]:
    """An experiment without what a run fills in when it starts."""
    options = cast(Mapping[str, object], plain["train"])
    return {**plain, "train": {**options, "precision": "auto"}}


__all__ = [
    "SAMPLES",
    "Check",
    "Evaluation",
    "Predictor",
    "Trained",
    "affinity",
    "check",
    "check_tables",
    "compare",
    "curve",
    "evaluate",
    "info",
    "load",
    "mistakes",
    "predict",
    "quickstart",
    "report",
    "sample",
    "schema",
    "sweep",
    "train",
]
