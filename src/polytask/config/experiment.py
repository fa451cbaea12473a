"""An experiment file against the layout of its sections, and back to YAML."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, final

import yaml

from polytask.config.annotations import SECTION
from polytask.config.binding import (
    Component,
    Parameter,
    Reading,
    parameters_of,
    read_options,
    read_value,
)
from polytask.config.document import Document
from polytask.config.faults import KeyPath, dotted, raise_faults, shown
from polytask.config.nodes import Node
from polytask.config.schema import Schema, plain, section_schema
from polytask.config.words import mismatch
from polytask.errors import ConfigError, did_you_mean

_NAME = "[A-Za-z0-9][A-Za-z0-9_-]{0,63}"
_QUOTED = re.compile(r"[yYnN]|[-+]?\.?[0-9]\S*")  # other readers see 3e-5, 0o7, y otherwise


@final
@dataclass(frozen=True, slots=True)
class Bound:
    """One section whose options are checked and complete, ready to be built."""

    path: KeyPath
    where: str
    kind: str | None
    component: Component
    options: dict[str, object]
    common: dict[str, object]

    def build(self) -> object:
        """The component with its options. Raises ConfigError, saying where, for what it refuses."""
        try:
            return self.component(**self.options)
        except (ConfigError, ValueError) as error:
            raise ConfigError(f"{self.where}: {dotted(self.path)}: {error}") from error


@final
@dataclass(frozen=True, slots=True)
class Fixed:
    """A section that always makes the same component."""

    component: Component
    required: bool = False

    @property
    def is_needed(self) -> bool:
        """Whether the section cannot be left out."""
        return self.required or _has_required(parameters_of(self.component))

    def bind(self, node: Node, reading: Reading) -> Bound:
        """The section with every option; faults go to the reading."""
        options: dict[str, object] = {}
        if self.required and node.form == "nothing":
            reading.refuse(node, "missing, expected a section.")
        else:
            options = read_options(_filled(node), parameters_of(self.component), reading)
        return Bound(node.path, node.place.text, None, self.component, options, {})

    def schema(self) -> Schema:
        """JSON Schema of the section."""
        return section_schema(self.component, parameters_of(self.component))


@final
@dataclass(frozen=True, slots=True)
class Chosen:
    """A section whose key `kind` picks the component.

    The parameters of `common` are keys that stand beside the component's own, whatever the kind,
    or for the kinds of which `has_common` is true.
    """

    kinds: Mapping[str, Component]
    default: str | None
    common: Component | None = None
    has_common: Callable[[Component], bool] = lambda _: True

    @property
    def is_needed(self) -> bool:
        """Whether the section cannot be left out."""
        return self.default is None or any(map(_has_required, self._parameters(self.default)))

    def bind(self, node: Node, reading: Reading) -> Bound:
        """The section with every option; faults go to the reading."""
        section = _filled(node)
        kind = self._kind(section, reading)
        if kind is None:  # its fault is raised before anyone sees this
            return Bound(node.path, node.place.text, None, dict, {}, {})
        own, common = self._parameters(kind)
        values = read_options(section, common | own, reading, besides=["kind"])
        options = {name: value for name, value in values.items() if name in own}
        beside = {name: value for name, value in values.items() if name in common}
        return Bound(node.path, node.place.text, kind, self.kinds[kind], options, beside)

    def schema(self) -> Schema:
        """JSON Schema of the section: one object for each kind."""
        return {"anyOf": [self._kind_schema(kind) for kind in self.kinds]}

    def _kind(self, section: Node, reading: Reading) -> str | None:
        if section.form != "section":
            advice = f" Write {{kind: {meant}}}." if (meant := section.scalar) in self.kinds else ""
            reading.refuse(section, mismatch(section, SECTION) + advice)
            return None
        if "kind" in section.entries:
            kind = read_value(Literal[tuple(self.kinds)], section.entries["kind"], reading)
            return None if kind is None else str(kind)
        if self.default is None:
            missing = Node((*section.path, "kind"), section.place, "nothing")
            reading.refuse(missing, f"missing. {did_you_mean('', self.kinds)}")
        return self.default

    def _kind_schema(self, kind: str) -> Schema:
        own, common = self._parameters(kind)
        default = (lambda: kind) if kind == self.default else None
        says_kind = {"kind": Parameter(Literal[kind], default)}
        return section_schema(self.kinds[kind], says_kind | common | own)

    def _parameters(self, kind: str) -> tuple[dict[str, Parameter], dict[str, Parameter]]:
        component = self.kinds[kind]
        own, common = parameters_of(component), {}
        if self.common and self.has_common(component):
            common = parameters_of(self.common)
        if clash := own.keys() & {"kind", *common}:
            raise TypeError(f"{component!r}: its section already has a key {min(clash)!r}.")
        return own, common


@final
@dataclass(frozen=True, slots=True)
class Named:
    """A section of sections, each under a name that the user gives it."""

    item: Fixed | Chosen
    required: bool = False

    @property
    def is_needed(self) -> bool:
        """Whether the section cannot be left out."""
        return self.required

    def bind(self, node: Node, reading: Reading) -> dict[str, Bound]:
        """The sections by name; faults go to the reading."""
        section = _filled(node)
        if section.form != "section":
            reading.refuse(section, mismatch(section, SECTION))
        elif self.required and not section.entries:
            reading.refuse(node, "missing, expected at least one name with a section of its own.")
        for name, entry in section.entries.items():
            if not re.fullmatch(_NAME, name):
                rule = "1 to 64 of A-Z a-z 0-9 _ -, the first a letter or a digit"
                reading.refuse(entry, f"'{shown(name)}' cannot be a name. Use {rule}.")
        return {name: self.item.bind(entry, reading) for name, entry in section.entries.items()}

    def schema(self) -> Schema:
        """JSON Schema of the section."""
        return {
            "type": "object",
            "propertyNames": {"pattern": f"^{_NAME}$"},
            "additionalProperties": self.item.schema(),
            "minProperties": int(self.required),
        }


Layout = Mapping[str, Fixed | Chosen | Named]


def bind_experiment(document: Document, layout: Layout) -> dict[str, Bound | dict[str, Bound]]:
    """Every section of the layout with its options checked and complete.

    An absent section gets its defaults. Raises one ConfigError with all faults of the file.
    """
    root = document.root
    reading = Reading(document.folder, [])
    for name, entry in root.entries.items():
        if name not in layout:
            reading.refuse(entry, f"unknown key '{shown(name)}'. {did_you_mean(name, layout)}")
    bound: dict[str, Bound | dict[str, Bound]] = {}
    for name, part in layout.items():
        absent = Node((name,), root.place, "nothing")
        bound[name] = part.bind(root.entries.get(name, absent), reading)
    raise_faults(reading.faults)
    return bound


def resolved(bound: Mapping[str, Bound | Mapping[str, Bound]]) -> dict[str, object]:
    """The whole experiment as plain data with every default written out: what repeats a run."""
    return {
        name: _resolved_section(part)
        if isinstance(part, Bound)
        else {key: _resolved_section(item) for key, item in part.items()}
        for name, part in bound.items()
    }


def _resolved_section(section: Bound) -> dict[str, object]:
    kind = {} if section.kind is None else {"kind": section.kind}
    values = section.common | section.options
    return kind | {name: plain(value) for name, value in values.items()}


def json_schema(layout: Layout) -> dict[str, object]:
    """JSON Schema (draft 2020-12) of an experiment file, for completion and checks in editors."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {name: part.schema() for name, part in layout.items()},
        "required": [name for name, part in layout.items() if part.is_needed],
        "additionalProperties": False,
    }


def _filled(node: Node) -> Node:
    return Node(node.path, node.place, "section") if node.form == "nothing" else node


def _has_required(parameters: Mapping[str, Parameter]) -> bool:
    return any(parameter.default is None for parameter in parameters.values())


class _Dumper(yaml.SafeDumper):
    pass


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    style = "'" if _QUOTED.fullmatch(text) else None
    style = style if text.isprintable() else '"'  # PyYAML loses U+0085 in the other styles
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def dump_yaml(data: Mapping[str, object]) -> str:
    """YAML that `read_document` reads back as the same data; keys keep their order."""
    return yaml.dump(
        _escaped(plain(data)),
        Dumper=_Dumper,
        allow_unicode=True,
        default_flow_style=False,
        sort_keys=False,
        width=1000,
    )


def _escaped(value: object) -> object:
    if isinstance(value, str):
        return value.replace("${", "$${")
    if isinstance(value, dict):
        return {key: _escaped(item) for key, item in value.items()}
    return [_escaped(item) for item in value] if isinstance(value, list) else value
