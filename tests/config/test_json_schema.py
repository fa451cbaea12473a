"""The JSON Schema of an experiment file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from polytask.config.experiment import Chosen, Fixed, Named, json_schema


class Even:
    def __init__(self, *, labels: list[str] | None = None) -> None: ...


class Tagged:
    """Labels words."""

    def __init__(self, *, column: str = "tags", weight: float | Literal["auto"] = 1.0) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Train:
    """How long.

    More words.
    """

    epochs: Annotated[int, Field(ge=1)] = 4
    lr: float = 1e-4


def data_set(
    *,
    train: str,
    cleaned: Sequence[Train] = (),
    by_name: dict[str, Literal["a", "b"]] | None = None,
    cache: Path = Path("x"),
) -> object: ...


MIXING = Chosen({"even": Even, "tagged": Tagged}, default="even")


def test_the_json_schema_names_every_key() -> None:
    schema = json_schema({"mixing": MIXING, "train": Fixed(Train)})

    assert schema == {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "mixing": {
                "anyOf": [
                    {
                        "type": "object",
                        "properties": {
                            "kind": {"const": "even", "default": "even"},
                            "labels": {
                                "anyOf": [
                                    {"type": "array", "items": {"type": "string"}},
                                    {"type": "null"},
                                ],
                                "default": None,
                            },
                        },
                        "required": [],
                        "additionalProperties": False,
                    },
                    {
                        "type": "object",
                        "description": "Labels words.",
                        "properties": {
                            "kind": {"const": "tagged"},
                            "column": {"type": "string", "default": "tags"},
                            "weight": {
                                "anyOf": [{"type": "number"}, {"const": "auto"}],
                                "default": 1.0,
                            },
                        },
                        "required": ["kind"],
                        "additionalProperties": False,
                    },
                ]
            },
            "train": {
                "type": "object",
                "description": "How long.",
                "properties": {
                    "epochs": {"type": "integer", "minimum": 1, "default": 4},
                    "lr": {"type": "number", "default": 0.0001},
                },
                "required": [],
                "additionalProperties": False,
            },
        },
        "required": [],
        "additionalProperties": False,
    }


def test_the_json_schema_requires_what_has_no_default() -> None:
    schema = json_schema(
        {
            "named": Named(Fixed(Train), required=True),
            "optional": Named(Fixed(Train)),
            "fixed": Fixed(data_set),
            "asked": Fixed(Train, required=True),
            "chosen": Chosen({"even": Even}, default=None),
            "default": Chosen({"even": Even}, default="even"),
            "needy": Chosen({"set": data_set}, default="set"),
        }
    )

    assert schema["required"] == ["named", "fixed", "asked", "chosen", "needy"]


def test_the_json_schema_of_names_says_which_are_allowed() -> None:
    schema = Named(Fixed(Train), required=True).schema()

    assert schema["propertyNames"] == {"pattern": "^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"}
    assert schema["minProperties"] == 1


def test_the_json_schema_spells_out_sections_in_sections() -> None:
    properties = Fixed(data_set).schema()["properties"]

    assert properties == {
        "train": {"type": "string"},
        "cleaned": {
            "type": "array",
            "items": {
                "type": "object",
                "description": "How long.",
                "properties": {
                    "epochs": {"type": "integer", "minimum": 1, "default": 4},
                    "lr": {"type": "number", "default": 0.0001},
                },
                "required": [],
                "additionalProperties": False,
            },
            "default": [],
        },
        "by_name": {
            "anyOf": [
                {"type": "object", "additionalProperties": {"enum": ["a", "b"]}},
                {"type": "null"},
            ],
            "default": None,
        },
        "cache": {"type": "string", "default": "x"},
    }
