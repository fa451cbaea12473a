"""The model card of a run: what it does, what it was trained on, how well, how to load it."""

import json
import math
from collections.abc import Mapping
from importlib.metadata import version
from typing import cast

from polytask.build import Experiment
from polytask.training.checkpoint import write_synced, writing
from polytask.training.folder import RunFolder
from polytask.training.results import read_metrics


def write_card(folder: RunFolder, experiment: Experiment) -> None:
    """Writes `README.md` of a run folder, in the form that model hubs read."""
    metrics = cast(dict[str, dict[str, object]], read_metrics(folder))
    parts = [_front_matter(experiment), _title(folder, experiment), _tasks(experiment, metrics)]
    parts += [_data(experiment), _usage(folder), _settings(experiment)]
    with writing(folder.path):
        write_synced(folder.card, "\n\n".join(parts))


def _front_matter(experiment: Experiment) -> str:
    languages = sorted({one.language for one in experiment.data.values() if one.language})
    lines = ["---", "library_name: polytask"]
    if languages:
        lines += ["language:", *(f"- {json.dumps(language)}" for language in languages)]
    return "\n".join([*lines, "tags:", "- multi-task-learning", "---"])


def _title(folder: RunFolder, experiment: Experiment) -> str:
    encoder = cast(dict[str, object], experiment.plain["encoder"])
    name = encoder.get("name") or f"a `{encoder['kind']}` encoder"
    return (
        f"# {folder.path.name}\n\nOne shared encoder ({name}) with {len(experiment.tasks)} heads: "
        "all tasks of a text are answered from one pass."
    )


def _tasks(experiment: Experiment, metrics: Mapping[str, Mapping[str, object]]) -> str:
    sections = cast(dict[str, dict[str, object]], experiment.plain["tasks"])
    lines = ["## Tasks and scores", "", "| task | kind | data | metric | dev | test |"]
    lines.append("|---|---|---|---|---|---|")
    for task in experiment.tasks:
        name = task.head.headline
        dev, test = (
            _headline(metrics.get(split, {}), task.name, name) for split in ("dev", "test")
        )
        kind = sections[task.name]["kind"]
        lines.append(f"| {task.name} | {kind} | {task.data} | {name} | {dev} | {test} |")
    lines.append("")
    lines.append("The model was chosen on dev. Test is n/a until `polytask evaluate` has run.")
    return "\n".join(lines)


def _headline(metrics: Mapping[str, object], task: str, name: str) -> str:
    entry = cast(dict[str, dict[str, float | None]], metrics.get(task, {}))
    value = entry.get("metrics", {}).get(name)
    return "n/a" if value is None or math.isnan(value) else f"{value:.4f}"


def _data(experiment: Experiment) -> str:
    read = {task.data for task in experiment.tasks}
    lines = [
        "## Training data",
        "",
        "| data set | language | licence | about |",
        "|---|---|---|---|",
    ]
    for name, one in experiment.data.items():
        if name in read:
            facts = (one.language or "not stated", one.licence or "not stated", one.about or "")
            lines.append(f"| {name} | {' | '.join(map(_cell, facts))} |")
    return "\n".join(lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _usage(folder: RunFolder) -> str:
    return (
        "## How to load\n\n```python\nimport polytask\n\n"
        f'model = polytask.load("{folder.path.name}")\nmodel("a text")\n```\n\n'
        "The encoder alone: `AutoModel.from_pretrained` on the folder `model`."
    )


def _settings(experiment: Experiment) -> str:
    packages = ("polytask", "torch", "transformers")
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    train = cast(dict[str, object], experiment.plain["train"])
    settings = ", ".join(f"{key} {value}" for key, value in train.items() if value is not None)
    return (
        f"## Settings\n\nTraining: {settings}. Versions: {versions}. "
        "All options: `experiment.yaml`."
    )
