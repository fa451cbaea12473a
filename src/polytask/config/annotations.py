"""The annotations that a parameter can have, and what each asks of a value in the file."""

import dataclasses
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Union, final, get_args, get_origin

from polytask.config.nodes import Form

Family = Literal["bounded", "either", "choice", "list", "table", "section", "scalar"]


@final
@dataclass(frozen=True, slots=True)
class Asked:
    """What an annotation asks for: in words, and the forms of YAML value that can be it."""

    words: str
    forms: frozenset[Form]


_FAMILIES: dict[object, Family] = {
    Annotated: "bounded",
    Union: "either",
    types.UnionType: "either",
    Literal: "choice",
    list: "list",
    Sequence: "list",
    dict: "table",
    Mapping: "table",
}
SCALARS: dict[object, Asked] = {
    str: Asked("text", frozenset(["text"])),
    Path: Asked("a path", frozenset(["text"])),
    bool: Asked("true or false", frozenset(["boolean"])),
    int: Asked("a whole number", frozenset(["number"])),
    float: Asked("a number", frozenset(["number"])),
    types.NoneType: Asked("nothing", frozenset(["nothing"])),
}
_LIST = Asked("a list", frozenset(["list"]))
SECTION = Asked("a section", frozenset(["section"]))


def family_of(annotation: object) -> Family:
    """Which of the few families an annotation belongs to. TypeError: no YAML value is like that."""
    family = _FAMILIES.get(get_origin(annotation))
    if family == "table" and get_args(annotation)[0] is not str:
        family = None
    if family is None and annotation in SCALARS:
        family = "scalar"
    if family is None and isinstance(annotation, type) and dataclasses.is_dataclass(annotation):
        family = "section"
    if family is None:
        raise TypeError(f"{annotation!r} cannot be read from an experiment file.")
    return family


def asked_by(annotation: object) -> Asked:
    """What an annotation asks for."""
    arguments = get_args(annotation)
    match family_of(annotation):
        case "bounded":
            asked = asked_by(arguments[0])
        case "either":
            parts = [asked_by(argument) for argument in arguments]
            *first, last = dict.fromkeys(part.words for part in parts)
            words = f"{', '.join(first)} or {last}" if first else last
            asked = Asked(words, frozenset().union(*(part.forms for part in parts)))
        case "choice":
            words = f"one of {', '.join(str(value) for value in arguments)}"
            asked = Asked(words, frozenset(form_of(value) for value in arguments))
        case "list":
            asked = _LIST
        case "table" | "section":
            asked = SECTION
        case "scalar":
            asked = SCALARS[annotation]
    return asked


def form_of(value: object) -> Form:
    """The form in which YAML holds a scalar."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "boolean"
    return "text" if isinstance(value, str) else "number"
