"""Whole experiment files: all faults at once, defaults written out, the round trip."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from polytask.config.document import read_document
from polytask.config.experiment import (
    Bound,
    Chosen,
    Fixed,
    Named,
    bind_experiment,
    dump_yaml,
    resolved,
)
from polytask.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Cleaning:
    form: Literal["NFC", "NFKC"] | None = None
    marks: Sequence[str] = ()


class DataSet:
    """Where the records are.

    More words.
    """

    def __init__(
        self, *, train: str, cache: Path = Path("cache"), clean: Cleaning | None = None
    ) -> None:
        self.train = train
        if train == "nowhere":
            raise ValueError("nowhere is no place.")


class Tag:
    """Labels words."""

    def __init__(self, *, column: str = "tags", weight: float | Literal["auto"] = 1.0) -> None:
        self.column = column


class Classify:
    def __init__(self, *, labels: list[str] | None = None) -> None:
        self.labels = labels


def task(*, data: str, auxiliary: bool = False) -> None:
    """What every task says beside its kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Train:
    """How long."""

    epochs: Annotated[int, Field(ge=1)] = 4
    lr: float = 1e-4


LAYOUT = {
    "data": Named(Fixed(DataSet), required=True),
    "tasks": Named(
        Chosen({"classify": Classify, "tag": Tag}, default=None, common=task), required=True
    ),
    "mixing": Chosen({"even": Classify, "tagged": Tag}, default="even"),
    "train": Fixed(Train),
}
VALID = """\
data:
  reviews: {train: a.jsonl, clean: {form: NFC}}
tasks:
  sentiment: {kind: tag, data: reviews, weight: 2}
train:
"""


def bind(folder: Path, text: str, *overrides: str) -> dict[str, Bound | dict[str, Bound]]:
    file = folder / "service.yaml"
    file.write_text(text)
    return bind_experiment(read_document(file, overrides), LAYOUT)


