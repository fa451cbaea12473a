"""Whatever an experiment file holds, it is bound or refused with a ConfigError, and quickly."""

from pathlib import Path
from typing import Annotated, Literal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import Field

from polytask.config.document import read_document
from polytask.config.experiment import (
    Chosen,
    Fixed,
    Named,
    bind_experiment,
    dump_yaml,
    resolved,
)
from polytask.errors import ConfigError

TRAPS = [
    "no", "on", "~", "3e-5", "1.0e5", "010", "0x_", "0b", "1:30", "1:99:1", "2024-99-99", ".inf",
    "-.nan", "1__0", "=", "<<", "<<: {}", "!!int x", "!!bool", "!!python/name:os.system",
    "&a [*a]", "*a", "? a", "? [a]\n: b", "${X}", "${X:-}", "${", "$${", "%YAML 9.9", "---", "...",
    '"\\ud800"', '"\\UFFFFFFFF"', "\x85", "\u2028", "\t", "|2\n x", ">-", "'", '"', "[", "{", "]",
    "}", ":", ": ", "- ", ",", "#", "\n", "\r", "\n  ", "9" * 400, "kind: tag", "train: x",
]  # fmt: skip
VALID = """\
data: {a: &a {train: x, share: 0.5, where: {label: [no, 'y'], not: {b: c}}}, b: *a}
tasks:
  t: {kind: tag, data: a, weight: auto}
  u: {kind: tag, data: "b", weight: 1.5}
train:
  epochs: 3
"""


def data_set(
    *,
    train: str,
    share: Annotated[float, Field(ge=0, lt=1)] = 0.1,
    where: dict[str, str | list[str] | dict[str, str | list[str]]] | None = None,
    cache: Path = Path("x"),
) -> object: ...
def tag(*, data: str, weight: float | Literal["auto"] = 1.0) -> object: ...
def train(*, epochs: Annotated[int, Field(ge=1)] = 1, quick: bool = False) -> object: ...


LAYOUT = {
    "data": Named(Fixed(data_set), required=True),
    "tasks": Named(Chosen({"tag": tag}, default=None), required=True),
    "train": Fixed(train),
}


def bind_or_refuse(file: Path, content: bytes, *overrides: str) -> None:
    file.write_bytes(content)
    try:
        bound = bind_experiment(read_document(file, overrides), LAYOUT)
    except ConfigError:
        return
    data = resolved(bound)
    file.write_text(dump_yaml(data), encoding="utf-8", newline="")
    assert resolved(bind_experiment(read_document(file), LAYOUT)) == data


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz") / "x.yaml"


@settings(max_examples=500, deadline=None)
@given(st.lists(st.sampled_from(TRAPS) | st.text(max_size=5), max_size=12))
@example(["a: ", "9" * 400])
def test_any_text_is_bound_or_refused(file: Path, pieces: list[str]) -> None:
    bind_or_refuse(file, "".join(pieces).encode("utf-8", "surrogatepass"))


cuts_of_valid = st.tuples(st.integers(0, len(VALID)), st.integers(0, 6), st.sampled_from(TRAPS))


@settings(max_examples=500, deadline=None)
@given(st.lists(cuts_of_valid, max_size=4))
def test_a_valid_file_that_was_mutated_is_bound_or_refused(
    file: Path, cuts: list[tuple[int, int, str]]
) -> None:
    text = VALID
    for start, length, piece in cuts:
        text = text[:start] + piece + text[start + length :]

    bind_or_refuse(file, text.encode("utf-8", "surrogatepass"))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_bound_or_refused(file: Path, content: bytes) -> None:
    bind_or_refuse(file, content)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(["data.a.train", "tasks.t", "tasks", "train.epochs", "data.a.where.label.0"]),
    st.lists(st.sampled_from(TRAPS) | st.text(max_size=4), max_size=4).map("".join),
    st.text(st.characters(), max_size=6),
)
def test_any_override_is_bound_or_refused(file: Path, key: str, value: str, other: str) -> None:
    bind_or_refuse(file, VALID.encode(), f"{key}={value}", f"{other}={value}", other)


@pytest.mark.parametrize(
    "text",
    [
        "a: " + "[" * 2**19,
        "a: " + "{b: " * 2**17,
        "a: " + "- " * 2**18,
        "a: 1" + ":1" * 2**18,
        "a: 1" + ":1" * 2**18 + ".5",
        "a: " + "9" * 2**19,
        "a: '" + "${" * 2**18 + "'",
        "a: " + "${A:-" * 2**16,
        "a0: &a0 [x, x]" + "".join(f"\na{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 49)),
    ],
    ids=["lists", "sections", "items", "base 60", "base 60 float", "digits", "variables",
         "defaults", "billion laughs"],
)  # fmt: skip
def test_a_hostile_file_is_refused(file: Path, text: str) -> None:
    file.write_text(text)

    with pytest.raises(ConfigError):
        bind_experiment(read_document(file), LAYOUT)
