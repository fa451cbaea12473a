"""What `import polytask` costs, and what it gives."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import polytask

_GUARD = """
import json, os, socket, sys
opened, written = [], []
def watch(event, arguments):
    if event.startswith("socket.") and event not in ("socket.gethostname",):
        opened.append(event)
    if event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
        written.append(str(arguments[0]))
    if event in ("os.mkdir", "os.rename", "os.remove"):
        written.append(f"{event} {arguments[0]}")
sys.addaudithook(watch)
try:
    CODE
except SystemExit as stop:
    assert not stop.code, stop.code
heavy = [name for name in ("torch", "transformers", "datasets", "pyarrow", "sklearn", "numpy")
         if name in sys.modules]
print("\\n" + json.dumps([heavy, opened, written]))
"""


def cost(code: str) -> object:
    """Heavy libraries loaded, sockets opened, files written."""
    command = [sys.executable, "-B", "-c", _GUARD.replace("CODE", code)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    "code",
    [
        "import polytask",
        "import polytask; dir(polytask); polytask.DataError",
        "import polytask.cli as c; sys.argv = ['polytask', '--help']; c.main()",
        "import polytask.cli as c; sys.argv = ['polytask', 'train', '--help']; c.main()",
        "import polytask.cli as c; sys.argv = ['polytask', '--version']; c.main()",
    ],
)
def test_the_package_and_its_help_load_no_torch_open_no_socket_and_write_no_file(
    code: str,
) -> None:
    assert cost(code) == [[], [], []]


@pytest.mark.parametrize("name", polytask.__all__)
def test_every_public_name_loads(name: str) -> None:
    assert callable(getattr(polytask, name))
    assert name in dir(polytask)


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'polytask' has no attribute 'trane'"):
        _ = polytask.trane


def test_folders_of_the_same_name_hide_no_function() -> None:
    import polytask.evaluation.score
    import polytask.training.run
    from polytask import api

    assert polytask.train is api.train
    assert polytask.evaluate is api.evaluate


def test_an_imported_file_of_another_kind_stays_reachable() -> None:
    from polytask import cli, errors

    assert (cli.__name__, errors.__name__) == ("polytask.cli", "polytask.errors")


def test_the_package_says_that_it_is_typed() -> None:
    assert (Path(str(polytask.__file__)).parent / "py.typed").is_file()
