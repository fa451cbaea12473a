"""Reports in another language."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import pytest

import polytask.studies
from polytask.studies.language import LANGUAGES

STUDIES = Path(str(polytask.studies.__file__)).parent


def said() -> Iterator[str]:
    """Every sentence that the code of reports says."""
    for file in STUDIES.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("say", "say.each"):
                for one in node.args:
                    assert isinstance(one, ast.Constant), f"{file.name}:{node.lineno}"
                    yield str(one.value)
    yield from re.findall(r'say\("([^"]+)"\)', (STUDIES / "report.html.j2").read_text())


def fields(text: str) -> set[tuple[str, str]]:
    return {(name, spec or "") for _, name, spec, _ in Formatter().parse(text) if name}


@pytest.mark.parametrize("code", [code for code in LANGUAGES if code != "en"])
def test_every_sentence_has_its_translation_with_the_same_numbers(code: str) -> None:
    texts = json.loads((STUDIES / f"{code}.json").read_text(encoding="utf-8"))

    assert set(texts) == set(said())
    for english, other in texts.items():
        assert fields(english) == fields(other), english
