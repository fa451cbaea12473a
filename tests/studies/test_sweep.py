"""`polytask sweep`: several values, several seeds, one table."""

import io
import json
import math
from pathlib import Path

import pytest
from rich.console import Console
from scipy.stats import ttest_1samp

from polytask import api
from polytask.errors import ConfigError, Interrupted, RunError, TrainingError
from polytask.studies import runs as module
from polytask.studies.sweep import MEAN, Sweep, Trial, estimated, variants_of

SHORT = ("train.max_steps=2",)


def silent() -> Console:
    return Console(quiet=True)


def test_values_of_several_keys_are_combined_in_order() -> None:
    found = variants_of(["optimizer.lr=0.1", "mixing.kind=uniform", "optimizer.lr=0.2"])

    assert found == {
        "optimizer.lr=0.1, mixing.kind=uniform": ["optimizer.lr=0.1", "mixing.kind=uniform"],
        "optimizer.lr=0.2, mixing.kind=uniform": ["optimizer.lr=0.2", "mixing.kind=uniform"],
    }


@pytest.mark.parametrize(
    ("vary", "message"),
    [
        ([], "nothing to vary"),
        (["lr"], "'lr': expected KEY=VALUE"),
        (["a=1", "a=1"], "'a=1': is there twice"),
    ],
)
def test_what_cannot_be_varied_is_told(vary: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        variants_of(vary)


def test_a_margin_is_that_of_the_t_test() -> None:
    values = [0.5, 0.6, 0.75, 0.7]

    found = estimated(values)

    low, high = ttest_1samp(values, 0).confidence_interval(0.95)
    assert (found.mean - found.margin, found.mean + found.margin) == pytest.approx((low, high))
    assert math.isnan(estimated([0.5]).margin)
    assert str(estimated([0.5])) == "0.5000"


def test_differences_are_taken_seed_by_seed() -> None:
    scores = {"a": (0.5, 0.9), "b": (0.6, 1.0)}
    trials = [
        Trial(name, seed, Path(), {MEAN: values[seed - 1]})
        for seed in (1, 2)
        for name, values in scores.items()
    ]

    difference = Sweep(trials).difference("b", MEAN)

    assert (difference.mean, difference.margin) == pytest.approx((0.1, 0.0))


def test_a_sweep_goes_on_where_it_was_stopped(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vary = ["balancing.kind=static", "balancing.kind=upgrad"]
    trained: list[str] = []
    own = module.train_run

    def counted(path: Path, out: Path, **options: object) -> object:
        if len(trained) == 3:
            raise Interrupted("Stopped.")
        trained.append(out.name)
        return own(path, out, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "train_run", counted)
    options = {"vary": vary, "seeds": 2, "out": tmp_path / "all", "overrides": SHORT}
    with pytest.raises(Interrupted):
        api.sweep(toy, **options, console=silent())  # type: ignore[arg-type]
    monkeypatch.setattr(module, "train_run", own)

    found = api.sweep(toy, **options, console=silent())  # type: ignore[arg-type]

    assert len(set(trained)) == 3
    assert [(trial.variant, trial.seed) for trial in found.trials] == [
        (variant, seed) for seed in (1, 2) for variant in vary
    ]
    assert found.tasks == [MEAN, "intent", "items", "stars"]
    rows = json.loads((tmp_path / "all" / "sweep.json").read_text(encoding="utf-8"))
    for row, trial in zip(rows, found.trials, strict=True):
        metrics = json.loads((trial.folder / "metrics.json").read_text(encoding="utf-8"))["dev"]
        values = {task: next(iter(metrics[task]["metrics"].values())) for task in metrics}
        assert {k: v for k, v in row["scores"].items() if k != MEAN} == pytest.approx(
            {task: value or 0.0 for task, value in values.items()}
        )
    table = (tmp_path / "all" / "sweep.md").read_text(encoding="utf-8").splitlines()
    assert table[0] == "| variant | mean | less the first | intent | items | stars |"
    assert [line.split(" | ")[0] for line in table[2:]] == [f"| {variant}" for variant in vary]


def test_every_variant_is_read_before_the_first_is_trained(toy: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Did you mean 'upgrad'"):
        api.sweep(
            toy,
            vary=["balancing.kind=static", "balancing.kind=upgrat"],
            out=tmp_path / "all",
            console=silent(),
        )

    assert not (tmp_path / "all").exists()


def test_a_run_that_diverges_has_no_score_and_the_others_have(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = module.train_run

    def diverging(path: Path, out: Path, **options: object) -> object:
        if "0.5" in out.name:
            raise TrainingError("step 1: loss of task intent is nan")
        return own(path, out, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "train_run", diverging)
    found = api.sweep(
        toy,
        vary=["optimizer.lr=0.001", "optimizer.lr=0.5"],
        seeds=1,
        out=tmp_path / "all",
        overrides=SHORT,
        console=silent(),
    )

    assert "| optimizer.lr=0.5 (1 of 1 failed) | step 1: loss of task intent is nan |" in (
        found.listed().markdown()
    )
    assert len(found.scores("optimizer.lr=0.001", MEAN)) == 1
    assert found.scores("optimizer.lr=0.5", MEAN) == {}


def test_a_folder_of_another_experiment_is_left_alone(toy: Path, tmp_path: Path) -> None:
    options = {"vary": ["optimizer.lr=0.001"], "seeds": 1, "out": tmp_path / "all"}
    api.sweep(toy, **options, overrides=SHORT, console=silent())  # type: ignore[arg-type]

    with pytest.raises(RunError, match="holds a run of another experiment"):
        api.sweep(toy, **options, overrides=["train.max_steps=3"], console=silent())  # type: ignore[arg-type]


def test_seeds_that_failed_are_counted_and_names_are_text() -> None:
    name = "tasks.intent.reads=[slots]|[/data/a]"
    trials = [
        Trial(name, 1, Path(), {MEAN: 0.5, "a": 0.5}),
        Trial(name, 2, Path(), {}, "step 3: nan\nand more"),
    ]
    shown = Console(width=200, file=io.StringIO(), record=True)

    shown.print(Sweep(trials).listed().table())

    assert f"{name} (1 of 2 failed)" in shown.export_text()
    assert (
        Sweep(trials)
        .listed()
        .markdown()
        .splitlines()[2]
        .startswith("| tasks.intent.reads=[slots]\\|[/data/a] (1 of 2 failed) | 0.5000 |")
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"vary": ["train.seed=3"]}, "train.seed: every variant is trained with each seed"),
        ({"seeds": 0}, "seeds: expected at least 1, got 0"),
        ({"overrides": ["train.seed=4"]}, "train.seed: every variant"),
    ],
)
def test_seeds_are_not_for_the_user_to_set(
    toy: Path, tmp_path: Path, options: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        api.sweep(toy, out=tmp_path / "all", **{"vary": ["optimizer.lr=0.1"], **options})  # type: ignore[arg-type]
