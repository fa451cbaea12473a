"""What a run does once training is over: the best model learns from dev how sure it may be."""

from collections.abc import Mapping

import torch

from polytask.build import open_model
from polytask.data.feed import Feed
from polytask.evaluation.calibration import calibrate, fit_risks, fit_scopes
from polytask.evaluation.score import score_tasks
from polytask.processes import alone
from polytask.training.folder import RunFolder
from polytask.training.results import write_best


def finish(
    folder: RunFolder, train: Mapping[str, Feed], dev: Mapping[str, Feed], device: torch.device
) -> list[str]:
    """Calibrates the model in a run folder on dev; says in sentences what it found.

    Heads that tell texts out of scope learn from train what is in it. Interrupted, it leaves the
    model as it was or as it is to be. Raises DiskError.
    """
    model, experiment = open_model(folder.model)
    model.to(device)
    tasks = experiment.tasks_by_feed()
    with alone():
        found = calibrate(model, dev, tasks)
        others = [fit_scopes(model, train, dev, tasks), fit_risks(model, dev, tasks)]
        results = score_tasks(model, dev, tasks, is_final=True)
    write_best(folder, model, experiment, results)
    return [f"{name}: {told}." for one in others for name, told in one.items()] + [
        f"Probabilities of {name} made true on dev ({told}): calibration error "
        f"{calibration.before.error:.4f} before, {calibration.after.error:.4f} now."
        for name, told in found.items()
        if (calibration := results[name].calibration) and calibration.after.count
    ]
