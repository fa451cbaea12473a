"""One run from experiment file to finished folder, or to a state it can go on from."""

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import torch
from rich.console import Console
from torch import Tensor

from polytask.build import (
    EXPERIMENT_FILE,
    Experiment,
    described,
    fit_heads,
    load_data,
    make_feeds,
    make_model,
    read_experiment,
    split_records,
)
from polytask.data.dataset import Splits
from polytask.data.tables import default_cache
from polytask.errors import Interrupted, TrainingError
from polytask.evaluation.score import TaskResult
from polytask.processes import any_of, first_before_others, first_does, is_first, joined, num, place
from polytask.training import sharding
from polytask.training.checkpoint import newest_checkpoint, save_checkpoint, write_text
from polytask.training.finish import finish
from polytask.training.folder import RunFolder
from polytask.training.journal import Journal
from polytask.training.loop import Hooks, Loop
from polytask.training.notes import feed_notes
from polytask.training.observer import Held, Observer, tell_faults
from polytask.training.precision import own_device, settle_device
from polytask.training.progress import ConsoleProgress
from polytask.training.random import random_state, set_random_state
from polytask.training.results import write_best
from polytask.training.scales import gradient_sizes, scale_warning
from polytask.training.sharding import whole_model
from polytask.training.state import (
    is_finite,
    restore,
    restore_weights,
    take_snapshot,
)
from polytask.training.stopping import Stopping
from polytask.training.trackers import open_tracker


@dataclass(frozen=True, slots=True)
class Trained:
    """A finished run. seconds is the time spent training in this process.

    is_first: whether this process is the one, of several that trained it, which writes files.
    """

    folder: RunFolder
    experiment: Experiment
    seconds: float
    best_step: int
    num_steps: int
    is_first: bool


def train_run(
    path: Path, out: Path, *, overrides: Sequence[str] = (), overwrite: bool, console: Console
) -> Trained:
    """Trains the experiment of `path` into the folder `out`, or goes on with what is there.

    Raises PolytaskError for the user's faults and Interrupted after Ctrl-C, SIGTERM or SIGUSR1.
    """
    experiment = read_experiment(path, overrides)
    device = settle_device(experiment)
    folder = RunFolder(out)
    with ExitStack() as ending:
        ending.enter_context(joined(use_gpu=device.type == "cuda"))
        if sharding.is_asked():
            sharding.check(experiment)
        if is_first():
            ending.callback(folder.restore_earlier)
        is_resumed = first_does(lambda: folder.claim(experiment.plain, overwrite=overwrite))
        watchers: list[Observer] = []

        def watch(watcher: Observer) -> None:
            ending.callback(watcher.close)
            watchers.append(watcher)

        def watch_all() -> None:
            watch(Journal(folder.journal))
            watch(ConsoleProgress(console))
            for name in experiment.train.trackers or ():
                watch(open_tracker(name, out, experiment.plain))

        first_does(watch_all)
        if not is_first():
            own = Path(ending.enter_context(TemporaryDirectory()))
            watch(Journal(RunFolder(own).journal))
        session = _Session(experiment, folder, cast(Journal, watchers[0]), watchers)
        return session.run(own_device(device), resume=is_resumed)


