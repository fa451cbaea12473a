"""The rules of the house: sizes, floors, and words that must not occur in the code."""

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from polytask.balancing import BALANCERS, Balancer, GramianWeighting
from polytask.balancing.gradients import GradientBalancer
from polytask.encoders import ENCODERS, EncoderSource
from polytask.heads import HEADS, Head
from polytask.mixing import MIXERS, Mixer

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "polytask"
FILES = sorted(SOURCE.rglob("*.py"))
NAMES = [str(file.relative_to(SOURCE)) for file in FILES]

LONG_FILES: dict[str, str] = {}
"""Files of more than 300 lines, with the reason."""

LONG_BODIES: dict[str, str] = {}
"""Functions with a body of more than 40 lines, with the reason."""

MANY_PARAMETERS: dict[str, str] = {
    "tasks.py:task_section": "each is a key of the experiment file",
    "api/studies.py:compare": "each is an option of the command",
    "api/studies.py:curve": "each is an option of the command",
    "api/studies.py:group": "each is an option of the command",
    "cli/studies.py:group": "each is an option of the command",
    "cli/studies.py:curve": "each is an option of the command",
    "cli/studies.py:compare": "each is an option of the command",
}
"""Functions of more than 6 parameters, with the reason."""

FORBIDDEN = {
    "pickle": r"\bpickle\b",
    "torch.load": r"\btorch\.load\b",
    "joblib": r"\bjoblib\b",
    "dill": r"\bdill\b",
    "yaml.load(": r"\byaml\.(load|unsafe_load|full_load)\(",
    "eval(": r"(?<![\w.])eval\(",
    "exec(": r"(?<![\w.])exec\(",
    "trust_remote_code=True": r"trust_remote_code\s*=\s*True",
    "shell=True": r"shell\s*=\s*True",
    "instantiate(": r"\binstantiate\(",
}


def functions(file: Path) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{file.relative_to(SOURCE)}:{node.name}", node


def body_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of the body without its docstring."""
    has_docstring = ast.get_docstring(node) is not None
    body = node.body[1:] if has_docstring else node.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0  # type: ignore[operator]


@pytest.mark.parametrize("file", FILES, ids=NAMES)
def test_a_file_starts_with_a_docstring(file: Path) -> None:
    assert ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))


def test_no_file_is_longer_than_300_lines() -> None:
    long = {
        str(file.relative_to(SOURCE))
        for file in FILES
        if len(file.read_text(encoding="utf-8").splitlines()) > 300
    }

    assert long == set(LONG_FILES)


def test_no_function_has_a_body_of_more_than_40_lines() -> None:
    long = {name for file in FILES for name, node in functions(file) if body_lines(node) > 40}

    assert long == set(LONG_BODIES)


def test_no_function_but_a_constructor_has_more_than_6_parameters() -> None:
    many = set()
    for file in FILES:
        for name, node in functions(file):
            given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            count = sum(argument.arg not in ("self", "cls") for argument in given)
            if count > 6 and node.name != "__init__":
                many.add(name)

    assert many == set(MANY_PARAMETERS)


def test_no_function_takes_keywords_it_does_not_name() -> None:
    loose = [name for file in FILES for name, node in functions(file) if node.args.kwarg]

    assert loose == ["studies/language.py:__call__"]  # they go into the braces of a sentence


@pytest.mark.parametrize("name", FORBIDDEN)
def test_a_dangerous_call_occurs_nowhere(name: str) -> None:
    pattern = re.compile(FORBIDDEN[name])
    found = [
        f"{file.relative_to(SOURCE)}:{number}"
        for file in FILES
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1)
        if pattern.search(line)
    ]

    assert found == []


def folder_words(folder: str, kinds: dict[str, type]) -> set[str]:
    """The kinds of a folder, and the names of its classes."""
    return {*kinds, *(kind.__name__ for kind in kinds.values())}


@pytest.mark.parametrize(
    ("folder", "kinds"),
    [
        ("heads", dict(HEADS)),
        ("encoders", dict(ENCODERS)),
        ("mixing", dict(MIXERS)),
        ("balancing", dict(BALANCERS)),
    ],
)
def test_only_the_folder_of_a_kind_knows_its_kinds(folder: str, kinds: dict[str, type]) -> None:
    words = folder_words(folder, kinds)
    asked: list[str] = []
    for file in FILES:
        if file.relative_to(SOURCE).parts[0] == folder:
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            place = f"{file.relative_to(SOURCE)}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Compare | ast.MatchValue):
                texts = [n.value for n in ast.walk(node) if isinstance(n, ast.Constant)]
                asked += [place for text in texts if text in words]
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "isinstance":
                names = [n.id for n in ast.walk(node) if isinstance(n, ast.Name)]
                asked += [place for name in names if name in words]
            if isinstance(node, ast.ImportFrom):
                asked += [place for alias in node.names if alias.name in words]

    assert asked == []


@pytest.mark.parametrize(
    ("contracts", "kinds"),
    [
        ([Head], HEADS),
        ([EncoderSource], ENCODERS),
        ([Mixer], MIXERS),
        ([Balancer, GramianWeighting], BALANCERS),
    ],
)
def test_every_component_stands_in_the_dict_of_its_folder(
    contracts: list[type], kinds: dict[str, type]
) -> None:
    def leaves(one: type) -> set[type]:
        children: list[type] = one.__subclasses__()
        return {leaf for child in children for leaf in leaves(child)} if children else {one}

    found = {leaf for contract in contracts for leaf in leaves(contract)} - {GradientBalancer}
    ours = {one for one in found if one.__module__.startswith("polytask.")}

    assert ours == set(kinds.values())


def test_a_file_imports_from_its_own_folder_and_from_lower_floors_only() -> None:
    linter = shutil.which("lint-imports", path=str(Path(sys.executable).parent))
    if linter is None:
        pytest.skip("import-linter is not installed")

    done = subprocess.run(
        [linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
