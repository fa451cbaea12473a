"""YAML text as a tree in which every value knows its key, its line and how it was written."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain
from typing import Literal, cast, final

import yaml

from polytask.config.faults import Fault, KeyPath, Place, printable, shown
from polytask.errors import ConfigError

Form = Literal["text", "number", "boolean", "date", "nothing", "list", "section"]
Scalar = str | int | float | bool | None

MAX_DEPTH = 50
MAX_ALIASES = 100
MAX_VALUES = 100_000  # aliases of aliases grow exponentially
_MAX_DIGITS = 100  # base-60 numbers (1:30) take quadratic time

_TAG = "tag:yaml.org,2002:"
_FORMS: dict[str, Form] = {
    f"{_TAG}int": "number",
    f"{_TAG}float": "number",
    f"{_TAG}bool": "boolean",
    f"{_TAG}timestamp": "date",
    f"{_TAG}null": "nothing",
}
_VARIABLE = re.compile(r"\$\$\{|\$\{(?:([A-Za-z_]\w*)(?::-([^}]*))?\})?", re.ASCII)


@final
@dataclass(frozen=True, slots=True)
class Node:
    """One value of an experiment file; `form` says whether scalar, items or entries hold it.

    A date keeps its text: no option takes dates, and YAML sees them where text was meant.
    """

    path: KeyPath
    place: Place
    form: Form
    written: str | None = None
    scalar: Scalar = None
    items: list["Node"] = field(default_factory=list)
    entries: dict[str, "Node"] = field(default_factory=dict)

    def plain(self) -> object:
        """The value as dictionaries, lists and scalars."""
        if self.form == "section":
            return {key: node.plain() for key, node in self.entries.items()}
        if self.form == "list":
            return [node.plain() for node in self.items]
        return self.scalar


def parse_node(
    text: str, path: KeyPath, locate: Callable[[int], Place], faults: list[Fault]
) -> Node:
    """The tree of a YAML text that stands at `path`; `locate` turns its line numbers into places.

    Faults in single values are added to `faults`; text that is no YAML, or too deep or too large
    once aliases are expanded, raises ConfigError.
    """
    source = _compose(text, locate)
    if source is None:
        return Node(path, locate(1), "nothing")
    place = locate(source.start_mark.line + 1)
    _limit(_count_aliases(source), MAX_ALIASES, "aliases (*name)", place)
    return _Growth(locate, faults).grow(source, path, place)


def _compose(text: str, locate: Callable[[int], Place]) -> yaml.Node | None:
    line = 1
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        if error.problem_mark is not None:
            line = error.problem_mark.line + 1
        reason = printable(_reason(error))
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        reason = f"the character {text[error.position]!a} is not allowed"
    except RecursionError:
        reason = f"nested deeper than {MAX_DEPTH} levels"
    except (ValueError, OverflowError):  # PyYAML lets these out of escapes such as "\UFFFFFFFF"
        reason = "an escape or a version number is out of range"
    raise ConfigError(f"{locate(line).text}: not YAML: {reason}.")


def _reason(error: yaml.MarkedYAMLError) -> str:
    context, problem = str(error.context or ""), str(error.problem or "")
    parts = [problem] if context.startswith("while ") else [context, problem]
    return ", ".join(part for part in parts if part)


def _limit(count: int, limit: int, what: str, place: Place) -> None:
    if count > limit:
        raise ConfigError(f"{place.text}: more than {limit:,} {what}.")


def _count_aliases(root: yaml.Node) -> int:
    count, seen, waiting = 0, {id(root)}, [root]
    while waiting:
        node = waiting.pop()
        parts = [] if isinstance(node, yaml.ScalarNode) else node.value
        for child in chain.from_iterable(parts if isinstance(node, yaml.MappingNode) else [parts]):
            if id(child) in seen:
                count += 1
            else:
                seen.add(id(child))
                waiting.append(child)
    return count


@final
class _Growth:
    """Grows nodes from those of PyYAML, and counts: aliases can make many values of few bytes."""

    def __init__(self, locate: Callable[[int], Place], faults: list[Fault]) -> None:
        self._locate = locate
        self._faults = faults
        self._loader = yaml.SafeLoader("")
        self._tag: Callable[[type, str, tuple[bool, bool]], str] = self._loader.resolve
        self._values = 0

    def grow(self, source: yaml.Node, path: KeyPath, place: Place) -> Node:
        self._count(path, place)
        if isinstance(source, yaml.MappingNode):
            self._check_tag(source, f"{_TAG}map", path, place)
            return Node(path, place, "section", entries=self._entries(source, path))
        if isinstance(source, yaml.SequenceNode):
            self._check_tag(source, f"{_TAG}seq", path, place)
            items = [
                self.grow(item, (*path, index), self._place(item))
                for index, item in enumerate(source.value)
            ]
            return Node(path, place, "list", items=items)
        return self._scalar(cast(yaml.ScalarNode, source), path, place)

    def _place(self, source: yaml.Node) -> Place:
        return self._locate(source.start_mark.line + 1)

    def _count(self, path: KeyPath, place: Place) -> None:
        self._values += 1
        _limit(len(path), MAX_DEPTH, "levels of nesting", place)
        _limit(self._values, MAX_VALUES, "values once aliases are expanded", place)

    def _check_tag(self, source: yaml.Node, usual: str, path: KeyPath, place: Place) -> None:
        if source.tag != usual:
            message = f"the tag {_shown_tag(source)} is not read. Write the value without it."
            self._faults.append(Fault(place, path, message))

    def _entries(self, source: yaml.MappingNode, path: KeyPath) -> dict[str, Node]:
        entries: dict[str, Node] = {}
        for key_source, value_source in source.value:
            place = self._place(key_source)
            problem = self._key_problem(key_source)
            if not problem and key_source.value in entries:
                first = entries[key_source.value].place.text
                problem = f"the key '{shown(key_source.value)}' is written twice, first at {first}."
            if problem:
                self._faults.append(Fault(place, path, problem))
            else:
                key = str(key_source.value)
                entries[key] = self.grow(value_source, (*path, key), place)
        return entries

    def _key_problem(self, source: yaml.Node) -> str:
        if not isinstance(source, yaml.ScalarNode):
            return "a key must be text, not a list or a section."
        if source.tag == f"{_TAG}merge":
            return "merge keys (<<) are not read. Write the keys out, or alias the whole section."
        if source.tag in _FORMS:
            key = shown(source.value)
            return f"YAML does not read the key {key} as text. Put it in quotes: '{key}'."
        if source.tag not in (f"{_TAG}str", f"{_TAG}value"):
            return f"the tag {_shown_tag(source)} is not read. Write the key without it."
        return text_problem(source.value)

    def _scalar(self, source: yaml.ScalarNode, path: KeyPath, place: Place) -> Node:
        implicit = (source.style is None, source.style is not None)
        self._check_tag(source, self._tag(yaml.ScalarNode, source.value, implicit), path, place)
        try:
            text = _fill(source.value)
            tag = self._tag(yaml.ScalarNode, text, implicit)
            form = _FORMS.get(tag, "text")
            value = text if form in ("text", "date") else self._construct(tag, text)
        except ValueError as error:
            self._faults.append(Fault(place, path, str(error)))
            return Node(path, place, "nothing")
        return Node(path, place, form, written=text, scalar=value)

    def _construct(self, tag: str, text: str) -> Scalar:
        if len(text) > _MAX_DIGITS:
            raise ValueError(f"a number of {len(text):,} characters is too long.")
        try:
            value: Scalar = self._loader.construct_object(yaml.ScalarNode(tag, text))
        except ValueError:  # 0x_ and 0b_ hold no digit
            raise ValueError(f"{text} is no number. Put it in quotes: '{text}'.") from None
        return value


def _shown_tag(source: yaml.Node) -> str:
    return shown(source.tag.replace(_TAG, "!!"))


def text_problem(text: str) -> str:
    """Why a text can stand in no experiment file, or nothing."""
    if "\0" in text:
        return "a text cannot hold the character NUL."
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        return "a text cannot hold half of a surrogate pair."
    return ""


def _fill(text: str) -> str:
    """The text with its variables taken from the environment."""
    filled = _VARIABLE.sub(_variable, text)
    if problem := text_problem(filled):
        raise ValueError(problem)
    return filled


def _variable(match: re.Match[str]) -> str:
    name, default = match.groups()
    if match[0] == "$${":
        return "${"
    if name is None:
        raise ValueError(
            "'${' starts no ${NAME} or ${NAME:-default}. For a plain '${' write '$${'."
        )
    value = os.environ.get(name)
    if default is not None:
        return value or str(default)
    if value is None:
        raise ValueError(
            f"the environment variable {name} is not set. Set it, or write ${{{name}:-default}}."
        )
    return value
