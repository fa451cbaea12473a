"""Sections of an experiment file against constructors: the signature is the schema."""

import dataclasses
import inspect
import re
import sys
import types
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast, final, get_args, get_type_hints

from pydantic import TypeAdapter, ValidationError

from polytask.config.annotations import SCALARS, SECTION, Asked, asked_by, family_of, form_of
from polytask.config.faults import Fault, shown
from polytask.config.nodes import Form, Node
from polytask.config.words import amount, mismatch
from polytask.errors import ConfigError, did_you_mean

Component = Callable[..., object]

_BOUNDS = {
    "greater_than": "a number above {gt}",
    "greater_than_equal": "a number of at least {ge}",
    "less_than": "a number below {lt}",
    "less_than_equal": "a number of at most {le}",
    "multiple_of": "a multiple of {multiple_of}",
    "too_short": "{min_length} or more entries",
    "too_long": "{max_length} or fewer entries",
    "string_too_short": "{min_length} or more characters",
    "string_too_long": "{max_length} or fewer characters",
    "string_pattern_mismatch": "text that matches {pattern}",
}


@final
@dataclass(frozen=True, slots=True)
class Parameter:
    """One key of a section: what it asks for, and what stands in for it unless it is required."""

    annotation: object
    default: Callable[[], object] | None


@final
@dataclass(frozen=True, slots=True)
class Reading:
    """What goes along while values are read: where relative paths start, and the faults so far."""

    folder: Path
    faults: list[Fault]

    def refuse(self, node: Node, message: str) -> None:
        """Add a fault at a value."""
        self.faults.append(Fault(node.place, node.path, message))


def parameters_of(component: Component) -> dict[str, Parameter]:
    """The keys that the section of a component takes, from its signature.

    Raises TypeError for a signature that is no schema: with `*args`, `**kwargs`, a positional-only
    parameter, or one without annotation.
    """
    function = cast(type[object], component).__init__ if isinstance(component, type) else component
    hints = get_type_hints(function, include_extras=True)
    factories = _factories(component)
    parameters: dict[str, Parameter] = {}
    for name, parameter in inspect.signature(component).parameters.items():
        if parameter.kind not in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            raise TypeError(f"{component!r}: '{parameter}' cannot be the key of a section.")
        if name not in hints:
            raise TypeError(f"{component!r}: the parameter '{name}' has no annotation.")
        default = factories.get(name)
        if default is None and parameter.default is not parameter.empty:
            default = _constant(parameter.default)
        parameters[name] = Parameter(hints[name], default)
    return parameters


def _factories(component: Component) -> dict[str, Callable[[], object]]:
    return {
        field.name: field.default_factory
        for field in (dataclasses.fields(component) if dataclasses.is_dataclass(component) else ())
        if field.default_factory is not dataclasses.MISSING
    }


def _constant(value: object) -> Callable[[], object]:
    return lambda: value


def read_options(
    node: Node,
    parameters: Mapping[str, Parameter],
    reading: Reading,
    besides: Collection[str] = (),
) -> dict[str, object]:
    """A value for each parameter, defaults filled in. The keys in `besides` are read elsewhere."""
    if node.form != "section":
        reading.refuse(node, mismatch(node, SECTION))
        return {}
    known = [*besides, *parameters]
    for key, entry in node.entries.items():
        if key not in known:
            message = f"unknown key '{shown(key)}'. {did_you_mean(key, known)}"
            reading.refuse(entry, message.rstrip())
    options: dict[str, object] = {}
    for name, parameter in parameters.items():
        if name in node.entries:
            options[name] = read_value(parameter.annotation, node.entries[name], reading)
        elif parameter.default is None:
            missing = Node((*node.path, name), node.place, "nothing")
            reading.refuse(missing, f"missing, expected {asked_by(parameter.annotation).words}.")
        else:
            default = parameter.default()
            options[name] = reading.folder / default if isinstance(default, Path) else default
    return options


def read_value(annotation: object, node: Node, reading: Reading) -> object:
    """The value of a node as an annotation asks for it; None, and a fault, if it is not so."""
    try:
        return _read(annotation, node, reading)
    except (ConfigError, ValueError) as error:
        reading.refuse(node, str(error))
        return None