def refusal(folder: Path, text: str, *overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as error:
        bind(folder, text, *overrides)
    return str(error.value).replace(f"{folder}/", "").split("\n")


def one(section: Bound | dict[str, Bound]) -> Bound:
    assert isinstance(section, Bound)
    return section


def named(section: Bound | dict[str, Bound], name: str) -> Bound:
    assert isinstance(section, dict)
    return section[name]


def test_a_section_of_a_kind_has_its_options_and_the_common_ones_apart(tmp_path: Path) -> None:
    sentiment = named(bind(tmp_path, VALID)["tasks"], "sentiment")

    assert (sentiment.path, sentiment.kind) == (("tasks", "sentiment"), "tag")
    assert sentiment.where == f"{tmp_path}/service.yaml:4"
    assert sentiment.options == {"column": "tags", "weight": 2.0}
    assert sentiment.common == {"data": "reviews", "auxiliary": False}


def test_a_bound_section_builds_its_component(tmp_path: Path) -> None:
    tag = named(bind(tmp_path, VALID)["tasks"], "sentiment").build()

    assert isinstance(tag, Tag)
    assert tag.column == "tags"


def test_absent_and_empty_sections_get_their_defaults(tmp_path: Path) -> None:
    bound = bind(tmp_path, VALID)

    assert one(bound["train"]).build() == Train(epochs=4, lr=1e-4)
    assert (one(bound["mixing"]).kind, one(bound["mixing"]).options) == ("even", {"labels": None})


def test_what_a_constructor_refuses_says_where(tmp_path: Path) -> None:
    bound = named(bind(tmp_path, VALID, "data.reviews.train=nowhere")["data"], "reviews")

    with pytest.raises(ConfigError) as error:
        bound.build()

    assert str(error.value) == f"{tmp_path}/service.yaml:2: data.reviews: nowhere is no place."


def test_all_faults_of_a_file_are_told_at_once_in_its_order(tmp_path: Path) -> None:
    text = """\
data:
  reviews: {train: no}
  "my set": {train: a}
tasks:
  entities:
    kind: tagg
  intent:
    kind: tag
    auxilary: yes
  topic: {data: reviews}
  x: tag
mixin: even
mixing: tagged
train:
  lr: 3e-5
  epochs: 2
"""

    assert refusal(tmp_path, text, "train.epochs=0") == [
        "service.yaml:2: data.reviews.train: expected text, got the boolean no. "
        "Put it in quotes: 'no'.",
        "service.yaml:3: data.my set: 'my set' cannot be a name. "
        "Use 1 to 64 of A-Z a-z 0-9 _ -, the first a letter or a digit.",
        "service.yaml:6: tasks.entities.kind: unknown kind 'tagg'. Did you mean 'tag'? "
        "Known: classify, tag.",
        "service.yaml:7: tasks.intent.data: missing, expected text.",
        "service.yaml:9: tasks.intent.auxilary: unknown key 'auxilary'. "
        "Did you mean 'auxiliary'? Known: kind, data, auxiliary, column, weight.",
        "service.yaml:10: tasks.topic.kind: missing. Known: classify, tag.",
        "service.yaml:11: tasks.x: expected a section, got the text 'tag'. Write {kind: tag}.",
        "service.yaml:12: mixin: unknown key 'mixin'. Did you mean 'mixing'? "
        "Known: data, tasks, mixing, train.",
        "service.yaml:13: mixing: expected a section, got the text 'tagged'. Write {kind: tagged}.",
        "service.yaml:15: train.lr: expected a number, got the text '3e-5'. "
        "YAML wants a dot: 3.0e-5.",
        "--set train.epochs: expected a number of at least 1, got 0.",
    ]


def test_required_sections_must_be_there(tmp_path: Path) -> None:
    assert refusal(tmp_path, "data:\ntrain: {}") == [
        "service.yaml:1: data: missing, expected at least one name with a section of its own.",
        "service.yaml:1: tasks: missing, expected at least one name with a section of its own.",
    ]
    assert refusal(tmp_path, "data: [a]\ntasks: 3")[:2] == [
        "service.yaml:1: data: expected a section, got a list.",
        "service.yaml:2: tasks: expected a section, got the number 3.",
    ]
    file = tmp_path / "x.yaml"
    file.write_text("b: {}")
    layout = {"a": Fixed(Train, required=True), "b": Chosen({"tag": Tag}, default=None)}
    with pytest.raises(ConfigError) as error:
        bind_experiment(read_document(file), layout)
    assert str(error.value) == (
        f"{file}:1: a: missing, expected a section.\n{file}:1: b.kind: missing. Known: tag."
    )


@pytest.mark.parametrize("name", ["a", "A-1_b", "9", "x" * 64])
def test_a_plain_name_is_accepted(tmp_path: Path, name: str) -> None:
    text = f"data: {{'{name}': {{train: a}}}}\ntasks: {{'{name}': {{kind: tag, data: a}}}}"

    assert named(bind(tmp_path, text)["tasks"], name).kind == "tag"


@pytest.mark.parametrize("name", ["", "-a", "_a", "a.b", "a/b", "é", "x" * 65, "a\\n", "../a"])
def test_a_name_that_could_be_no_folder_is_refused(tmp_path: Path, name: str) -> None:
    text = f'data: {{"{name}": {{train: a}}}}\ntasks: {{a: {{kind: tag, data: a}}}}'

    assert len(refusal(tmp_path, text)) == 1


def test_a_component_may_not_take_a_key_of_its_section_twice(tmp_path: Path) -> None:
    def clashing(*, data: str = "") -> object: ...
    def taking_kind(*, kind: str = "") -> object: ...

    for component in (clashing, taking_kind):
        with pytest.raises(TypeError, match="already has a key"):
            Chosen({"x": component}, default="x", common=task).schema()


def test_the_resolved_experiment_has_every_default(tmp_path: Path) -> None:
    assert resolved(bind(tmp_path, VALID)) == {
        "data": {
            "reviews": {
                "train": "a.jsonl",
                "cache": f"{tmp_path}/cache",
                "clean": {"form": "NFC", "marks": []},
            }
        },
        "tasks": {
            "sentiment": {
                "kind": "tag",
                "data": "reviews",
                "auxiliary": False,
                "column": "tags",
                "weight": 2.0,
            }
        },
        "mixing": {"kind": "even", "labels": None},
        "train": {"epochs": 4, "lr": 0.0001},
    }


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
yaml_traps = st.sampled_from(
    ["no", "y", "~", "3e-5", "010", "1:30", "0o7", "2024-01-01", "<<", "=", "${A}", "$${", "", " "]
)


@given(st.lists(texts | yaml_traps), texts | yaml_traps, st.floats(0, 1e300), st.booleans())
def test_a_resolved_experiment_reads_back_the_same(
    tmp_path_factory: pytest.TempPathFactory,
    labels: list[str],
    train: str,
    lr: float,
    auxiliary: bool,
) -> None:
    file = tmp_path_factory.getbasetemp() / "round.yaml"
    task_section = {"kind": "classify", "data": "a", "auxiliary": auxiliary, "labels": labels}
    file.write_text(
        dump_yaml(
            {"data": {"a": {"train": train}}, "tasks": {"t": task_section}, "train": {"lr": lr}}
        ),
        encoding="utf-8",
    )
    first = resolved(bind_experiment(read_document(file), LAYOUT))

    file.write_text(dump_yaml(first), encoding="utf-8")

    assert resolved(bind_experiment(read_document(file), LAYOUT)) == first


def test_reading_experiment_files_does_not_load_torch() -> None:
    code = "import sys, polytask.config.experiment; assert 'torch' not in sys.modules"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
