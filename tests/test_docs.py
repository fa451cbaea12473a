"""What the documentation says is so: its Python runs, its YAML binds, its tables are complete."""

import io
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

import pytest
import yaml
from rich.console import Console
from typer.main import get_command

import polytask
from polytask.api import evaluate, load, train
from polytask.balancing import gradient_section
from polytask.build import layout, read_experiment
from polytask.cli import app
from polytask.config.binding import Component, parameters_of
from polytask.config.experiment import Chosen, Fixed, Named, dump_yaml
from polytask.data.cleaning import Cleaning
from polytask.heads import HEADS
from polytask.tasks import task_section

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))
REST: dict[str, object] = {
    "encoder": {"kind": "scratch", "layers": 1, "width": 16, "vocabulary": 128, "max_tokens": 32},
    "data": {
        name: {"train": f"{name}.jsonl", "dev": f"{name}.jsonl"} for name in ("messages", "pairs")
    },
    "train": {"max_steps": 2, "device": "cpu"},
}
KINDS = tuple(sorted(HEADS))


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def sections(text: str, level: str) -> dict[str, str]:
    """Text below each heading of a level, by the heading without its backquotes."""
    found = re.split(rf"^{level} (.+)$", text, flags=re.MULTILINE)[1:]
    return {
        title.replace("`", ""): body for title, body in zip(found[::2], found[1::2], strict=True)
    }


def rows(text: str) -> Iterator[list[str]]:
    """The cells of the tables of a text, without their heads."""
    is_body = False
    for line in text.splitlines():
        is_body = line.startswith("|") and (is_body or line.startswith("|---"))
        if is_body and not line.startswith("|---"):
            yield [cell.strip() for cell in line.strip("|").split(" | ")]


def silent() -> Console:
    return Console(file=io.StringIO())


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def yaml_blocks() -> list[tuple[str, str]]:
    pages = [*PAGES, ROOT / "README.md"]
    return [(p.name, block) for p in pages for block in blocks(p.read_text("utf-8"), "yaml")]


def experiment_of(folder: Path, fragment: str) -> Path:
    """A file with the fragment as it stands, then the sections that it lacks."""
    rest = {key: value for key, value in REST.items() if key not in yaml.safe_load(fragment)}
    file = folder / "service.yaml"
    file.write_text(fragment + dump_yaml(rest) if rest else fragment, encoding="utf-8")
    return file