def _read(annotation: object, node: Node, reading: Reading) -> object:
    """As `read_value`, but what is wrong with the node itself, not in what it holds, is raised."""
    arguments = get_args(annotation)
    value: object
    match family_of(annotation):
        case "bounded":
            value = _read_bounded(annotation, node, reading)
        case "either":
            value = _read_either(annotation, node, reading)
        case "choice":
            value = _read_choice(annotation, node)
        case _ if node.form not in asked_by(annotation).forms:
            raise ValueError(mismatch(node, asked_by(annotation)))
        case "list":
            value = [read_value(arguments[0], item, reading) for item in node.items]
        case "table":
            entries = node.entries.items()
            value = {key: read_value(arguments[1], entry, reading) for key, entry in entries}
        case "section":
            value = _read_dataclass(annotation, node, reading)
        case "scalar":
            value = _read_scalar(annotation, node, reading.folder)
    return value


def _read_bounded(annotation: object, node: Node, reading: Reading) -> object:
    before = len(reading.faults)
    value = _read(get_args(annotation)[0], node, reading)
    if len(reading.faults) > before:
        return None
    try:
        adapter_of(annotation).validate_python(value, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        # pydantic turns the bound 1 of a float into 1.0, where 1 was meant
        bounds = {
            name: int(bound) if isinstance(bound, float) and bound.is_integer() else bound
            for name, bound in first.get("ctx", {}).items()
        }
        words = _BOUNDS[first["type"]].format(**bounds)
        raise ValueError(f"expected {words}, got {amount(node)}.") from None
    return value


def adapter_of(annotation: object) -> TypeAdapter[object]:
    """What pydantic makes of an annotation with bounds."""
    return TypeAdapter(cast(type[object], annotation))


def _read_either(annotation: object, node: Node, reading: Reading) -> object:
    arguments = get_args(annotation)
    others = [argument for argument in arguments if argument is not types.NoneType]
    if node.form == "nothing" and len(others) < len(arguments):
        return None
    if len(others) == 1:
        return _read(others[0], node, reading)
    refusals: list[list[Fault]] = []
    for argument in others:
        trial = Reading(reading.folder, [])
        value = read_value(argument, node, trial)
        if not trial.faults:
            return value
        if node.form in asked_by(argument).forms:
            refusals.append(trial.faults)
    if not refusals or node.form == "text":
        raise ValueError(mismatch(node, asked_by(annotation)))
    fewest = min(refusals, key=len)
    reading.faults.extend(fewest)
    return None


def _read_choice(annotation: object, node: Node) -> object:
    for choice in get_args(annotation):
        if node.form == form_of(choice) and node.scalar == choice:
            return choice
    if node.form != "text":
        is_known = node.written in get_args(annotation)  # but for its quotes
        forms: frozenset[Form] = frozenset(["text"] if is_known else [])
        raise ValueError(mismatch(node, Asked(asked_by(annotation).words, forms)))
    key, text = node.path[-1], str(node.scalar)
    noun = key if isinstance(key, str) else "value"
    known = did_you_mean(text, map(str, get_args(annotation)))
    raise ValueError(f"unknown {noun} '{shown(text)}'. {known}")


def _read_dataclass(annotation: object, node: Node, reading: Reading) -> object:
    component = cast(Component, annotation)
    before = len(reading.faults)
    options = read_options(node, parameters_of(component), reading)
    return None if len(reading.faults) > before else component(**options)


def _read_scalar(annotation: object, node: Node, folder: Path) -> object:
    value, asked = node.scalar, SCALARS[annotation]
    if annotation is Path:
        if value:
            return folder / str(value)
        raise ValueError(mismatch(node, asked))
    if not isinstance(value, int | float) or isinstance(value, bool):
        return value
    if re.match(r"[-+]?0[0-9_]|.*:", node.written or ""):
        raise ValueError(f"YAML reads {node.written} as {value}. Write a plain decimal number.")
    if annotation is float and abs(value) <= sys.float_info.max:  # not so for .nan
        return float(value)
    if annotation is int and isinstance(value, int):
        return value
    words = "a finite number" if annotation is float else asked.words
    raise ValueError(mismatch(node, Asked(words, asked.forms)))
