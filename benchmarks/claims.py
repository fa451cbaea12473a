"""Do tasks that are said to help each other do so? Each pair together and alone.

Every file of recipes/claims: at most 1,000 rows of each set, three seeds, models of their own
up to three times as many epochs if dev asks for them. Prints what `polytask compare` found, and
with --docs writes it into docs/claims.md. Goes on where it was stopped.

    python benchmarks/prepare.py xquad_en
    python benchmarks/claims.py --docs docs/claims.md
"""

import argparse
from pathlib import Path

from _common import RECIPES, ROOT, print_closing_line, write_section
from rich.console import Console

from polytask import api
from polytask.studies.comparison import Comparison
from polytask.studies.language import ENGLISH

CLAIMS = {
    "sentiment_intensity": "Sentiment class and intensity",
    "classification_similarity": "Classification and similarity",
    "answers_similarity": "Question answering and similarity",
    "entities_classification": "Entity extraction and text classification",
    "entities_sentiment_retrieval": "Entities, sentiment and retrieval",
    "relations_entities": "Relations and entities",
}
SEEDS = 3


def section(name: str, found: Comparison) -> str:
    """The sentences and the table of scores."""
    scores = found.tables(ENGLISH)[0].markdown()
    return f"`recipes/claims/{name}.yaml`. {' '.join(found.summary())}\n\n{scores}"


def main() -> None:
    """Compares each pair, prints a row for each task, then the closing line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", default=list(CLAIMS))
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "claims")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--docs", type=Path)
    asked = parser.parse_args()
    figures = {}
    for name in asked.names:
        found = api.compare(
            RECIPES / "claims" / f"{name}.yaml",
            seeds=SEEDS,
            jobs=asked.jobs,
            out=asked.out / name,
            console=Console(stderr=True),
        )
        found.show(Console())
        if asked.docs:
            write_section(asked.docs, CLAIMS[name], section(name, found))
        figures |= {f"{name}.{task}": row.difference.mean for task, row in found.rows.items()}
    print_closing_line(figures, {})


if __name__ == "__main__":
    main()
