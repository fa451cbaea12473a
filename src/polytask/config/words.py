"""The words in which a value of the wrong form is told from the right one."""

import re

from polytask.config.annotations import Asked
from polytask.config.faults import shown
from polytask.config.nodes import Form, Node


def mismatch(node: Node, asked: Asked) -> str:
    """The sentence that a value is not what was asked for, and how to write it if it was meant."""
    return f"expected {asked.words}, got {describe(node)}.{_advice(node, asked.forms)}"


def describe(node: Node) -> str:
    """What was found: `the text '3e-5'`, `the boolean no`, `a list`."""
    written = shown(node.written or "")
    match node.form:
        case "list" | "section":
            return f"a {node.form}"
        case "nothing":
            return written or "nothing"
        case "text":
            return f"the text '{written}'"
        case _:
            return f"the {node.form} {written}"


def amount(node: Node) -> str:
    """What was found where only its size is wrong: `0`, `the text ''`, the number of entries."""
    if node.form in ("list", "section"):
        return str(len(node.items) + len(node.entries))
    return shown(node.written or "") if node.form == "number" else describe(node)


def _advice(node: Node, forms: frozenset[Form]) -> str:
    written = node.written or ""
    if node.form != "text":
        return f" Put it in quotes: '{shown(written)}'." if written and "text" in forms else ""
    if "boolean" in forms and written.lower() in ("true", "false"):
        return f" Take the quotes away: {written}."
    number = re.fullmatch(r"([-+]?\d{1,30})(?:(\.)(\d*))?(?:[eE]([-+]?)(\d{1,3}))?", written)
    if number is None or "number" not in forms:
        return ""
    whole, dot, decimals, sign, power = number.groups()
    in_yaml = f"{whole}.{decimals or '0'}e{sign or '+'}{power}"
    if power and not dot:
        return f" YAML wants a dot: {in_yaml}."
    if power and not sign:
        return f" YAML wants a sign before the exponent: {in_yaml}."
    return f" Take the quotes away: {written}."