class _Session:
    """The run between claiming its folder and finishing it."""

    def __init__(
        self,
        experiment: Experiment,
        folder: RunFolder,
        journal: Journal,
        observers: Sequence[Observer],
    ) -> None:
        self.experiment = experiment
        self.folder = folder
        self.journal = journal
        self.observers = observers if num() == 1 else [Held(one) for one in observers]
        self.last_save = time.monotonic()
        self.random: Mapping[str, Tensor] = {}
        self.stopping = Stopping()

    def note(self, text: str) -> None:
        for observer in self.observers:
            observer.note(text)

    def run(self, device: torch.device, *, resume: bool) -> Trained:
        started = time.perf_counter()
        snapshot, skipped = (
            newest_checkpoint(self.folder.checkpoints, device) if resume else (None, [])
        )
        if snapshot is None:
            first_does(lambda: self.journal.cut(0))
        loop = self._make_loop(device)
        if snapshot is not None:
            restore(loop, snapshot)
            position = cast(int, snapshot.values["journal"])
            first_does(lambda: self.journal.cut(position))
        for text in skipped:
            self.note(text)
        if resume:
            self.note(f"Going on from step {loop.position.step}.")
        hooks = Hooks(
            keep_best=lambda results: self._keep_best(loop, results),
            after_step=lambda: self._after_step(loop),
            rollback=lambda: self._roll_back(loop, device),
            after_evaluation=lambda: self._after_evaluation(loop),
        )
        first_does(self.folder.forget_earlier)
        if snapshot is None and self.experiment.train.on_nan == "rollback":
            self._save(loop)
        with self.stopping.listening():
            is_done = self._train(loop, hooks)
        if not is_done:
            raise Interrupted(f"Stopped at step {loop.position.step} of {loop.num_steps}.")
        self._finish(loop)
        return Trained(
            self.folder,
            self.experiment,
            time.perf_counter() - started,
            loop.position.best_step,
            loop.position.step,
            is_first(),
        )

    def _train(self, loop: Loop, hooks: Hooks) -> bool:
        self.random = random_state(loop.device)
        try:
            return loop.run(hooks)
        except TrainingError as error:
            self.journal.note(str(error))
            set_random_state(self.random, loop.device)
            if is_finite(loop):
                self._save(loop)
            raise

    def _make_loop(self, device: torch.device) -> Loop:
        note, cache = self.note, default_cache()
        data = self._read_data(cache)
        torch.manual_seed(self.experiment.train.seed)
        model = make_model(self.experiment, data, note)
        records = split_records(data)
        with first_before_others():
            train = make_feeds(self.experiment, model, records["train"], cache=cache)
            dev = make_feeds(self.experiment, model, records["dev"], cache=cache)
            watched = make_feeds(self.experiment, model, records["watched"], cache=cache)
        for told in feed_notes(self.experiment, train):
            note(told)
        if warning := self.experiment.mixer.warning(
            {name: len(feed) for name, feed in train.items()}
        ):
            note(warning)
        precision = cast(dict[str, object], self.experiment.plain["train"])["precision"]
        note(f"Training on {device} in {precision}; losses are means over targets, {_FORMULA}.")
        loop = Loop(
            self.experiment,
            model,
            train=train,
            dev=dev,
            watched=watched,
            precision=precision,  # type: ignore[arg-type]
            device=device,
            observers=self.observers,
        )
        for told in loop.notes:
            note(told)
        if not sharding.is_sharded(model.encoder):
            sizes = gradient_sizes(model, train, self.experiment.tasks_by_feed(), loop.mixed)
            if unequal := scale_warning(sizes):
                note(unequal)
        torch.manual_seed(self.experiment.train.seed + place())
        return loop

    def _read_data(self, cache: Path) -> Mapping[str, Splits]:
        with first_before_others():
            data = load_data(self.experiment, cache=cache)
        for splits in data.values():
            for text in splits.notes:
                self.note(text)
        fit_heads(self.experiment, data, self.note)
        description = described(self.experiment, data)
        first_does(lambda: write_text(self.folder.path / EXPERIMENT_FILE, description))
        return data

    def _save(self, loop: Loop) -> None:
        position = first_does(lambda: self.journal.position)
        snapshot = take_snapshot(loop, {"journal": position})
        keep = self.experiment.checkpoints.keep
        first_does(lambda: save_checkpoint(self.folder.checkpoints, snapshot, keep=keep))
        self.last_save = time.monotonic()

    def _after_step(self, loop: Loop) -> bool:
        options = self.experiment.checkpoints
        is_due = time.monotonic() - self.last_save > 60 * options.every_minutes
        if options.every_steps and loop.position.step % options.every_steps == 0:
            is_due = True
        is_due, is_stopping = any_of([is_due, self.stopping.is_asked])
        tell_faults(self.observers)
        if is_due or is_stopping:
            self._save(loop)
        self.random = random_state(loop.device)
        return is_stopping

    def _after_evaluation(self, loop: Loop) -> None:
        if loop.position.step < loop.num_steps:
            self._save(loop)

    def _roll_back(self, loop: Loop, device: torch.device) -> None:
        snapshot, _ = newest_checkpoint(self.folder.checkpoints, device)
        if snapshot is None:
            self.note("There is no checkpoint to roll back to.")
            return
        restore_weights(loop, snapshot)
        self.note(f"Rolled back to the weights of step {snapshot.step}.")

    def _keep_best(self, loop: Loop, results: Mapping[str, TaskResult]) -> None:
        with whole_model(loop.model):
            first_does(lambda: write_best(self.folder, loop.model, self.experiment, results))

    def _finish(self, loop: Loop) -> None:
        tell_faults(self.observers)
        for told in first_does(lambda: finish(self.folder, loop.train, loop.dev, loop.device)):
            self.note(told)
        first_does(lambda: self.folder.mark("finished", self.experiment.plain))
        self.journal.write(
            "end",
            {
                "steps": loop.position.step,
                "best_step": loop.position.best_step,
                "padding": round(self.journal.padding, 4),
                "look_share": round(self.journal.look_share, 4),
            },
        )


_FORMULA = "each target counts once (words for tags, records otherwise)"