@pytest.mark.parametrize("name", [p.name for p in PAGES if blocks(p.read_text("utf-8"), "python")])
def test_the_python_of_a_page_runs_from_top_to_bottom(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": name}

    for block in blocks(page(name), "python"):
        exec(compile(block, name, "exec"), namespace)  # noqa: S102


@pytest.mark.parametrize(("name", "fragment"), yaml_blocks())
def test_the_yaml_of_a_page_is_accepted(name: str, fragment: str, tmp_path: Path) -> None:
    experiment = read_experiment(experiment_of(tmp_path, fragment))

    assert [task.name for task in experiment.tasks] == list(yaml.safe_load(fragment)["tasks"])


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_of_task_reads_and_answers_as_the_page_shows(kind: str, tmp_path: Path) -> None:
    text = sections(page("tasks.md"), "##")[f"kind: {kind}"]
    (data,), (answer,) = blocks(text, "jsonl"), blocks(text, "json")
    (tmp_path / "messages.jsonl").write_text(data, encoding="utf-8")
    experiment = experiment_of(tmp_path, blocks(text, "yaml")[0])
    shown = cast(dict[str, dict[str, object]], json.loads(answer))
    (task,) = shown
    (asked,) = re.findall(r"The answer to `(.+?)`", text)

    train(experiment, out=tmp_path / "run", console=silent())

    given = load(tmp_path / "run")(json.loads(asked) if asked.startswith("{") else asked)
    assert given.keys() == shown.keys()
    assert list(given[task]) == list(shown[task])
    assert given[task].get("words") == shown[task].get("words")
    scores = evaluate(tmp_path / "run", split="dev").scores[task]
    assert [cells[0].strip("`") for cells in rows(text)] == list(scores.metrics)


def documented(text: str) -> dict[str, object]:
    """Default by key, as the tables of a text give it; `...` for a key that is required."""
    words = {"required": ..., "none": None}
    return {
        key.strip("`"): words[default] if default in words else yaml.safe_load(default.strip("`"))
        for key, default, _ in rows(text)
    }


def defaults(component: Component) -> dict[str, object]:
    return {
        name: ... if parameter.default is None else parameter.default()
        for name, parameter in parameters_of(component).items()
    }


def known() -> Iterator[tuple[str, str | None, Component]]:
    """Section, sub-section and component of everything that has keys."""
    yield "data", "clean", Cleaning
    yield "tasks", None, task_section
    yield "balancing", None, gradient_section
    for name, part in layout().items():
        item = part.item if isinstance(part, Named) else part
        if isinstance(item, Fixed):
            yield name, None, item.component
        elif isinstance(item, Chosen):
            yield from ((name, f"kind: {kind}", made) for kind, made in item.kinds.items())


@pytest.mark.parametrize(("section", "part", "component"), list(known()))
def test_every_key_is_documented_with_its_default(
    section: str, part: str | None, component: Component
) -> None:
    text = sections(page("experiment_file.md"), "##")[section]
    head, parts = re.split(r"^### ", text, flags=re.MULTILINE)[0], sections(text, "###")

    assert documented(head if part is None else parts[part]) == defaults(component)


def test_the_page_of_the_experiment_file_has_a_heading_for_every_section() -> None:
    assert list(sections(page("experiment_file.md"), "##")) == list(layout())


def test_every_command_is_documented() -> None:
    shown = {cells[0].strip("`").split()[1] for cells in rows(page("index.md"))}

    assert shown == set(getattr(get_command(app), "commands"))  # noqa: B009


def test_a_run_folder_holds_the_files_and_events_that_the_page_shows(tmp_path: Path) -> None:
    run = tmp_path / "run"
    overrides = ["train.max_steps=1", "checkpoints.every_steps=1"]

    train(polytask.sample("chinese"), out=run, overrides=overrides, console=silent())

    files, journal = page("run_folder.md").split("## The journal")
    outer, inner = files.split("| file of `model/`")
    assert {cells[0].strip("`") for cells in rows(outer)} == {
        file.name + "/" * file.is_dir() for file in run.iterdir()
    }
    assert {cells[0].strip("`") for cells in rows(inner)} == {
        file.name for file in (run / "model").iterdir()
    }
    written: dict[str, set[str]] = {}
    for line in (run / "journal.jsonl").read_text(encoding="utf-8").splitlines():
        event = cast(Mapping[str, object], json.loads(line))
        written.setdefault(str(event["event"]), set()).update(event.keys() - {"event"})
    assert {c[0].strip("`"): set(re.findall(r"`(\w+)`", c[2])) for c in rows(journal)} == written


def test_the_readme_of_the_samples_counts_right() -> None:
    folder = ROOT / "src" / "polytask" / "samples"
    counted: dict[str, list[list[int]]] = {}
    for file in sorted(folder.glob("helpdesk/*/*.jsonl")):
        read = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        labels = ("tags", "intent", "sentiment", "urgency")
        sizes = [len(read), sum(len(row["words"]) for row in read)]
        missing = [sum(label not in row for row in read) for label in labels]
        counted[file.relative_to(folder).as_posix()] = [sizes, missing]

    shown: dict[str, list[list[int]]] = {}
    for cells in rows((folder / "README.md").read_text(encoding="utf-8")):
        if cells[0].endswith(".jsonl`"):
            numbers = [int(cell) for cell in cells[1:] if cell.isdecimal()]
            shown.setdefault(cells[0].strip("`"), []).append(numbers)
    assert shown == counted
