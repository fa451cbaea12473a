"""The scores of a run on a split: for a terminal, as plain values."""

from collections.abc import Mapping
from dataclasses import dataclass

from rich.table import Table

from polytask.evaluation.calibration import Calibration
from polytask.evaluation.score import TaskResult
from polytask.heads import Scores
from polytask.ship.report import class_table, scores_table
from polytask.training.results import scores_entry


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Scores of all tasks of a run on one split; `unseen` leaves out texts that train holds too.

    `calibration` tells, of tasks that state probabilities, how true these are.
    """

    split: str
    scores: Mapping[str, Scores]
    unseen: Mapping[str, Scores]
    calibration: Mapping[str, Calibration]

    def table(self) -> Table:
        """One row a task, for a terminal."""
        return scores_table(f"Scores on {self.split}", self.scores, self.unseen, self.calibration)

    def to_json(self) -> dict[str, object]:
        """The same as plain values, as `metrics.json` holds them under the name of the split."""
        return {
            task: scores_entry(scores, self.unseen.get(task), self.calibration.get(task))
            for task, scores in self.scores.items()
        }

    def class_tables(self) -> list[Table]:
        """Every class of every task, for a terminal."""
        tables = (class_table(task, scores) for task, scores in self.scores.items())
        return [table for table in tables if table is not None]


def evaluation_of(split: str, results: Mapping[str, TaskResult]) -> Evaluation:
    """From the results of tasks."""
    return Evaluation(
        split,
        {task: result.scores for task, result in results.items()},
        {task: result.unseen for task, result in results.items() if result.unseen is not None},
        {task: told for task, result in results.items() if (told := result.calibration)},
    )
