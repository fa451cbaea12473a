"""Verbs of one run."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import overload

from rich.console import Console

from polytask.build import layout as experiment_layout
from polytask.build import read_experiment
from polytask.config.experiment import json_schema
from polytask.data.tables import default_cache
from polytask.evaluation.check import Check, check_experiment
from polytask.ship.card import write_card
from polytask.ship.evaluation import Evaluation, evaluation_of
from polytask.ship.items import Item
from polytask.ship.predictor import Answer, Device, load
from polytask.studies.mistakes import Found, run_mistakes
from polytask.studies.report import REPORT, write_report
from polytask.training.folder import RunFolder
from polytask.training.run import Trained, train_run
from polytask.training.scored import Split, score_run


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

    The folder is that of a run, finished or not, or of a comparison, a grouping, a learning curve
    or an affinity; studies in folders right below it are shown too. `out` ends in `.html` for a
    page, in `.md` for Markdown or in `.json`. lang: `en` or `zh`. Raises PolytaskError.
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


def schema() -> dict[str, object]:
    """The JSON Schema of an experiment file, for editors."""
    return json_schema(experiment_layout())
