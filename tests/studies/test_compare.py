"""`polytask compare`: each task together with the others and alone."""

import io
import json
import math
from pathlib import Path

import pytest
from rich.console import Console

from polytask import api
from polytask.config.experiment import dump_yaml
from polytask.errors import ConfigError, Interrupted, MissingExtra, RunError
from polytask.studies import compare as module
from polytask.studies import runs
from polytask.studies.comparison import Comparison, Effort, Row, Way
from polytask.studies.costs import Cost
from polytask.studies.language import ENGLISH
from polytask.studies.origin import Origin
from polytask.studies.significance import Difference
from polytask.studies.study import of_tasks
from polytask.studies.ways import TUNED, asked_for
from polytask.training.mixed_precision import MixedPrecision
from toys import events, notes, read_rows, write_rows, write_toy

QUIET = Console(quiet=True)
NAMES = ["intent", "items", "stars"]
SHORT = ("train.epochs=1",)


@pytest.fixture(scope="module")
def compared(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a comparison of the toy with two seeds."""
    out = tmp_path_factory.mktemp("compare") / "out"
    api.compare(toy, seeds=2, out=out, overrides=SHORT, console=QUIET)
    return out


def test_every_task_has_models_of_its_own_that_are_trained_as_the_joint_one(compared: Path) -> None:
    for task in NAMES:
        for variant, epochs in ((f"{task}-1-epochs", 1), (f"{task}-up-to-3-epochs", 3)):
            for seed in (1, 2):
                run = compared / "alone" / variant / f"seed{seed}"
                assert set(events(run, "step")[0]["losses"]) <= {task}
                assert events(run, "evaluation")[-1]["epoch"] <= epochs
    assert len(list((compared / "together").iterdir())) == 2
    assert not list(compared.glob("**/checkpoints"))


def test_the_figures_are_those_of_the_runs_on_test(compared: Path) -> None:
    found = json.loads((compared / "compare.json").read_text(encoding="utf-8"))

    assert list(found["tasks"]) == NAMES
    for task, row in found["tasks"].items():
        together = [
            json.loads((run / "metrics.json").read_text(encoding="utf-8"))["test"][task]["metrics"]
            for run in sorted((compared / "together").iterdir())
        ]
        mean = sum(one[row["metric"]] or 0.0 for one in together) / 2
        assert row["together"] == pytest.approx(mean)
        assert row["difference"] == pytest.approx(row["together"] - row["alone"])
        assert row["interval"][0] <= row["difference"] <= row["interval"][1]
    for task in NAMES:
        scored = [
            run
            for run in (compared / "alone").glob(f"{task}-*/seed*")
            if "test" in json.loads((run / "metrics.json").read_text(encoding="utf-8"))
        ]
        assert len(scored) == 2  # the way that dev chose, and it alone
    one, own = found["costs"]["together"], found["costs"]["alone"]
    assert one["parameters"] * 2 < own["parameters"] < one["parameters"] * 4
    assert one["megabytes"] * 2 < own["megabytes"]
    assert 0 < one["milliseconds"] < own["milliseconds"] * 2
    assert "Did sharing help?" in (compared / "report.html").read_text(encoding="utf-8")


def test_it_goes_on_where_it_was_stopped(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[str] = []
    own = runs.train_run

    def counted(path: Path, out: Path, **options: object) -> object:
        if len(trained) == 5:
            raise Interrupted("Stopped.")
        trained.append(str(out))
        return own(path, out, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(runs, "train_run", counted)
    options = {"seeds": 1, "out": tmp_path / "out", "overrides": SHORT, "console": QUIET}
    with pytest.raises(Interrupted):
        api.compare(toy, **options)  # type: ignore[arg-type]
    before = list(trained)
    trained.clear()
    found = api.compare(toy, **options)  # type: ignore[arg-type]

    assert len(before) == 5
    assert len(trained) == 2
    assert not set(before) & set(trained)
    assert "no verdict" in found.summary()[-1]


@pytest.mark.parametrize(
    ("split", "expected"),
    [
        (
            "dev",
            {
                "alone/stars-1-epochs/seed1",
                "alone/stars-up-to-3-epochs/seed1",
                "together/seed1",
            },
        ),
        ("test", set()),
    ],
)
def test_a_run_of_data_that_has_changed_since_is_made_anew(
    tmp_path: Path, split: str, expected: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    toy = write_toy(tmp_path / "data")
    options = {"seeds": 1, "out": tmp_path / "out", "overrides": SHORT, "console": QUIET}
    before = api.compare(toy, **options)  # type: ignore[arg-type]
    file = toy.parent / f"reviews.{split}.jsonl"
    write_rows(file, read_rows(file)[:-2])
    trained: set[str] = set()
    own = runs.train_run

    def counted(path: Path, out: Path, **rest: object) -> object:
        trained.add(str(out.relative_to(tmp_path / "out")))
        return own(path, out, **rest)  # type: ignore[arg-type]

    monkeypatch.setattr(runs, "train_run", counted)
    after = api.compare(toy, **options)  # type: ignore[arg-type]

    assert trained == expected
    if split == "test":
        assert after.rows["stars"].together != before.rows["stars"].together


def test_an_unfinished_run_of_data_that_has_changed_begins_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy = write_toy(tmp_path / "data")
    planned = runs.Planned("one", toy, tmp_path / "run", ["checkpoints.every_steps=2"])
    own = MixedPrecision.keep
    done = [0]

    def keep(self: MixedPrecision) -> None:
        own(self)
        done[0] += 1
        if done[0] == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(MixedPrecision, "keep", keep)
    with pytest.raises(KeyboardInterrupt):
        runs.train_once(planned, QUIET)
    file = toy.parent / "reviews.train.jsonl"
    write_rows(file, read_rows(file)[:-2])

    runs.train_once(planned, QUIET)

    assert not any("Going on from step" in text for text in notes(tmp_path / "run"))


def test_several_at_a_time_come_to_the_same(toy: Path, compared: Path, tmp_path: Path) -> None:
    told = io.StringIO()
    options = {"seeds": 2, "overrides": SHORT, "console": Console(file=told)}

    api.compare(toy, out=tmp_path / "out", jobs=2, **options)  # type: ignore[arg-type]

    one, two = (
        json.loads((folder / "compare.json").read_text(encoding="utf-8"))["tasks"]
        for folder in (compared, tmp_path / "out")
    )
    for task in NAMES:
        assert two[task]["alone"] == one[task]["alone"]
        assert two[task]["together"] == one[task]["together"]
    assert {"together, seed 1", "together, seed 2"} <= {
        line.partition(": ")[2] for line in told.getvalue().splitlines()
    }


def test_what_speaks_of_other_tasks_is_left_out_alone(tmp_path: Path) -> None:
    toy = write_toy(tmp_path)
    again = "{kind: classify, data: messages, text: text, label: intent}"
    options = [
        "balancing={kind: static, weights: {intent: 2.0, stars: 0.5}}",
        "mixing={kind: temperature, oversample: {again: 0.5}}",
        f"tasks.again={again}",
        "tasks.again.reads=[intent]",
        "tasks.again.agrees_with=[intent]",
        "tasks.again.auxiliary=false",
        "train.select=intent",
        "train.max_steps=3",
    ]
    experiment = module.read_experiment(toy, options)
    file = tmp_path / "alone.yaml"

    file.write_text(dump_yaml(of_tasks(experiment, ["again"], 4)), encoding="utf-8")

    [task] = (found := module.read_experiment(file)).tasks
    assert (task.name, task.reads.tasks, task.agrees.tasks) == ("again", (), ())
    assert list(found.data) == ["messages"]
    assert found.oversample == {"again": 0.5}
    assert (found.train.select, found.train.max_steps) == ("mean", None)

    file.write_text(dump_yaml(of_tasks(experiment, ["intent", "again"], 4)), encoding="utf-8")

    first, task = (found := module.read_experiment(file)).tasks
    assert first.name == "intent"
    assert (list(task.reads.tasks), list(task.agrees.tasks)) == (["intent"], ["intent"])
    assert found.plain["balancing"]["weights"] == {"intent": 2.0}  # type: ignore[index]
    assert found.plain["mixing"]["kind"] == "temperature"  # type: ignore[index]
    assert found.train.select == "intent"


@pytest.mark.parametrize("split", ["dev", "test"])
def test_a_task_without_labels_is_told_before_anything_is_trained(
    tmp_path: Path, split: str
) -> None:
    toy = write_toy(tmp_path)
    file = tmp_path / f"reviews.{split}.jsonl"
    write_rows(file, [{**row, "stars": None} for row in read_rows(file)])

    with pytest.raises(RunError, match="task stars has no label to compare by"):
        api.compare(toy, out=tmp_path / "out", console=QUIET)

    assert not (tmp_path / "out").exists()


def test_a_fault_of_one_of_several_at_a_time_is_told(toy: Path, tmp_path: Path) -> None:
    missing = [*SHORT, "train.trackers=[wandb]"]
    with pytest.raises(MissingExtra, match="wandb is not installed"):
        api.compare(toy, seeds=3, jobs=2, out=tmp_path, overrides=missing, console=QUIET)
    assert not (tmp_path / "together" / "seed3").exists()


def test_what_cannot_be_compared_is_told(toy: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="seeds: expected at least 1"):
        api.compare(toy, seeds=0, out=tmp_path)
    with pytest.raises(ConfigError, match="jobs: expected at least 1"):
        api.compare(toy, jobs=0, out=tmp_path)
    with pytest.raises(ConfigError, match=r"train\.seed"):
        api.compare(toy, out=tmp_path, overrides=["train.seed=3"])
    with pytest.raises(RunError, match=r"data\.reviews: names no test split"):
        api.compare(toy, out=tmp_path, overrides=["data.reviews.test=null"])
    alone = write_toy(tmp_path / "alone")
    text = alone.read_text(encoding="utf-8").splitlines()
    kept = [line for line in text if not line.startswith(("  items:", "  stars:"))]
    alone.write_text("\n".join(kept), encoding="utf-8")
    with pytest.raises(ConfigError, match="there is one alone"):
        api.compare(alone, out=tmp_path)
    assert not list(tmp_path.glob("together"))


def test_sentences_say_what_was_found_and_what_could_not_be_seen() -> None:
    nothing = Effort(1, 1, 1, 1)
    rows = {
        name: Row(
            "accuracy", {}, 0.5, 0.5 + mean, Difference(mean, error, 8.0), "4 epochs", nothing
        )
        for name, mean, error in (("a", 0.1, 0.01), ("b", -0.02, 0.02), ("c", 0.001, 0.001))
    }

    cost = {"together": Cost(10, 1.0, 2.0), "alone": Cost(30, 3.0, 5.0)}

    found = Comparison(rows, nothing, cost, 5, 0.01)

    assert list(found.verdicts.values()) == ["helped", "no evidence", "equivalent"]
    first, second, third, fourth = found.summary()
    assert first == (
        "Of 3 tasks: helped 1, hurt 0, equivalent 1, no evidence 1 (equivalent: within 0.01)."
    )
    assert second == "Mean relative gain of sharing +5.40%; worst task b (-0.0200)."
    assert third == "One model has 33% of the parameters of 3 and answers in 40% of their time."
    assert "b 0.0781" in fourth  # 0.02 (t(8) at 1 - 0.05 / 6 + t(8) at 0.8)


def test_other_ways_of_sharing_stand_beside_static_weights_of_as_many_trials(
    toy: Path, compared: Path
) -> None:
    found = api.compare(
        toy,
        seeds=2,
        out=compared,
        overrides=SHORT,
        balancing=["uncertainty"],
        mixing=["{kind: temperature, temperature: 3}"],
        console=QUIET,
    )

    names = ["balancing uncertainty", "mixing {kind: temperature, temperature: 3}", TUNED]
    assert list(found.ways) == names
    assert len(list(compared.glob("static-weights-tuned-*"))) == 2
    runs_of = {name: list(compared.glob(f"balancing-{name}-*/seed*")) for name in ("uncertainty",)}
    assert len(runs_of["uncertainty"]) == 2
    weights = [event["weights"] for event in events(runs_of["uncertainty"][0], "step")]
    assert len({str(one) for one in weights}) > 1
    for way in found.ways.values():
        assert list(way.scores) == list(way.differences) == NAMES
        for task, less in way.differences.items():
            assert less.mean == pytest.approx(way.scores[task] - found.rows[task].alone)
    ways = next(one for one in found.tables(ENGLISH) if one.title.startswith("Ways"))
    assert ways.heads[:5] == ["way", "mean gain", "helped", "hurt", "intent"]
    shown = io.StringIO()
    found.show(Console(file=shown, width=60))
    assert "hurt" in shown.getvalue()


def test_ways_are_named_by_kind_or_in_braces() -> None:
    ways = asked_for(["pcgrad, upgrad", "{kind: pcd, main: a}"], [], ["a", "b"])

    assert [list(trials.values()) for way, trials in ways.items() if way != TUNED] == [
        ["balancing={kind: pcgrad}"],
        ["balancing={kind: upgrad}"],
        ["balancing={kind: pcd, main: a}"],
    ]
    trials = list(ways[TUNED].values())
    assert len(set(trials)) == 3
    assert all(one.startswith("balancing={kind: static, weights: {a: ") for one in trials)
    assert asked_for([], [], ["a"]) == {}


def test_a_way_that_is_none_is_told_before_anything_is_trained(toy: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="upgrade"):
        api.compare(toy, out=tmp_path / "out", balancing=["upgrade"], console=QUIET)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("error", "freedom"), [(0.01, 8.0), (0.0, math.inf), (math.nan, math.nan)])
def test_a_comparison_is_read_as_it_was_written(error: float, freedom: float) -> None:
    effort = Effort(1.5, 2, 3, 4)
    less = Difference(0.1, error, freedom)
    row = Row("f1", {"TF-IDF": 0.4}, 0.5, 0.6, less, "4 epochs", effort, ["alone/a/seed1"])
    cost = {"together": Cost(10, 1.0, 2.0), "alone": Cost(30, 3.0, 5.0)}
    ways = {"balancing upgrad": Way("upgrad", {"a": 0.7}, {"a": less})}
    found = Comparison(
        {"a": row},
        effort,
        cost,
        5,
        0.01,
        ways,
        ["together/1"],
        Origin("polytask x", {"torch": "2"}),
    )

    again = Comparison.from_json(found.as_json())

    assert repr(again) == repr(found)  # nan is not equal to itself
    assert again.as_json() == found.as_json()
