"""A table of scores is plain data."""

import dataclasses
import json
import math

import pytest

from polytask.metrics.table import Row, Table


def test_a_score_without_enough_data_is_written_as_null() -> None:
    table = Table(
        rows=(Row("good", 0.5, 1.0, math.nan, 2),),
        averages=(Row("macro average", math.nan, 0.0, 0.25, 2),),
    )

    written = json.dumps(table.to_json(), allow_nan=False)

    good = {"label": "good", "precision": 0.5, "recall": 1.0, "f1": None, "support": 2}
    macro = {"label": "macro average", "precision": None, "recall": 0.0, "f1": 0.25, "support": 2}
    assert json.loads(written) == {"rows": [good], "averages": [macro]}


def test_a_row_does_not_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Row("good", 0.5, 1.0, 0.5, 2).f1 = 1.0  # type: ignore[misc]
