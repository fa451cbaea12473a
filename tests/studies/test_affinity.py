"""`polytask affinity`: how tasks act on each other while they train together."""

import json
from pathlib import Path

import pytest
from rich.console import Console

from planted import write_planted
from polytask import api
from polytask.errors import ConfigError, RunError
from polytask.studies.affinity import Affinity, affinity_of
from polytask.training.folder import RunFolder
from toys import train_toy

QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_planted(tmp_path_factory.mktemp("planted"))


def test_tasks_that_are_the_same_help_each_other_more_than_chance_does(
    planted: Path, tmp_path: Path
) -> None:
    found = api.affinity(planted, every=2, out=tmp_path / "out", console=QUIET)

    assert found.tasks == ["noise", "one", "same"]
    assert found.cosines["one", "same"] == found.cosines["same", "one"]
    for one, other in (("one", "same"), ("same", "one")):
        helped, chance = found.ahead[one, other], found.ahead[one, "noise"]
        assert helped.mean - helped.margin > 0
        assert helped.mean > chance.mean + chance.margin
        assert found.ahead[one, one].mean > helped.mean
    assert 0 < found.share < 1
    held = json.loads((tmp_path / "out" / "affinity.json").read_text(encoding="utf-8"))
    assert held["looks"] == found.num_looks
    assert len(held["ahead"]) == len(held["linear"]) == 9
    assert found.linear["same", "one"].mean > found.linear["noise", "one"].mean
    assert Affinity.from_json(json.dumps(held)) == found
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 3


def test_a_run_without_looks_ahead_has_no_affinity(toy: Path, tmp_path: Path) -> None:
    train_toy(toy, tmp_path / "run", "train.epochs=1")

    with pytest.raises(RunError, match="holds 0 looks ahead, but 2 are needed"):
        affinity_of(RunFolder(tmp_path / "run"))


def test_one_task_alone_acts_on_none(planted: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone.yaml"
    text = planted.read_text(encoding="utf-8")
    kept = [line for line in text.splitlines() if not line.startswith(("  same:", "  noise:"))]
    alone.write_text("\n".join(kept), encoding="utf-8")

    with pytest.raises(ConfigError, match="there is one alone"):
        api.affinity(alone, out=tmp_path / "out", console=QUIET)
