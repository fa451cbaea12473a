"""Nearest neighbours in train of each text of test: how often the nearest has the same label.

    python benchmarks/retrieval.py runs/recipes/banking77_match-seed1

Prints a Markdown table and one JSON line: the trained model, the same encoder untrained, and TF-IDF
of words, each by cosine. The files are those of the run's experiment.
"""

import argparse
from pathlib import Path

import numpy as np
from _common import Target, print_closing_line, write_section
from sklearn.feature_extraction.text import TfidfVectorizer

from polytask import api
from polytask.build import load_data, make_model, read_experiment
from polytask.data.records import Records
from polytask.data.tables import default_cache
from polytask.metrics.retrieval import retrieval_metrics
from polytask.ship.predictor import Predictor

TASK = "intent"
BAR = 0.94


def main() -> None:
    """Measures the three."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="folder of a run of recipes/banking77_match.yaml")
    parser.add_argument("--table", type=Path, help="Markdown file to put the table into")
    options = parser.parse_args()
    experiment = read_experiment(options.run / "experiment.yaml")
    data = load_data(experiment, cache=default_cache())
    (splits,) = data.values()
    train, test = texts_of(splits.train), texts_of(splits.test)
    groups, wanted = numbered(labels_of(splits.train), labels_of(splits.test))
    untrained = Predictor(make_model(experiment, data, print), experiment)
    words = TfidfVectorizer(sublinear_tf=True).fit(train)
    sides = {
        "trained": [api.load(options.run).embed(texts) for texts in (test, train)],
        "untrained": [untrained.embed(texts) for texts in (test, train)],
        "tfidf": [words.transform(texts).toarray().astype(np.float32) for texts in (test, train)],
    }
    found = {name: retrieval_metrics(*both, wanted, groups) for name, both in sides.items()}
    names = list(found["trained"])
    lines = [f"| vectors | {' | '.join(names)} |", "| --- |" + " ---: |" * len(names)]
    for name, metrics in found.items():
        shown = " | ".join(f"{100 * metrics[one]:.2f}" for one in names)
        lines.append(f"| {name} | {shown} |")
    table = "\n".join(lines)
    print(table)
    if options.table:
        write_section(options.table, "Retrieval: nearest training text", table)
    figures = {f"{name}.hit_1": metrics["hit_1"] for name, metrics in found.items()}
    print_closing_line(figures, {"trained.hit_1": Target(">=", BAR)})


def texts_of(records: Records | None) -> list[str]:
    """The texts of a split."""
    assert records is not None  # noqa: S101
    return [str(row["text"]) for some in records.batches(["text"]) for row in some]


def labels_of(records: Records | None) -> list[str]:
    """The labels of a split."""
    assert records is not None  # noqa: S101
    return [str(row["label"]) for some in records.batches(["label"]) for row in some]


def numbered(*sides: list[str]) -> list[np.ndarray]:
    """A number for each label, the same on all sides."""
    names = sorted({label for side in sides for label in side})
    return [np.array([names.index(label) for label in side], np.int64) for side in sides]


if __name__ == "__main__":
    main()
