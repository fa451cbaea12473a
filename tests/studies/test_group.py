"""`polytask group`: which tasks to train together."""

import math
import random
from itertools import combinations
from pathlib import Path

import pytest
from rich.console import Console

from planted import write_planted
from polytask import api
from polytask.build import read_experiment
from polytask.config.experiment import dump_yaml
from polytask.errors import ConfigError
from polytask.studies import partition
from polytask.studies.group import Grouping
from polytask.studies.partition import best_partition, gains, partitions, total
from polytask.studies.study import of_tasks

QUIET = Console(quiet=True)


def test_every_partition_is_there_once() -> None:
    """Bell(5) = 52; into at most two groups 2^4 = 16."""
    every = list(partitions("abcde", 5))

    assert len(every) == len({frozenset(map(frozenset, one)) for one in every}) == 52
    assert len(list(partitions("abcde", 2))) == 16
    assert next(partitions("abc", 2)) == (("a", "b", "c"),)


def test_a_gain_is_the_mean_over_the_others_of_a_group_and_none_alone() -> None:
    pairs = {("a", "b"): 0.1, ("c", "b"): 0.3, ("b", "a"): -0.2, ("b", "b"): 9.0}

    assert gains((("a", "b", "c"), ("d",)), pairs) == pytest.approx(
        {"a": -0.1, "b": 0.2, "c": 0.0, "d": 0.0}
    )


def drawn(tasks: str, seed: int) -> dict[tuple[str, str], float]:
    draw = random.Random(seed)  # noqa: S311
    return {(one, other): draw.gauss(0, 1) for one in tasks for other in tasks if one != other}


@pytest.mark.parametrize("seed", range(8))
def test_moving_tasks_finds_what_trying_all_finds(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks, pairs = "abcdefg", drawn("abcdefg", seed)
    exact = best_partition(tasks, pairs, 3)

    monkeypatch.setattr(partition, "EXACT", 0)
    greedy = best_partition(tasks, pairs, 3)

    assert total(greedy, pairs) == pytest.approx(total(exact, pairs))
    assert len(greedy) <= 3


def test_two_camps_of_many_tasks_are_told_apart() -> None:
    camps = [[f"{camp}{number}" for number in range(9)] for camp in "xy"]
    tasks = [task for pair in zip(*camps, strict=True) for task in pair]
    pairs = {
        pair: 1.0 if one[0] == other[0] else -1.0
        for one, other in combinations(tasks, 2)
        for pair in ((one, other), (other, one))
    }

    assert {frozenset(group) for group in best_partition(tasks, pairs, 2)} == set(
        map(frozenset, camps)
    )


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_planted(tmp_path_factory.mktemp("planted"))


def test_tasks_that_are_the_same_come_into_one_group(planted: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"

    found = api.group(planted, verify=True, every=2, seeds=2, out=out, console=QUIET)

    assert found.groups == (("one", "same"), ("noise",))
    assert len(found.tried) == 4  # of three tasks all partitions into at most two groups
    assert found.regret >= 0
    best = max(found.tried, key=lambda one: one.realised.mean)
    chosen = next(one for one in found.tried if one.groups == found.groups)
    assert found.regret == pytest.approx(best.realised.mean - chosen.realised.mean)
    assert not math.isnan(chosen.realised.margin)
    assert found.members["one"].rows == 300
    assert found.members["one"].floor == pytest.approx(1.0)
    assert Grouping.from_json((out / "group.json").read_text(encoding="utf-8")) == found
    one, other = (read_experiment(out / f"group-{number}.yaml") for number in (1, 2))
    assert [task.name for task in one.tasks] == ["one", "same"]
    assert [task.name for task in other.tasks] == ["noise"]
    assert "Which tasks to train together" in (out / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("models", [0, 4])
def test_as_many_models_as_tasks_at_most(planted: Path, tmp_path: Path, models: int) -> None:
    with pytest.raises(ConfigError, match=f"models: expected 1 to 3, a task each, got {models}"):
        api.group(planted, models=models, out=tmp_path / "out", console=QUIET)

    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("override", "section", "kind"),
    [
        ("balancing={kind: pcd, main: noise}", "balancing", "static"),
        ("balancing={kind: pcd, main: one}", "balancing", "pcd"),
        ("balancing={kind: static, weights: {noise: 2.0}}", "balancing", "static"),
        ("mixing={kind: gap, single: {noise: 0.9}}", "mixing", "proportional"),
        (
            "mixing={kind: schedule, points: [{at: 0, shares: {one: 1, noise: 1}}]}",
            "mixing",
            "proportional",
        ),
        ("mixing={kind: temperature, oversample: {noise: 0.5}}", "mixing", "temperature"),
    ],
)
def test_what_means_nothing_without_other_tasks_becomes_plain(
    planted: Path, tmp_path: Path, override: str, section: str, kind: str
) -> None:
    experiment = read_experiment(planted, [override])
    file = tmp_path / "some.yaml"

    file.write_text(dump_yaml(of_tasks(experiment, ["one", "same"], 3)), encoding="utf-8")

    found = read_experiment(file)
    assert found.plain[section]["kind"] == kind  # type: ignore[index]
    assert found.train.epochs == 3


def test_an_auxiliary_task_is_in_every_group_and_one_seed_has_no_interval(
    planted: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    options = ["tasks.noise.auxiliary=true", "train.epochs=4", "mixing={kind: uniform}"]

    found = api.group(
        planted,
        verify=True,
        by="linear",
        every=4,
        seeds=1,
        out=out,
        overrides=options,
        console=QUIET,
    )

    assert {task for group in found.groups for task in group} == {"one", "same"}
    for number, group in enumerate(found.groups, 1):
        tasks = [task.name for task in read_experiment(out / f"group-{number}.yaml").tasks]
        assert tasks == [*group, "noise"]
    assert math.isnan(found.tried[0].realised.margin)
    assert "nan" not in " ".join(cell for row in found.tables()[1].rows for cell in row)


def test_an_affinity_that_is_none_is_told_at_once(planted: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no affinity 'linea'\. Did you mean 'linear'"):
        api.group(planted, by="linea", out=tmp_path / "out", console=QUIET)  # type: ignore[arg-type]

    assert not (tmp_path / "out").exists()
