"""Verbs of many runs."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from polytask.studies.affinity import Affinity, run_affinity
from polytask.studies.compare import run_compare
from polytask.studies.comparison import Comparison
from polytask.studies.curve import Curve, run_curve
from polytask.studies.group import By, Grouping, run_group
from polytask.studies.report import REPORT, write_report
from polytask.studies.study import Study
from polytask.studies.sweep import Sweep, run_sweep


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
    path, folder, shown = _places(experiment, out, "-sweep", console)
    return run_sweep(path, folder, vary=vary, seeds=seeds, overrides=overrides, console=shown)


def compare(
    experiment: str | Path,
    *,
    seeds: int = 5,
    margin: float = 0.01,
    jobs: int = 1,
    longer: int = 3,
    balancing: Sequence[str] = (),
    mixing: Sequence[str] = (),
    out: str | Path | None = None,
    overrides: Sequence[str] = (),
    console: Console | None = None,
) -> Comparison:
    """Trains an experiment, and each of its tasks alone, and says for each whether sharing helped.

    Every model is trained with seeds 1 to `seeds`, `jobs` at a time. Scores are those on test, on
    which a difference of less than `margin` is as good as none. A task alone may take up to
    `longer` times as many epochs as the joint model. `balancing` and `mixing` name other ways to
    train all tasks together, beside which static weights get as many trials. Runs lie below `out`,
    by default `runs/` and the name of the file and `-compare`; called again, it goes on.
    Raises PolytaskError for faults of the user's.
    """
    path, folder, shown = _places(experiment, out, "-compare", console)
    found = run_compare(
        Study(path, folder, seeds, jobs, overrides, shown, balancing, mixing, longer), margin
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
    path, folder, shown = _places(experiment, out, f"-{task}-curve", console)
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
    path, folder, shown = _places(experiment, out, "-affinity", console)
    found = run_affinity(path, folder, every=every, overrides=overrides, console=shown)
    write_report(folder, folder / REPORT)
    return found


def group(
    experiment: str | Path,
    *,
    models: int = 2,
    by: By = "ahead",
    verify: bool = False,
    every: int = 30,
    seeds: int = 3,
    jobs: int = 1,
    out: str | Path | None = None,
    overrides: Sequence[str] = (),
    console: Console | None = None,
) -> Grouping:
    """Says which tasks to train together in so many models, and writes an experiment file for each.

    Trains all tasks together once, looking every so many steps at how they act on each other, and
    each alone. by: the affinity that foretells: `ahead`, `cosines` or `linear`. With `verify` the
    groups are trained for real, with seeds 1 to `seeds`. Runs lie below `out`, by default `runs/`
    and the name of the file and `-group`; called again, it goes on. Raises PolytaskError.
    """
    path, folder, shown = _places(experiment, out, "-group", console)
    study = Study(path, folder, seeds, jobs, overrides, shown)
    found = run_group(study, models, by, every=every, verify=verify)
    write_report(folder, folder / REPORT)
    return found


def _places(
    experiment: str | Path, out: str | Path | None, ending: str, console: Console | None
) -> tuple[Path, Path, Console]:
    """The file, the folder of its runs, and where progress is shown."""
    path = Path(experiment)
    folder = Path("runs") / f"{path.stem}{ending}" if out is None else Path(out)
    return path, folder, console or Console(stderr=True)
