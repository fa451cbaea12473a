"""Answers that are given where at most a declared share may be wrong."""

from collections.abc import Sequence

import numpy as np
import pytest

from polytask.data.records import Record
from polytask.evaluation.risk import fit_risk, given
from polytask.heads import Prediction
from polytask.heads.classify import Classify

RECORDS: list[Record] = [{"text": "x", "label": label} for label in ("a", "b")]


def head() -> Classify:
    made = Classify(text="text", out_of_scope="none")
    made.fit(RECORDS)
    return made


def answers(num: int, seed: int) -> tuple[list[str], list[Prediction]]:
    """Answers right as often as they say, from 0.5 to 1."""
    generator = np.random.default_rng(seed)
    chances = generator.uniform(0.5, 1, num)
    right = generator.uniform(size=num) < chances
    golds = ["a" if one else "b" for one in right]
    return golds, [{"label": "a", "probability": float(chance)} for chance in chances]


def marked(found: Sequence[Prediction], threshold: float) -> list[Prediction]:
    return [{**one, "is_sure": one["probability"] >= threshold} for one in found]  # type: ignore[operator]


def test_on_the_other_half_the_risk_is_held_19_times_in_20() -> None:
    made, wrongs = head(), []
    for seed in range(200):
        golds, found = answers(2000, seed)
        fit_risk(made, golds[:1000], found[:1000], 0.1)
        assert made.sure_from is not None
        told = given(made, golds[1000:], marked(found[1000:], made.sure_from))
        assert told is not None
        wrongs.append(told.wrong)

    assert np.mean(np.array(wrongs) > 0.1) < 0.25  # the half that is judged errs, too
    assert np.mean(wrongs) < 0.1


def test_a_true_risk_above_the_declared_one_is_rare() -> None:
    made, true_risks = head(), []
    for seed in range(400):
        fit_risk(made, *answers(1000, seed), 0.1)
        assert made.sure_from is not None
        # Answers state 0.5 to 1 alike often and are true: above t they are wrong (1 - t) / 2 often.
        true_risks.append((1 - min(made.sure_from, 1.0)) / 2)

    assert np.mean(np.array(true_risks) > 0.1) <= 0.06
    assert np.median(true_risks) > 0.03


def test_no_answer_is_sure_where_none_can_be() -> None:
    made = head()
    golds, found = ["b"] * 100, [{"label": "a", "probability": 0.99}] * 100

    told = fit_risk(made, golds, found, 0.05)

    assert made.sure_from is not None
    assert made.sure_from > 1
    assert told == "at most 5.0% wrong among sure answers: none is sure enough"


def test_answers_to_texts_out_of_scope_are_wrong_unless_they_are_told() -> None:
    found: list[Prediction] = [
        {"label": "a", "probability": 0.9, "is_out_of_scope": is_told, "is_sure": not is_told}
        for is_told in (False, True)
    ]

    told = given(head(), ["none", "none"], found)

    assert told is not None
    assert (told.answered, told.wrong) == (0.5, 1.0)


@pytest.mark.parametrize("num", [0, 5])
def test_few_rows_make_nothing_sure(num: int) -> None:
    made = head()

    fit_risk(made, ["a"] * num, [{"label": "a", "probability": 0.99}] * num, 0.05)

    assert made.sure_from is not None
    assert made.sure_from > 1
