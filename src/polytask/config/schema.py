"""JSON Schema of the sections of an experiment file, for the completion and checks of editors."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import cast, get_args

from polytask.config.annotations import family_of
from polytask.config.binding import Component, Parameter, adapter_of, parameters_of

Schema = dict[str, object]

_SCALARS: dict[object, str] = {
    str: "string",
    Path: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    type(None): "null",
}


def section_schema(component: Component, parameters: Mapping[str, Parameter]) -> Schema:
    """An object with these keys and no others, described by the first line of the docstring."""
    properties = {}
    for name, parameter in parameters.items():
        default = {} if parameter.default is None else {"default": plain(parameter.default())}
        properties[name] = value_schema(parameter.annotation) | default
    about = (component.__doc__ or "").strip().partition("\n")[0]
    is_written = about and not about.startswith(f"{getattr(component, '__name__', '')}(")
    return {
        "type": "object",
        **({"description": about} if is_written else {}),  # @dataclass makes one up
        "properties": properties,
        "required": [name for name, parameter in parameters.items() if parameter.default is None],
        "additionalProperties": False,
    }


def value_schema(annotation: object) -> Schema:
    """What an annotation allows."""
    arguments = get_args(annotation)
    schema: Schema
    match family_of(annotation):
        case "bounded":
            bounds = adapter_of(annotation).json_schema()
            schema = value_schema(arguments[0])
            schema |= {} if "$defs" in bounds else bounds
        case "either":
            schema = {"anyOf": [value_schema(argument) for argument in arguments]}
        case "choice":
            schema = {"enum": list(arguments)} if arguments[1:] else {"const": arguments[0]}
        case "list":
            schema = {"type": "array", "items": value_schema(arguments[0])}
        case "table":
            schema = {"type": "object", "additionalProperties": value_schema(arguments[1])}
        case "section":
            component = cast(Component, annotation)
            schema = section_schema(component, parameters_of(component))
        case "scalar":
            schema = {"type": _SCALARS[annotation]}
    return schema


def plain(value: object) -> object:
    """The value as dictionaries, lists and scalars: dataclasses by field, paths as text."""
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if dataclasses.is_dataclass(value):
        fields = [field.name for field in dataclasses.fields(value) if field.init]
        return {name: plain(getattr(value, name)) for name in fields}
    raise TypeError(f"{value!r} cannot be written to an experiment file.")
