"""What a run tells those who watch it: journal, progress bar, trackers."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from polytask.heads import Scores
from polytask.processes import any_of, first_does


@dataclass(frozen=True, slots=True)
class Look:
    """The gradients of the tasks of one step on the encoder, before they were weighed.

    norms: by task. cosines: by pair of tasks, their names with a space between. progress: by task
    by how much its loss on these rows fell, over what one step of gradient descent on it alone
    would bring to first order at the same learning rate. ahead: by task, what a step on it alone
    would do to each, if that was asked for. seconds: what the look took.
    """

    norms: Mapping[str, float]
    cosines: Mapping[str, float]
    progress: Mapping[str, float]
    ahead: Mapping[str, Mapping[str, float]]
    seconds: float


@dataclass(frozen=True, slots=True)
class StepReport:
    """One change of the weights.

    losses: mean loss by task, of the tasks present. weights: what each was multiplied by. counts:
    targets behind each mean. num_tokens of num_padded places held a real token. seconds: what the
    step took, without the look, which few steps have.
    """

    step: int
    num_steps: int
    epoch: int
    losses: Mapping[str, float]
    weights: Mapping[str, float]
    counts: Mapping[str, int]
    learning_rate: float
    gradient_norms: Mapping[str, float]
    num_examples: int
    num_tokens: int
    num_padded: int
    seconds: float
    look: Look | None = None


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """Scores of all tasks on dev. `selected` is the number that decides which model is best.

    passes: how many times each feed has been seen.
    """

    step: int
    epoch: int
    scores: Mapping[str, Scores]
    selected: float
    is_best: bool
    passes: Mapping[str, float]


class Observer(ABC):
    """Sees a run from outside. Nothing it does may change the run."""

    @abstractmethod
    def note(self, text: str) -> None:
        """A plain sentence worth keeping."""

    @abstractmethod
    def step(self, report: StepReport) -> None:
        """After each change of the weights."""

    @abstractmethod
    def evaluation(self, report: EvaluationReport) -> None:
        """After each scoring of dev."""

    @abstractmethod
    def close(self) -> None:
        """When the run ends, whatever the reason."""


class Held(Observer):
    """Another observer, whose first fault is kept: the processes that train must stop together."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self.fault: Exception | None = None

    def _run(self, action: Callable[[], None]) -> None:
        if self.fault is None:
            try:
                action()
            except Exception as error:
                self.fault = error

    def note(self, text: str) -> None:
        """Passes it on."""
        self._run(lambda: self._observer.note(text))

    def step(self, report: StepReport) -> None:
        """Passes it on."""
        self._run(lambda: self._observer.step(report))

    def evaluation(self, report: EvaluationReport) -> None:
        """Passes it on."""
        self._run(lambda: self._observer.evaluation(report))

    def close(self) -> None:
        """Passes it on."""
        self._observer.close()


def tell_faults(observers: Sequence[Observer]) -> None:
    """Raises in all processes the fault that an observer of the first has kept."""
    faults = [one.fault for one in observers if isinstance(one, Held) and one.fault]

    def tell() -> None:
        raise faults[0]

    [is_faulty] = any_of([bool(faults)])
    if is_faulty:
        first_does(tell)
