"""What a run folder tells of scores: metrics by split, predictions by split and task."""

import json
from collections.abc import Mapping
from typing import cast

from safetensors import SafetensorError

from polytask.build import Experiment, save_model
from polytask.errors import DiskError, RunError
from polytask.evaluation.calibration import Calibration
from polytask.evaluation.score import TaskResult
from polytask.heads import Scores
from polytask.model import MultiTaskModel
from polytask.training.checkpoint import replace_folder, write_synced, writing
from polytask.training.folder import RunFolder
from polytask.training.journal import finite, scores_as_json


def write_best(
    folder: RunFolder,
    model: MultiTaskModel,
    experiment: Experiment,
    results: Mapping[str, TaskResult],
) -> None:
    """Puts a model in the place of the best before, with its results on dev.

    Raises DiskError if the disk refuses.
    """
    staged = folder.path / ".staged-model"
    if staged.exists():
        for file in staged.iterdir():
            file.unlink()
    try:
        staged.mkdir(exist_ok=True)
        save_model(staged, model, experiment)
        replace_folder(staged, folder.model)
        write_results(folder, "dev", results, is_new_model=True)
    except (OSError, SafetensorError) as error:
        raise DiskError(
            f"{folder.path}: cannot save the model: {error}. Make room and run the same "
            "command again to go on."
        ) from error


def write_results(
    folder: RunFolder,
    split: str,
    results: Mapping[str, TaskResult],
    *,
    is_new_model: bool = False,
) -> None:
    """Writes predictions and metrics of one split, each file whole or not at all.

    Those of the other splits stay, but for a new model: they are of the one before.
    """
    metrics = {} if is_new_model else read_metrics(folder)
    metrics[split] = {
        task: scores_entry(result.scores, result.unseen, result.calibration)
        for task, result in results.items()
    }
    with writing(folder.path):
        write_synced(folder.metrics, json.dumps(metrics, ensure_ascii=False, indent=2))
        kept = {folder.predictions(split, task) for task in results}
        for task, result in results.items():
            write_synced(folder.predictions(split, task), _predictions(result))
        for file in folder.predictions(split, "").parent.iterdir():
            if is_new_model and file not in kept:
                file.unlink()


def scores_entry(
    scores: Scores, unseen: Scores | None, calibration: Calibration | None
) -> dict[str, object]:
    """The scores of one task, those without texts that train holds too, how true it speaks."""
    entry = scores_as_json(scores)
    if unseen is not None:
        entry["without_seen_in_train"] = scores_as_json(unseen)
        entry["seen_in_train"] = scores.count - unseen.count
    if calibration is not None and calibration.after.count:
        entry["calibration"] = calibration.to_json()
    return entry


def _predictions(result: TaskResult) -> str:
    lines = [
        json.dumps(
            finite({"where": result.feed.records.where(place), **prediction}), ensure_ascii=False
        )
        for place, prediction in enumerate(result.predictions)
    ]
    return "\n".join(lines)


def read_metrics(folder: RunFolder) -> dict[str, object]:
    """The metrics of a run by split; nothing yet is an empty dict. Raises RunError."""
    if not folder.metrics.is_file():
        return {}
    try:
        return cast(dict[str, object], json.loads(folder.metrics.read_text(encoding="utf-8")))
    except ValueError as error:
        raise RunError(f"{folder.metrics}: is damaged: {error}") from error
