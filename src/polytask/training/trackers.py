"""Trackers by their own libraries: losses and scores as curves in TensorBoard, W&B or MLflow."""

import importlib
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Protocol

from polytask.config.options import Tracker
from polytask.errors import MissingExtra, PolytaskError, RunError
from polytask.training.observer import EvaluationReport, Observer, StepReport


class Sink(Protocol):
    """Where a tracker's numbers go."""

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Takes named numbers of one step."""

    def close(self) -> None:
        """No more numbers come."""


class TrackerObserver(Observer):
    """Sends losses, weights, learning rate and scores to one tracker."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def note(self, text: str) -> None:
        """Trackers take numbers only."""

    def step(self, report: StepReport) -> None:
        """Losses and weights by task, learning rate, speed."""
        values = {f"loss/{task}": loss for task, loss in report.losses.items()}
        values |= {f"weight/{task}": weight for task, weight in report.weights.items()}
        values["learning_rate"] = report.learning_rate
        values["examples_per_second"] = report.num_examples / max(report.seconds, 1e-9)
        if report.look is not None:
            values |= {f"norm/{task}": norm for task, norm in report.look.norms.items()}
            values |= {f"cosine/{pair}": one for pair, one in report.look.cosines.items()}
            values |= {f"progress/{task}": one for task, one in report.look.progress.items()}
        self._sink.scalars(values, report.step)

    def evaluation(self, report: EvaluationReport) -> None:
        """Every metric of every task on dev."""
        values = {
            f"dev/{task}/{name}": value
            for task, scores in report.scores.items()
            for name, value in scores.metrics.items()
            if math.isfinite(value)
        }
        self._sink.scalars({**values, "dev/selected": report.selected}, report.step)

    def close(self) -> None:
        """Closes the sink."""
        self._sink.close()


def open_tracker(name: Tracker, folder: Path, settings: Mapping[str, object]) -> TrackerObserver:
    """The tracker of that name for the run in `folder`. Raises MissingExtra and RunError."""
    try:
        return TrackerObserver(_SINKS[name](folder, settings))
    except PolytaskError:
        raise
    except Exception as error:
        raise RunError(f"the tracker {name} does not start: {error}") from error


def _library(module: str, extra: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtra(extra, extra) from error


class _TensorBoard:
    def __init__(self, folder: Path, settings: Mapping[str, object]) -> None:
        _library("tensorboard", "tensorboard")
        self._writer = _library("torch.utils.tensorboard", "tensorboard").SummaryWriter(
            str(folder / "tensorboard")
        )

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        self._writer.close()


class _WandB:
    def __init__(self, folder: Path, settings: Mapping[str, object]) -> None:
        self._run = _library("wandb", "wandb").init(
            project="polytask", name=folder.name, dir=str(folder), config=dict(settings)
        )

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        self._run.log(dict(values), step=step)

    def close(self) -> None:
        self._run.finish()


class _MLflow:
    def __init__(self, folder: Path, settings: Mapping[str, object]) -> None:
        self._client = _library("mlflow", "mlflow")
        self._is_local = not os.environ.get("MLFLOW_TRACKING_URI")
        if self._is_local:  # its slim package has files only
            os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
            self._client.set_tracking_uri((folder / "mlruns").resolve().as_uri())
        self._client.set_experiment("polytask")
        self._client.start_run(run_name=folder.name)
        self._client.log_dict(dict(settings), "experiment.json")

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        self._client.log_metrics(dict(values), step=step)

    def close(self) -> None:
        self._client.end_run()
        if self._is_local:  # it has set the variable, which the next run must not meet
            self._client.set_tracking_uri("")


_SINKS: Mapping[Tracker, Callable[[Path, Mapping[str, object]], Sink]] = {
    "tensorboard": _TensorBoard,
    "wandb": _WandB,
    "mlflow": _MLflow,
}
