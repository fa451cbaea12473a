"""One run from experiment file to finished folder, or to a state it can go on from."""

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import cast

import torch
from rich.console import Console
from safetensors import SafetensorError
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
    save_model,
    split_records,
)
from polytask.data.feed import Feed
from polytask.data.tables import default_cache
from polytask.data.views import count_changes
from polytask.errors import DiskError, Interrupted, TrainingError
from polytask.evaluation.score import TaskResult
from polytask.training.checkpoint import (
    newest_checkpoint,
    replace_folder,
    save_checkpoint,
    write_synced,
    writing,
)
from polytask.training.folder import RunFolder
from polytask.training.journal import Journal
from polytask.training.loop import Hooks, Loop
from polytask.training.observer import Observer
from polytask.training.precision import settle_device
from polytask.training.progress import ConsoleProgress
from polytask.training.random import random_state, set_random_state
from polytask.training.results import write_results
from polytask.training.scales import gradient_sizes, scale_warning
from polytask.training.state import (
    is_finite,
    restore,
    restore_weights,
    take_snapshot,
)
from polytask.training.trackers import open_tracker


@dataclass(frozen=True, slots=True)
class Trained:
    """A finished run. seconds is the time spent training in this process."""

    folder: RunFolder
    experiment: Experiment
    seconds: float
    best_step: int
    num_steps: int


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
        ending.callback(folder.restore_earlier)
        is_resumed = folder.claim(experiment.plain, overwrite=overwrite)
        journal = Journal(folder.journal)
        watchers: list[Observer] = []

        def watch(watcher: Observer) -> None:
            ending.callback(watcher.close)
            watchers.append(watcher)

        watch(journal)
        watch(ConsoleProgress(console))
        for name in experiment.train.trackers or ():
            watch(open_tracker(name, out, experiment.plain))
        return _Session(experiment, folder, journal, watchers).run(device, resume=is_resumed)


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
        self.observers = observers
        self.last_save = time.monotonic()
        self.random: Mapping[str, Tensor] = {}
        self.is_stopping = False

    def note(self, text: str) -> None:
        for observer in self.observers:
            observer.note(text)

    def run(self, device: torch.device, *, resume: bool) -> Trained:
        started = time.perf_counter()
        snapshot, skipped = (
            newest_checkpoint(self.folder.checkpoints, device) if resume else (None, [])
        )
        if snapshot is None:
            self.journal.cut(0)
        loop = self._make_loop(device)
        if snapshot is not None:
            restore(loop, snapshot)
            self.journal.cut(cast(int, snapshot.values["journal"]))
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
        self.folder.forget_earlier()
        if snapshot is None and self.experiment.train.on_nan == "rollback":
            self._save(loop)
        with self._catching_signals():
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
        note = self.note
        cache = default_cache()
        data = load_data(self.experiment, cache=cache)
        for splits in data.values():
            for text in splits.notes:
                note(text)
        fit_heads(self.experiment, data, note)
        with writing(self.folder.path):
            write_synced(self.folder.path / EXPERIMENT_FILE, described(self.experiment, data))
        torch.manual_seed(self.experiment.train.seed)
        model = make_model(self.experiment, data, note)
        records = split_records(data)
        train = make_feeds(self.experiment, model, records["train"], cache=cache)
        dev = make_feeds(self.experiment, model, records["dev"], cache=cache)
        self._describe(train, note)
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
            precision=precision,  # type: ignore[arg-type]
            device=device,
            observers=self.observers,
        )
        for told in loop.notes:
            note(told)
        if unequal := scale_warning(gradient_sizes(model, train, self.experiment.tasks_by_feed())):
            note(unequal)
        torch.manual_seed(self.experiment.train.seed)
        return loop

    def _describe(self, feeds: Mapping[str, Feed], note: Callable[[str], None]) -> None:
        for name, tasks in self.experiment.tasks_by_feed().items():
            feed, cleaning = feeds[name], self.experiment.data[tasks[0].data].clean
            counts = feed.counts()
            note(
                f"Feed {name}, read by {', '.join(task.name for task in tasks)}: {len(feed)} train "
                f"records, {counts.num_tokens} tokens, {counts.num_truncated} texts cut, "
                f"{counts.num_unknown} tokens unknown."
            )
            if cleaning is not None:
                changes = count_changes(feed.records, feed.view, cleaning)
                found = ", ".join(f"{key} {num}" for key, num in sorted(changes.items()))
                note(f"Feed {name}: cleaning changed {found or 'nothing'}.")

    def _save(self, loop: Loop) -> None:
        snapshot = take_snapshot(loop, {"journal": self.journal.position})
        save_checkpoint(self.folder.checkpoints, snapshot, keep=self.experiment.checkpoints.keep)
        self.last_save = time.monotonic()

    def _after_step(self, loop: Loop) -> bool:
        options = self.experiment.checkpoints
        is_due = time.monotonic() - self.last_save > 60 * options.every_minutes
        if options.every_steps and loop.position.step % options.every_steps == 0:
            is_due = True
        if is_due or self.is_stopping:
            self._save(loop)
        self.random = random_state(loop.device)
        return self.is_stopping

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
        staged = self.folder.path / ".staged-model"
        if staged.exists():
            for file in staged.iterdir():
                file.unlink()
        try:
            staged.mkdir(exist_ok=True)
            save_model(staged, loop.model, self.experiment)
            replace_folder(staged, self.folder.model)
            write_results(self.folder, "dev", results, is_new_model=True)
        except (OSError, SafetensorError) as error:
            raise DiskError(
                f"{self.folder.path}: cannot save the model: {error}. Make room and run the same "
                "command again to go on."
            ) from error

    def _finish(self, loop: Loop) -> None:
        self.folder.mark("finished", self.experiment.plain)
        self.journal.write(
            "end",
            {
                "steps": loop.position.step,
                "best_step": loop.position.best_step,
                "padding": round(self.journal.padding, 4),
                "look_share": round(self.journal.look_share, 4),
            },
        )

    @contextmanager
    def _catching_signals(self) -> Iterator[None]:
        """The first Ctrl-C, SIGTERM or SIGUSR1 stops after the step; a second stops at once."""

        def stop(_number: int, _frame: FrameType | None) -> None:
            if self.is_stopping:
                raise KeyboardInterrupt
            self.is_stopping = True

        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {s: signal.signal(s, stop) for s in _STOPPING}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


_STOPPING = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name)
]
_FORMULA = "each target counts once (words for tags, records otherwise)"
