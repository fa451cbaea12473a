"""From an experiment file to objects that say what is to be done; nothing is read or trained."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import cast

from polytask.balancing import (
    BALANCERS,
    Balancer,
    GradientBalancer,
    GramianWeighting,
    gradient_section,
)
from polytask.config.document import read_document
from polytask.config.experiment import (
    Bound,
    Chosen,
    Fixed,
    Layout,
    Named,
    bind_experiment,
    resolved,
)
from polytask.config.options import (
    CheckpointOptions,
    OptimizerOptions,
    ScheduleOptions,
    TrainOptions,
)
from polytask.data.dataset import DataSet
from polytask.data.views import Long
from polytask.encoders import ENCODERS, EncoderSource
from polytask.errors import ConfigError, did_you_mean
from polytask.heads import HEADS, Agrees, Head, ProbableHead, ReadableHead, Reads
from polytask.mixing import MIXERS, Mixer
from polytask.mixing.oversampling import mixing_section
from polytask.tasks import Task, feed_names, task_section

Component = Callable[..., object]

_SELECTIONS = ("mean", "worst")


def layout() -> Layout:
    """The sections of an experiment file, with what outside packages add by entry points."""
    return {
        "encoder": Chosen(_known("encoders", ENCODERS), default=None),
        "data": Named(Fixed(DataSet), required=True),
        "tasks": Named(
            Chosen(_known("heads", HEADS), default=None, common=task_section), required=True
        ),
        "mixing": Chosen(_known("mixers", MIXERS), default="proportional", common=mixing_section),
        "balancing": Chosen(
            _known("balancers", BALANCERS),
            default="static",
            common=gradient_section,
            has_common=_weighs_gradients,
        ),
        "train": Fixed(TrainOptions),
        "optimizer": Fixed(OptimizerOptions),
        "schedule": Fixed(ScheduleOptions),
        "checkpoints": Fixed(CheckpointOptions),
    }


def _weighs_gradients(kind: Component) -> bool:
    return isinstance(kind, type) and issubclass(kind, GramianWeighting)


def _known(group: str, ours: Mapping[str, Component]) -> dict[str, Component]:
    """Our components and those that installed packages declare under `polytask.<group>`."""
    found = {point.name: point for point in entry_points(group=f"polytask.{group}")}
    return {**{name: cast(Component, point.load()) for name, point in found.items()}, **ours}


@dataclass(frozen=True, slots=True)
class Experiment:
    """An experiment file as objects; nothing is read or trained yet.

    oversample: by task, how far records of rare labels are drawn more often. base: the folder that
    paths are relative to. plain: the file with every default written out.
    """

    source: EncoderSource
    data: Mapping[str, DataSet]
    tasks: Sequence[Task]
    mixer: Mixer
    oversample: Mapping[str, float]
    balancer: Balancer
    train: TrainOptions
    optimizer: OptimizerOptions
    schedule: ScheduleOptions
    checkpoints: CheckpointOptions
    base: Path
    plain: Mapping[str, object]

    def tasks_by_feed(self) -> dict[str, list[Task]]:
        """The tasks that read each feed, in the order of the file."""
        names = feed_names(self.tasks)
        found: dict[str, list[Task]] = {}
        for task in self.tasks:
            found.setdefault(names[task.name], []).append(task)
        return found


def read_experiment(path: Path, overrides: Sequence[str] = ()) -> Experiment:
    """The experiment of a YAML file. Raises ConfigError with every fault found."""
    document = read_document(path, overrides)
    bound = bind_experiment(document, layout())
    built = _build_all(bound)
    tasks = _tasks(cast(dict[str, Bound], bound["tasks"]), built)
    experiment = Experiment(
        source=cast(EncoderSource, built["encoder",]),
        data={
            name: cast(DataSet, built["data", name])
            for name in cast(dict[str, Bound], bound["data"])
        },
        tasks=tasks,
        mixer=cast(Mixer, built["mixing",]),
        oversample=_oversample(cast(Bound, bound["mixing"])),
        balancer=_balancer(built["balancing",], cast(Bound, bound["balancing"])),
        train=cast(TrainOptions, built["train",]),
        optimizer=cast(OptimizerOptions, built["optimizer",]),
        schedule=cast(ScheduleOptions, built["schedule",]),
        checkpoints=cast(CheckpointOptions, built["checkpoints",]),
        base=path.parent,
        plain=_located(resolved(bound), path.parent),
    )
    _check_names(experiment, document.where)
    return experiment


def _build_all(
    bound: Mapping[str, Bound | dict[str, Bound]],
) -> dict[tuple[str | int, ...], object]:
    """Every section as an object, by its path. Raises one ConfigError for all that refuse."""
    built: dict[tuple[str | int, ...], object] = {}
    faults: list[str] = []
    for found in bound.values():
        for section in [found] if isinstance(found, Bound) else found.values():
            try:
                built[section.path] = section.build()
            except ConfigError as error:
                faults.append(str(error))
    if faults:
        raise ConfigError("\n".join(faults))
    return built


def _tasks(
    sections: Mapping[str, Bound], built: Mapping[tuple[str | int, ...], object]
) -> list[Task]:
    heads = {name: cast(Head, built[section.path]) for name, section in sections.items()}
    is_mixed = len({head.is_self_supervised for head in heads.values()}) > 1
    tasks: list[Task] = []
    faults: list[str] = []
    for name, section in sections.items():
        common, head = section.common, heads[name]
        try:
            long, stride = cast(Long | None, common["long"]), cast(int | None, common["stride"])
            head.view = head.view.of_long_texts(long, stride)
        except ConfigError as error:
            faults.append(f"{section.where}: tasks.{name}: {error}")
        is_told = common["auxiliary"] is not None
        is_auxiliary = common["auxiliary"] if is_told else is_mixed and head.is_self_supervised
        reads = Reads(
            tuple(cast(list[str] | None, common["reads"]) or ()),
            has_gradient=bool(common["reads_gradient"]),
        )
        decay = cast(float | None, common["weight_decay"])
        agrees = Agrees(
            tuple(cast(list[str] | None, common["agrees_with"]) or ()),
            cast(float, common["agreement"]),
        )
        data = cast(str, common["data"])
        risk = cast(float | None, common["risk"])
        if risk is not None and not (isinstance(head, ProbableHead) and head.answers_once):
            fault = "`risk:` is for kinds that give each text one answer with a probability"
            faults.append(f"{section.where}: tasks.{name}: {fault}")
        tasks.append(Task(name, data, head, bool(is_auxiliary), reads, decay, agrees, risk))
    if faults:
        raise ConfigError("\n".join(faults))
    return tasks


def _balancer(built: object, section: Bound) -> Balancer:
    if isinstance(built, GramianWeighting):
        return GradientBalancer(built, **section.common)  # type: ignore[arg-type]
    return cast(Balancer, built)


def _oversample(mixing: Bound) -> Mapping[str, float]:
    return cast(dict[str, float] | None, mixing.common["oversample"]) or {}


def _located(plain: dict[str, object], base: Path) -> dict[str, object]:
    """The same with paths that no longer depend on where the experiment file lies."""

    def absolute(options: dict[str, object], key: str, *, is_file: bool) -> None:
        path = base / Path(str(options.get(key))).expanduser()
        if options.get(key) is not None and (is_file or path.exists()):
            options[key] = str(path.resolve())

    absolute(cast(dict[str, object], plain["encoder"]), "name", is_file=False)
    for section in cast(dict[str, dict[str, object]], plain["data"]).values():
        absolute(section, "datasets", is_file=False)
        for split in ("train", "dev", "test"):
            if not section.get("datasets"):
                absolute(section, split, is_file=True)
    return plain


def _check_names(experiment: Experiment, where: Callable[[tuple[str, ...]], str]) -> None:
    faults: list[str] = []
    for task in experiment.tasks:
        if task.data not in experiment.data:
            hint = did_you_mean(task.data, experiment.data)
            place = where(("tasks", task.name, "data"))
            faults.append(f"{place}: tasks.{task.name}.data: no data set '{task.data}'. {hint}")
    names = [task.name for task in experiment.tasks]
    if not faults:
        try:
            by_feed = experiment.tasks_by_feed()
            experiment.mixer.check({name: [t.name for t in by_feed[name]] for name in by_feed})
        except ConfigError as error:
            faults.append(f"{where(('mixing',))}: mixing.{error}")
    for name in experiment.oversample:
        if name not in names:
            place = where(("mixing", "oversample", name))
            hint = did_you_mean(name, names)
            faults.append(f"{place}: mixing.oversample: no task '{name}'. {hint}")
    try:
        experiment.balancer.check(names)
    except ConfigError as error:
        faults.append(f"{where(('balancing',))}: balancing.{error}")
    for name in set(_SELECTIONS) & set(names):
        place = where(("tasks", name))
        faults.append(
            f"{place}: tasks.{name}: `train.select: {name}` means something else. Rename it."
        )
    choices = [*_SELECTIONS, *names]
    if experiment.train.select not in choices:
        hint = did_you_mean(experiment.train.select, choices)
        place = where(("train", "select"))
        faults.append(f"{place}: train.select: no task '{experiment.train.select}'. {hint}")
    if all(task.is_auxiliary for task in experiment.tasks):
        faults.append(
            f"{where(('tasks',))}: tasks: every task is auxiliary, so none can choose a model"
        )
    faults += _reading_faults(experiment.tasks, where)
    if faults:
        raise ConfigError("\n".join(faults))


def _reading_faults(tasks: Sequence[Task], where: Callable[[tuple[str, ...]], str]) -> list[str]:
    """What is wrong with the tasks that read others or agree with them."""
    named = {task.name: task for task in tasks}

    def fault(task: Task, other: str) -> str | None:
        if other not in named:
            return f"no task '{other}'. {did_you_mean(other, named)}"
        if not isinstance(named[other].head, ReadableHead):
            return f"task {other} is of a kind that gives no probabilities to read"
        if (named[other].data, named[other].head.view) != (task.data, task.head.view):
            return f"task {other} does not read the same columns of the same data"
        return None

    def circle(task: Task, other: str) -> str | None:
        found = _circle(named, other, [task.name])
        return f"{' -> '.join(found)} is a circle" if found else None

    def agreement_fault(task: Task, other: str) -> str | None:
        if task.name == other:
            return "a task agrees with itself"
        if not isinstance(task.head, ReadableHead):
            return f"task {task.name} is of a kind that gives no probabilities to read"
        return fault(task, other)

    faults = [
        f"{where(('tasks', task.name, 'reads'))}: tasks.{task.name}.reads: {found}"
        for task in tasks
        for other in task.reads.tasks
        if (found := fault(task, other) or circle(task, other))
    ]
    return faults + [
        f"{where(('tasks', task.name, 'agrees_with'))}: tasks.{task.name}.agrees_with: {found}"
        for task in tasks
        for other in task.agrees.tasks
        if (found := agreement_fault(task, other))
    ]


def _circle(tasks: Mapping[str, Task], name: str, path: list[str]) -> list[str]:
    """The way by which a task reads the first of the path, none if it does not."""
    if name in path:
        return [*path, name] if name == path[0] else []
    reads = tasks[name].reads.tasks if name in tasks else ()
    return next((c for other in reads if (c := _circle(tasks, other, [*path, name]))), [])
