"""A model folder: what prediction needs, weights as safetensors, checked by its hashes."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import cast

from safetensors.torch import load_file, save_file

from polytask.build.data import assembled
from polytask.build.experiment import Experiment, read_experiment
from polytask.config.experiment import dump_yaml
from polytask.data.dataset import Splits
from polytask.errors import RunError
from polytask.model import MultiTaskModel

FORMAT = 3
"""Number of the layout of a model folder; a folder of another number does not load."""

EXPERIMENT_FILE = "experiment.yaml"
_FACTS_FILE = "polytask.json"
_HEADS_FILE = "heads.safetensors"


def described(experiment: Experiment, data: Mapping[str, Splits]) -> str:
    """The experiment file with every default written out, below what its data holds."""
    lines = [f"# Written by polytask {version('polytask')}: every option, and what the data holds."]
    lines += data_lines(data)
    lines += [
        f"# task {task.name}: {json.dumps(task.head.facts(), ensure_ascii=False)}"
        for task in experiment.tasks
    ]
    return "\n".join(lines) + "\n" + dump_yaml(experiment.plain)


def data_lines(data: Mapping[str, Splits]) -> list[str]:
    """A line for each split: how many records it has, and what tells their content."""
    return [
        f"# data {name}, {split}: {len(records)} records, content {records.fingerprint}"
        for name, splits in data.items()
        for split, records in (
            ("train", splits.train),
            ("dev", splits.dev),
            ("test", splits.test),
        )
        if records is not None
    ]


def versions() -> dict[str, str]:
    """Of the packages that make a model what it is."""
    return {name: version(name) for name in ("polytask", "torch", "transformers")}


def versions_of(folder: Path) -> dict[str, str]:
    """Those that a model folder was written with; none if there is none."""
    file = folder / _FACTS_FILE
    if not file.is_file():
        return {}
    return cast(dict[str, str], json.loads(file.read_text(encoding="utf-8"))["versions"])


def save_model(folder: Path, model: MultiTaskModel, experiment: Experiment) -> None:
    """Writes everything that prediction needs into an existing, empty folder."""
    model.encoder.save(folder)
    weights = {name: tensor.contiguous() for name, tensor in model.heads.state_dict().items()}
    save_file(weights, folder / _HEADS_FILE)
    (folder / EXPERIMENT_FILE).write_text(dump_yaml(experiment.plain), encoding="utf-8")
    learned = {task.name: task.head.facts() for task in experiment.tasks}
    facts = {
        "format": FORMAT,
        "versions": versions(),
        "tasks": learned,
        "tasks_sha256": _digest(learned),
        "files": {file.name: file_digest(file) for file in sorted(folder.iterdir())},
    }
    text = json.dumps(facts, ensure_ascii=False, indent=2)
    (folder / _FACTS_FILE).write_text(text + "\n", encoding="utf-8")


def open_model(folder: Path, overrides: Sequence[str] = ()) -> tuple[MultiTaskModel, Experiment]:
    """The model that `save_model` wrote, and its experiment with some options changed.

    Raises RunError if the folder is of another version or damaged.
    """
    facts = _read_facts(folder)
    experiment = read_experiment(folder / EXPERIMENT_FILE, overrides)
    encoder = experiment.source.open(folder)
    learned = cast(dict[str, dict[str, object]], facts["tasks"])
    for task in experiment.tasks:
        if task.name not in learned:
            raise RunError(f"{folder}: was not trained on a task {task.name}")
        task.head.restore(learned[task.name])
        task.head.attach(encoder.width)
    model = assembled(encoder, experiment)
    try:
        model.heads.load_state_dict(load_file(folder / _HEADS_FILE))
    except RuntimeError as error:
        raise RunError(f"{folder / _HEADS_FILE}: does not fit the tasks: {error}") from error
    return model.eval(), experiment


def _read_facts(folder: Path) -> dict[str, object]:
    file = folder / _FACTS_FILE
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
        written = facts["format"]
        files = dict(facts["files"])
        is_whole = written != FORMAT or facts["tasks_sha256"] == _digest(facts["tasks"])
    except FileNotFoundError as error:
        raise RunError(f"{folder}: no {_FACTS_FILE}: not the model folder of a run") from error
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(f"{file}: is damaged: {error}") from error
    if written != FORMAT:
        raise RunError(
            f"{file}: has format {written}, but this version of polytask reads format {FORMAT}. "
            f"It was written by polytask {facts.get('versions', {}).get('polytask', '?')}."
        )
    if not is_whole:
        raise RunError(f"{file}: is damaged: not the facts that were written. Copy it again.")
    for name, digest in files.items():
        part = folder / Path(name).name
        if not part.is_file():
            raise RunError(f"{part}: is missing. Copy the whole folder again.")
        if file_digest(part) != digest:
            raise RunError(f"{part}: is damaged: not the file that was written. Copy it again.")
    return cast(dict[str, object], facts)


def _digest(plain: object) -> str:
    text = json.dumps(plain, ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def file_digest(file: Path) -> str:
    """sha256 of a file, in hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
