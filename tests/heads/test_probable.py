"""Probabilities that are made true: temperatures, curves, and what is out of scope."""

import numpy as np
import pytest
import torch

from polytask.data.records import Record
from polytask.errors import ConfigError
from polytask.heads.classify import Classify
from polytask.heads.multilabel import Multilabel
from polytask.heads.scope import Scope, Seen, scope_metrics
from polytask.heads.tag import Tag

LABELS = ["a", "b", "c"]
THREE: list[Record] = [{"text": "x", "label": label} for label in LABELS]


def classifier(**options: object) -> Classify:
    head = Classify(text="text", **options)  # type: ignore[arg-type]
    head.fit(THREE)
    head.attach(4)
    return head.eval()


def drawn(num: int, *, sharper: float) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Logits so many times too sharp, and labels that follow the true ones."""
    generator = torch.Generator().manual_seed(0)
    true = 2 * torch.randn(num, len(LABELS), generator=generator)
    labels = torch.multinomial(true.softmax(1), 1, generator=generator).squeeze(1)
    return sharper * true, {"labels": labels}


@pytest.mark.parametrize("sharper", [0.4, 1.0, 3.0])
def test_the_temperature_undoes_how_much_too_sharp_logits_are(sharper: float) -> None:
    head = classifier()
    logits, targets = drawn(20000, sharper=sharper)

    halves = [
        head.evidence(logits[part], {"labels": targets["labels"][part]})
        for part in (slice(0, 7000), slice(7000, None))
    ]
    head.calibrate(halves)

    assert head.temperature == pytest.approx(sharper, rel=0.06)


def test_a_few_answers_that_are_all_right_move_the_temperature_little() -> None:
    head = classifier()
    logits = torch.tensor([[3.0, 0.0, 0.0]] * 5)

    head.calibrate([head.evidence(logits, {"labels": torch.zeros(5, dtype=torch.long)})])

    assert 0.5 < head.temperature < 1


def test_the_temperature_is_a_part_of_the_weights() -> None:
    head, other = classifier(), classifier()
    head.calibrate([head.evidence(*drawn(500, sharper=3.0))])

    other.load_state_dict(head.state_dict())

    assert other.temperature == head.temperature > 2


def test_marginals_of_a_crf_are_those_of_all_its_sequences() -> None:
    torch.manual_seed(0)
    head = Tag(words="words", decoder="crf")
    head.fit([{"words": ["x", "y"], "tags": ["N", "V"]}])
    head.attach(4)
    crf = head.each[0].crf
    assert crf is not None
    torch.nn.init.normal_(crf.transitions)
    torch.nn.init.normal_(crf.starts)
    emissions = torch.randn(1, 4, 2)
    mask = torch.tensor([[True, False, True, True]])
    temperature = 1.7

    found = crf.marginals(emissions, mask, temperature)

    expected = torch.zeros(4, 2)
    total = 0.0
    for path in np.ndindex(2, 2, 2):
        tags = torch.tensor([[path[0], 0, path[1], path[2]]])
        chance = crf.log_likelihood(emissions, tags, mask, temperature).exp().item()
        total += chance
        for word, tag in zip((0, 2, 3), path, strict=True):
            expected[word, tag] += chance
    assert total == pytest.approx(1.0, abs=1e-5)
    torch.testing.assert_close(found[0], expected, atol=1e-5, rtol=0)


def test_curves_of_labels_make_shares_true() -> None:
    head = Multilabel(text="text", threshold=0.5)
    head.fit([{"text": "x", "labels": ["a", "b"]}])
    head.attach(4)
    generator = np.random.default_rng(0)
    stated = generator.uniform(size=(4000, 2))
    fits = generator.uniform(size=(4000, 2)) < stated**2  # right less often than it says
    logits = torch.from_numpy(np.log(stated / (1 - stated))).float()

    head.calibrate([head.evidence(logits, {"labels": torch.from_numpy(fits).float()})])
    prediction = head._prediction([0.6, 0.3])

    assert prediction["labels"] == ["a"]  # the threshold is that of before
    assert prediction["probabilities"] == {
        "a": pytest.approx(0.36, abs=0.04),
        "b": pytest.approx(0.09, abs=0.04),
    }


def clusters(num: int, *, outside: int = 0) -> Seen:
    """Three classes around three points, and texts around a fourth that is as far from all."""
    generator = torch.Generator().manual_seed(num)
    labels = torch.arange(num) % 3
    centres = 4 * torch.eye(3)[labels]
    states = torch.cat([centres, torch.full((outside, 3), -2.0)])
    states = states + 0.5 * torch.randn(states.shape, generator=generator)
    return Seen(states.clone(), states, torch.cat([labels, torch.full((outside,), -1)]))


def test_the_score_that_tells_dev_best_is_kept_with_its_threshold() -> None:
    scope = Scope(false_rejects=0.1)

    told = scope.fit(clusters(300), clusters(200, outside=50))
    test = clusters(250, outside=60)
    strange = scope.scores(test.logits, test.states) > scope.threshold

    assert "AUROC on dev probability" in told
    assert strange[test.labels < 0].float().mean() > 0.95
    assert strange[test.labels >= 0].float().mean() == pytest.approx(0.1, abs=0.06)


@pytest.mark.parametrize("kind", ["probability", "energy", "neighbours", "mahalanobis"])
def test_a_scope_comes_back_from_its_facts_and_weights(kind: str) -> None:
    scope, other = Scope(false_rejects=0.1), Scope(false_rejects=0.1)
    scope.fit(clusters(300), clusters(200))
    scope.kind = kind
    if kind == "neighbours":
        scope.register_buffer("texts", clusters(300).states)
        scope.shapes["texts"] = [300, 3]

    other.restore(scope.facts())
    other.attach()
    other.load_state_dict(scope.state_dict())
    test = clusters(50)

    torch.testing.assert_close(
        other.scores(test.logits, test.states), scope.scores(test.logits, test.states)
    )


def test_without_examples_the_scope_goes_by_distance() -> None:
    scope = Scope(false_rejects=0.1)

    scope.fit(clusters(300), clusters(200, outside=5))

    assert scope.kind == "mahalanobis"


def test_the_label_out_of_scope_is_not_learned_and_not_scored() -> None:
    head = Classify(text="text", out_of_scope="none")
    rows: list[Record] = [*THREE, {"text": "x", "label": "none"}]

    head.fit(rows)
    head.attach(4)
    targets = head.targets(rows, None)  # type: ignore[arg-type]

    assert head.one.labels == LABELS
    assert head.count(targets) == 3
    assert targets["is_outside"].tolist() == [False, False, False, True]
    assert head.problem(rows[3]) is None
    answers = [{"label": label, "probability": 0.5} for label in ["a", "b", "a", "a"]]
    scores = head.score([head.gold(row) for row in rows], answers)
    assert (scores.metrics["accuracy"], scores.count) == (pytest.approx(2 / 3), 3)
    assert head.chances("none", answers[3]) == []


def test_labels_that_name_what_is_out_of_scope_are_refused() -> None:
    with pytest.raises(ConfigError, match="names 'none', which is out of scope"):
        Classify(text="text", labels=["a", "none"], out_of_scope="none")


def test_scores_of_what_is_out_of_scope_are_shares() -> None:
    found: list[dict[str, object]] = [
        {"is_out_of_scope": one > 2, "strangeness": one} for one in (1.0, 3.0, 4.0, 2.0)
    ]

    metrics = scope_metrics([False, False, True, True], found)

    assert metrics == {
        "out_of_scope_auroc": 0.75,
        "out_of_scope_recall": 0.5,
        "false_rejects": 0.5,
    }


def test_without_a_text_in_scope_in_dev_nothing_is_told() -> None:
    scope = Scope(false_rejects=0.1)

    told = scope.fit(clusters(300), clusters(0, outside=30))

    assert scope.kind is None
    assert "dev has no text in scope" in told


def test_classes_of_one_text_each_have_distances_too() -> None:
    scope = Scope(false_rejects=0.1)

    scope.fit(clusters(3), clusters(200))
    test = clusters(50)

    assert scope.scores(test.logits, test.states).isfinite().all()


def test_strangeness_does_not_hang_on_the_texts_beside() -> None:
    scope = Scope(false_rejects=0.1)
    train, dev, test = (
        Seen(one.logits, one.states + 1000, one.labels)
        for one in (clusters(300), clusters(200), clusters(64))
    )
    scope.fit(train, dev)

    together = scope.scores(test.logits, test.states)
    alone = [scope.scores(test.logits[i : i + 1], test.states[i : i + 1]) for i in range(64)]

    torch.testing.assert_close(torch.cat(alone), together)


def test_a_sentence_that_a_crf_rules_out_says_nothing_of_its_temperature() -> None:
    head = Tag(words="words", decoder="crf")
    head.fit([{"words": ["x", "y", "z"], "tags": ["B-a", "I-a", "O"]}])
    head.attach(4)
    labels = head.each[0].labels
    legal = torch.tensor([[labels.index(tag) for tag in ("B-a", "I-a", "O")]] * 40)
    broken = torch.tensor([[labels.index(tag) for tag in ("O", "I-a", "O")]])
    logits = 4 * torch.nn.functional.one_hot(torch.cat([legal, broken]), len(labels)).float()

    without = head.evidence(logits[:40], {"labels": legal.unsqueeze(2)})
    evidence = head.evidence(logits, {"labels": torch.cat([legal, broken]).unsqueeze(2)})

    np.testing.assert_allclose(evidence, without, rtol=1e-5)
