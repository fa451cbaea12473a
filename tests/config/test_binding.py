"""Sections against signatures: what is accepted, and the words in which the rest is refused."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field

from polytask.config.binding import parameters_of
from polytask.config.document import read_document
from polytask.config.experiment import Bound, Fixed, bind_experiment
from polytask.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Cleaning:
    form: Literal["NFC", "NFKC"] | None = None
    longest: Annotated[int, Field(ge=1)] = 3
    marks: list[str] = field(default_factory=lambda: ["!"])

    def __post_init__(self) -> None:
        if self.form and self.longest > 9:
            raise ValueError("longest above 9 needs no form.")


def texts(*, text: str = "", path: Path = Path("runs"), flag: bool = False) -> object: ...
def numbers(*, count: int = 1, rate: float = 1.0) -> object: ...
def choices(*, pooling: Literal["mean", "max"] = "mean", vote: Literal["yes", 2] = 2) -> object: ...
def bounds(
    *,
    epochs: Annotated[int, Field(ge=1)] = 1,
    share: Annotated[float, Field(gt=0, lt=1)] = 0.5,
    most: Annotated[float, Field(le=2.5)] | None = None,
    even: Annotated[int, Field(multiple_of=2)] = 2,
    few: Annotated[list[int], Field(min_length=1, max_length=2)] = [1],  # noqa: B006
    code: Annotated[str, Field(pattern="^[a-z]+$", max_length=3)] = "en",
    name: Annotated[str, Field(min_length=1)] = "x",
) -> object: ...
def nested(
    *,
    clean: Cleaning | None = None,
    steps: list[Cleaning] | None = None,
    by_name: dict[str, Cleaning] | None = None,
    own: Cleaning = Cleaning(),
) -> object: ...
def unions(
    *,
    weight: float | Literal["auto"] = "auto",
    where: dict[str, str | list[str] | dict[str, str]] | None = None,
    size: int | float | bool | None = None,
    some: Annotated[int, Field(ge=1)] | list[int] = 1,
    layers: Sequence[int] = (),
    table: Mapping[str, int] | None = None,
) -> object: ...
def needy(*, train: str, limit: int) -> object: ...


class Plain:
    """Without a constructor of its own."""


def bind(tmp_path: Path, component: Callable[..., object], section: str) -> dict[str, object]:
    file = tmp_path / "x.yaml"
    file.write_text(f"s: {section}")
    bound = bind_experiment(read_document(file), {"s": Fixed(component)})["s"]
    assert isinstance(bound, Bound)
    return bound.options


@pytest.mark.parametrize(
    ("component", "section", "name", "expected"),
    [
        (texts, "{text: 'no'}", "text", "no"),
        (texts, "{flag: off}", "flag", False),
        (numbers, "{count: 1_000}", "count", 1000),
        (numbers, "{rate: 3.0e-5}", "rate", 3e-5),
        (choices, "{vote: 'yes'}", "vote", "yes"),
        (choices, "{vote: 2}", "vote", 2),
        (bounds, "{most: null}", "most", None),
        (nested, "{clean: {form: NFC}}", "clean", Cleaning("NFC", 3, ["!"])),
        (nested, "{clean: ~}", "clean", None),
        (nested, "{steps: [{}, {longest: 1}]}", "steps", [Cleaning(), Cleaning(longest=1)]),
        (nested, "{by_name: {a: {marks: []}}}", "by_name", {"a": Cleaning(marks=[])}),
        (nested, "{}", "own", Cleaning()),
        (unions, "{weight: 2}", "weight", 2.0),
        (unions, "{weight: auto}", "weight", "auto"),
        (unions, "{where: {a: x, b: [y], c: {not: z}}}", "where",
         {"a": "x", "b": ["y"], "c": {"not": "z"}}),
        (unions, "{size: yes}", "size", True),
        (unions, "{layers: [1, 2]}", "layers", [1, 2]),
        (unions, "{table: {a: 1}}", "table", {"a": 1}),
    ],
)  # fmt: skip
def test_a_value_of_the_right_form_is_accepted(
    tmp_path: Path, component: Callable[..., object], section: str, name: str, expected: object
) -> None:
    assert bind(tmp_path, component, section)[name] == expected


def test_a_whole_number_becomes_a_float_where_a_number_is_asked(tmp_path: Path) -> None:
    assert isinstance(bind(tmp_path, numbers, "{rate: 1}")["rate"], float)


def test_paths_start_at_the_folder_of_the_file(tmp_path: Path) -> None:
    assert bind(tmp_path, texts, "{path: a/b}")["path"] == tmp_path / "a/b"
    assert bind(tmp_path, texts, "{path: /a/b}")["path"] == Path("/a/b")
    assert bind(tmp_path, texts, "{}")["path"] == tmp_path / "runs"


def test_a_section_of_a_class_without_constructor_is_empty(tmp_path: Path) -> None:
    assert bind(tmp_path, Plain, "") == {}


@pytest.mark.parametrize(
    ("component", "section", "message"),
    [
        # text
        (texts, "{text: no}", "text: expected text, got the boolean no. Put it in quotes: 'no'."),
        (texts, "{text: 010}", "text: expected text, got the number 010. Put it in quotes: '010'."),
        (texts, "{text: 1:30}", "text: expected text, got the number 1:30. "
         "Put it in quotes: '1:30'."),
        (texts, "{text: 2024-02-31}", "text: expected text, got the date 2024-02-31. "
         "Put it in quotes: '2024-02-31'."),
        (texts, "{text: null}", "text: expected text, got null. Put it in quotes: 'null'."),
        (texts, "{text: }", "text: expected text, got nothing."),
        (texts, "{text: [a]}", "text: expected text, got a list."),
        (texts, "{path: ''}", "path: expected a path, got the text ''."),
        (texts, "{path: 3}", "path: expected a path, got the number 3. Put it in quotes: '3'."),
        (texts, "{flag: 'true'}", "flag: expected true or false, got the text 'true'. "
         "Take the quotes away: true."),
        (texts, "{flag: 1}", "flag: expected true or false, got the number 1."),
        # numbers
        (numbers, "{rate: 3e-5}", "rate: expected a number, got the text '3e-5'. "
         "YAML wants a dot: 3.0e-5."),
        (numbers, "{rate: 2e6}", "rate: expected a number, got the text '2e6'. "
         "YAML wants a dot: 2.0e+6."),
        (numbers, "{rate: 1.5e6}", "rate: expected a number, got the text '1.5e6'. "
         "YAML wants a sign before the exponent: 1.5e+6."),
        (numbers, "{rate: '0.5'}", "rate: expected a number, got the text '0.5'. "
         "Take the quotes away: 0.5."),
        (numbers, "{rate: fast}", "rate: expected a number, got the text 'fast'."),
        (numbers, "{rate: yes}", "rate: expected a number, got the boolean yes."),
        (numbers, "{rate: .inf}", "rate: expected a finite number, got the number .inf."),
        (numbers, "{rate: .nan}", "rate: expected a finite number, got the number .nan."),
        (numbers, "{count: 1.0}", "count: expected a whole number, got the number 1.0."),
        (numbers, "{count: true}", "count: expected a whole number, got the boolean true."),
        (numbers, "{count: 010}", "count: YAML reads 010 as 8. Write a plain decimal number."),
        (numbers, "{count: 1:30}", "count: YAML reads 1:30 as 90. Write a plain decimal number."),
        (numbers, f"{{text: 1, count: {'x' * 99}}}", "text: unknown key 'text'. "
         "Known: count, rate.\n"
         f"count: expected a whole number, got the text '{'x' * 59}…'."),
        # choices
        (choices, "{pooling: meen}", "pooling: unknown pooling 'meen'. Did you mean 'mean'? "
         "Known: mean, max."),
        (choices, "{pooling: 3}", "pooling: expected one of mean, max, got the number 3."),
        (choices, "{vote: yes}", "vote: expected one of yes, 2, got the boolean yes. "
         "Put it in quotes: 'yes'."),
        # bounds
        (bounds, "{epochs: 0}", "epochs: expected a number of at least 1, got 0."),
        (bounds, "{epochs: x}", "epochs: expected a whole number, got the text 'x'."),
        (bounds, "{share: 0}", "share: expected a number above 0, got 0."),
        (bounds, "{share: 1.0}", "share: expected a number below 1, got 1.0."),
        (bounds, "{most: 3}", "most: expected a number of at most 2.5, got 3."),
        (bounds, "{even: 3}", "even: expected a multiple of 2, got 3."),
        (bounds, "{few: []}", "few: expected 1 or more entries, got 0."),
        (bounds, "{few: [1, 2, 3]}", "few: expected 2 or fewer entries, got 3."),
        (bounds, "{few: [x]}", "few.0: expected a whole number, got the text 'x'."),
        (bounds, "{code: E}", "code: expected text that matches ^[a-z]+$, got the text 'E'."),
        (bounds, "{code: engl}", "code: expected 3 or fewer characters, got the text 'engl'."),
        (bounds, "{name: ''}", "name: expected 1 or more characters, got the text ''."),
        # sections in sections
        (nested, "{clean: 3}", "clean: expected a section, got the number 3."),
        (nested, "{own: null}", "own: expected a section, got null."),
        (nested, "{clean: {fom: NFC}}", "clean.fom: unknown key 'fom'. Did you mean 'form'? "
         "Known: form, longest, marks."),
        (nested, "{steps: [{longest: 0}]}", "steps.0.longest: expected a number of at least 1, "
         "got 0."),
        (nested, "{steps: {}}", "steps: expected a list, got a section."),
        (nested, "{by_name: {a: {form: NFC, longest: 10}}}", "by_name.a: longest above 9 needs no "
         "form."),
        # unions
        (unions, "{weight: 3e-5}", "weight: expected a number or one of auto, "
         "got the text '3e-5'. YAML wants a dot: 3.0e-5."),
        (unions, "{where: {a: 3}}", "where.a: expected text, a list or a section, "
         "got the number 3. Put it in quotes: '3'."),
        (unions, "{where: {a: [3]}}", "where.a.0: expected text, got the number 3. "
         "Put it in quotes: '3'."),
        (unions, "{some: 0}", "some: expected a number of at least 1, got 0."),
        (unions, "{layers: 3}", "layers: expected a list, got the number 3."),
        # keys
        (needy, "{trian: x}", "trian: unknown key 'trian'. Did you mean 'train'? "
         "Known: train, limit.\n"
         "train: missing, expected text.\n"
         "limit: missing, expected a whole number."),
        (needy, "x", "expected a section, got the text 'x'."),
    ],
)  # fmt: skip
def test_a_value_of_the_wrong_form_is_refused_in_plain_words(
    tmp_path: Path, component: Callable[..., object], section: str, message: str
) -> None:
    with pytest.raises(ConfigError) as error:
        bind(tmp_path, component, section)

    place = f"{tmp_path / 'x.yaml'}:1: s"
    lines = [
        f"{place}: {line}" if line.startswith("expected") else f"{place}.{line}"
        for line in message.split("\n")
    ]
    assert str(error.value) == "\n".join(lines)


def _untyped(a) -> object: ...  # type: ignore[no-untyped-def]
def _several(*a: int) -> object: ...
def _keywords(**a: int) -> object: ...
def _positional(a: int, /) -> object: ...


@pytest.mark.parametrize("component", [_untyped, _several, _keywords, _positional])
def test_a_signature_that_is_no_schema_is_an_error_of_its_author(
    component: Callable[..., object],
) -> None:
    with pytest.raises(TypeError):
        parameters_of(component)


def _bytes(*, a: bytes = b"") -> object: ...
def _numbered(*, a: dict[int, str] | None = None) -> object: ...


@pytest.mark.parametrize("component", [_bytes, _numbered])
def test_an_annotation_that_yaml_cannot_hold_is_an_error_of_its_author(
    tmp_path: Path, component: Callable[..., object]
) -> None:
    with pytest.raises(TypeError, match="cannot be read from an experiment file"):
        bind(tmp_path, component, "{a: {}}")
