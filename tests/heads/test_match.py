import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as nnf

from head_inputs import inputs_of
from polytask.api import load, train
from polytask.data.records import Record
from polytask.errors import ConfigError, DataError
from polytask.heads.match import Match

PAIRS: list[Record] = [
    {"a": "who", "b": "Ann", "no": ["Bob", "Oslo"], "score": 3.0},
    {"a": "where", "b": "here", "no": None, "score": 1.0},
    {"a": "whose", "b": "Ann", "no": None, "score": None},
]
NAMED: list[Record] = [
    {"a": "who", "label": "x"},
    {"a": "where", "label": "y"},
    {"a": "whose", "label": "x"},
    {"a": "when", "label": None},
]


def vectors(num: int, width: int = 6) -> torch.Tensor:
    torch.manual_seed(3)
    return torch.randn(num, width)


def cosines(rows: torch.Tensor) -> torch.Tensor:
    normal = nnf.normalize(rows, dim=1)
    return normal @ normal.T


def test_a_pair_is_told_from_the_other_second_texts_and_all_negatives() -> None:
    head = Match(text=["a", "b"], negatives="no", temperature=0.5)
    inputs = inputs_of(head, *PAIRS)
    assert inputs.owners.tolist() == [0, 0, 0, 0, 1, 1, 2, 2]
    rows = vectors(8)

    loss = head.loss(rows, head.targets(PAIRS, inputs))

    near = cosines(rows) / 0.5
    # Rows 1 and 7 hold the same text, so neither is wrong for the other's query.
    candidates = {0: [1, 2, 3, 5], 4: [5, 1, 2, 3, 7], 6: [7, 2, 3, 5]}
    expected = sum(
        float(near[query, some].logsumexp(0) - near[query, some[0]])
        for query, some in candidates.items()
    )
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_texts_of_a_label_are_told_from_the_others() -> None:
    head = Match(text="a", label="label", temperature=0.5)
    rows = vectors(4)

    targets = head.targets(NAMED, inputs_of(head, *NAMED))
    loss = head.loss(rows, targets)

    near = cosines(rows) / 0.5
    expected = sum(
        float(near[one, [0, 1, 2][:one] + [0, 1, 2][one + 1 :]].logsumexp(0) - near[one, other])
        for one, other in ((0, 2), (2, 0))
    )
    assert head.count(targets) == 3
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_graded_pairs_are_put_in_order() -> None:
    head = Match(text=["a", "b"], score="score", temperature=0.5)
    rows = vectors(6)

    loss = head.loss(rows, head.targets(PAIRS, inputs_of(head, *PAIRS)))

    near = cosines(rows) / 0.5
    gap = float(near[2, 3] - near[0, 1])  # the second pair must be less alike than the first
    assert loss.item() == pytest.approx(2 * math.log1p(math.exp(gap)), rel=1e-5)


def test_the_first_numbers_of_a_vector_are_trained_to_serve_alone() -> None:
    inputs = inputs_of(Match(text=["a", "b"]), *PAIRS)
    rows = vectors(6)

    def loss(part: torch.Tensor, **options: list[int]) -> float:
        head = Match(text=["a", "b"], **options)
        return head.loss(part, head.targets(PAIRS, inputs)).item()

    both = (loss(rows) + loss(rows[:, :2])) / 2
    assert loss(rows, sizes=[2]) == pytest.approx(both, rel=1e-5)


def test_second_texts_are_looked_for_once_each() -> None:
    head = Match(text=["a", "b"])
    found = [
        {"similarity": 1.0, "embeddings": [[1.0, 0.0], [1.0, 0.0]]},
        {"similarity": 1.0, "embeddings": [[0.0, 1.0], [0.0, 1.0]]},
        {"similarity": 0.0, "embeddings": [[0.0, 1.0], [1.0, 0.0]]},
    ]

    scores = head.score([head.gold(record) for record in PAIRS], found)

    assert scores.metrics["hit_1"] == pytest.approx(2 / 3)
    assert scores.metrics["mrr"] == pytest.approx((1 + 1 + 1 / 2) / 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"text": "a"}, "name two columns of `text:`, or one and a `label:`"),
        ({"text": ["a", "b"], "label": "c"}, "name two columns of `text:`, or one and a `label:`"),
        (
            {"text": "a", "label": "c", "score": "d"},
            "`score:` and `negatives:` belong to two columns of `text:`",
        ),
        (
            {"text": ["a", "b"], "negatives": "c", "score": "d"},
            "graded pairs (`score:`) have no `negatives:`",
        ),
        ({"text": ["a", "b"], "sizes": [0]}, "`sizes:` are at least 1, got [0]"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as fault:
        Match(**options)  # type: ignore[arg-type]

    assert str(fault.value) == message


def test_a_size_above_the_width_is_refused() -> None:
    with pytest.raises(ConfigError) as fault:
        Match(text=["a", "b"], sizes=[64]).attach(32)

    assert str(fault.value) == "`sizes: [64]` are more than the encoder's width 32"


def test_a_label_must_come_twice_and_scores_must_differ() -> None:
    with pytest.raises(DataError) as label:
        Match(text="a", label="label").fit(NAMED[:2])
    with pytest.raises(DataError) as score:
        Match(text=["a", "b"], score="score").fit(PAIRS[:1])

    assert str(label.value) == "column 'label' holds no label twice"
    assert str(score.value) == "column 'score' needs two different numbers to learn from"


def test_a_model_of_pairs_gives_vectors_of_single_texts(tmp_path: Path) -> None:
    text = "".join(json.dumps(record) + "\n" for record in PAIRS * 3)
    (tmp_path / "rows.jsonl").write_text(text, encoding="utf-8")
    (tmp_path / "faq.yaml").write_text(
        "encoder: {kind: scratch, layers: 1, width: 16, vocabulary: 128, max_tokens: 16}\n"
        "data: {faq: {train: rows.jsonl, dev: rows.jsonl}}\n"
        "tasks: {same: {kind: match, data: faq, text: [a, b], negatives: 'no'}}\n"
        "train: {max_steps: 2, device: cpu}\n",
        encoding="utf-8",
    )
    train(tmp_path / "faq.yaml", out=tmp_path / "run")
    model = load(tmp_path / "run")

    found = model.embed(["who", "Ann", "哪里"])

    assert found.shape == (3, 16)
    assert np.linalg.norm(found, axis=1) == pytest.approx(1.0, abs=1e-5)
    answer = model(("who", "Ann"))["same"]
    assert answer["similarity"] == pytest.approx(float(found[0] @ found[1]), abs=1e-4)
    assert model.embed([]).shape == (0, 16)
