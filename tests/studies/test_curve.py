"""`polytask curve`: how many rows sharing saves."""

import json
import math
from pathlib import Path

import pytest
from rich.console import Console

from polytask import api
from polytask.errors import ConfigError
from polytask.studies.curve import Curve, Point
from polytask.studies.significance import Difference

QUIET = Console(quiet=True)


def test_each_number_of_rows_has_models_alone_and_together(toy: Path, tmp_path: Path) -> None:
    found = api.curve(
        toy,
        "intent",
        rows=[40, 10],
        seeds=2,
        out=tmp_path / "curve",
        overrides=["train.epochs=1"],
        console=QUIET,
    )

    assert [point.rows for point in found.points] == [10, 40]
    held = json.loads((tmp_path / "curve" / "curve.json").read_text(encoding="utf-8"))
    assert [point["rows"] for point in held["points"]] == [10, 40]
    few = (tmp_path / "curve/10-rows/together/seed1/experiment.yaml").read_text(encoding="utf-8")
    assert "# data messages, train: 10 records" in few
    assert "# data reviews, train: 40 records" in few
    assert not list((tmp_path / "curve/10-rows/alone").glob("stars*"))
    assert repr(Curve.from_json(json.dumps(held))) == repr(found)
    assert "Learning curve of intent" in (tmp_path / "curve/report.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"task": "intnet"}, "no task 'intnet' to compare. Did you mean 'intent'"),
        ({"task": "intent", "rows": [41]}, "train of messages has 40, so 1 to 40"),
        ({"task": "intent", "rows": [0, 10]}, "so 1 to 40"),
    ],
)
def test_what_cannot_be_drawn_is_told_before_anything_is_trained(
    toy: Path, tmp_path: Path, options: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        api.curve(toy, **options, out=tmp_path / "out", console=QUIET)  # type: ignore[arg-type]

    assert not (tmp_path / "out").exists()


def point(rows: int, alone: float, together: float) -> Point:
    return Point(rows, alone, together, Difference(together - alone, 0.01, 4))


def test_the_rows_that_a_task_alone_would_need_are_read_off_its_own_curve() -> None:
    curve = Curve(
        "x", "accuracy", [point(10, 0.5, 0.6), point(100, 0.7, 0.4), point(1000, 0.7, 0.8)]
    )

    needed = [curve.needed(one) for one in curve.points]

    assert needed[0] == pytest.approx(math.sqrt(10 * 100))  # half-way on the logarithm
    assert math.isnan(needed[1])
    assert math.isinf(needed[2])
    assert [row[-1] for row in curve.listed().rows] == ["32", "fewer than 10", "more than 1,000"]


def test_of_points_that_are_equal_the_one_with_fewest_rows_counts() -> None:
    points = [point(100, 0.9, 0.9), point(300, 1.0, 1.0), point(1000, 1.0, 1.0)]

    assert Curve("x", "accuracy", points).needed(points[2]) == pytest.approx(300)
