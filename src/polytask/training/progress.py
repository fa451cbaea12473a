"""What a person sees of a run: a live bar on a terminal, plain lines elsewhere."""

import math
import time
from collections import deque

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from polytask.training.observer import EvaluationReport, Observer, StepReport

_LINE_EVERY_SECONDS = 15.0
_WINDOW = 50


class ConsoleProgress(Observer):
    """Steps, examples a second, time left and each task's loss."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._recent: deque[tuple[int, float]] = deque(maxlen=_WINDOW)
        self._losses: dict[str, float] = {}
        self._last_line = time.monotonic()
        self._progress = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[speed]:.0f} ex/s"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[losses]}"),
            console=console,
            disable=not console.is_terminal,
        )
        self._bar = self._progress.add_task("train", total=None, epoch=1, speed=0.0, losses="")
        self._progress.start()

    def note(self, text: str) -> None:
        """Prints it above the bar."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def step(self, report: StepReport) -> None:
        """Moves the bar; every few seconds a line where there is no bar."""
        self._recent.append((report.num_examples, report.seconds))
        for task, loss in report.losses.items():
            if math.isfinite(loss):  # one nan would stay in the mean for good
                before = self._losses.get(task, loss)
                self._losses[task] = 0.95 * before + 0.05 * loss
        speed = sum(n for n, _ in self._recent) / max(sum(s for _, s in self._recent), 1e-9)
        losses = "  ".join(f"{task} {loss:.3f}" for task, loss in self._losses.items())
        self._progress.update(
            self._bar,
            completed=report.step,
            total=report.num_steps,
            epoch=report.epoch,
            speed=speed,
            losses=losses,
        )
        now = time.monotonic()
        if not self._console.is_terminal and now - self._last_line > _LINE_EVERY_SECONDS:
            self._last_line = now
            self.note(
                f"epoch {report.epoch}  step {report.step}/{report.num_steps}  "
                f"{speed:.0f} examples/s  {losses}"
            )

    def evaluation(self, report: EvaluationReport) -> None:
        """One line with every task's headline."""
        scores = "  ".join(
            f"{task} {one.headline[0]} {one.headline[1]:.3f}" for task, one in report.scores.items()
        )
        mark = "best so far" if report.is_best else "not better"
        self.note(f"epoch {report.epoch} dev: {scores}  ({mark}: {report.selected:.4f})")

    def close(self) -> None:
        """Takes the bar away."""
        self._progress.stop()
