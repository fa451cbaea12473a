"""Brings public data sets into the form of some recipes: other contexts, candidates, relations.

    python benchmarks/prepare.py xquad_en …

Reads $POLYTASK_DATA and writes to $POLYTASK_PREPARED, by default `runs/prepared`. The same data
gives the same files: what is drawn at random is drawn from a fixed seed, for each split apart.
"""

import argparse
import json
import os
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import cast

from _common import ROOT

SPLITS = ("train", "dev", "test")
NUM_UNANSWERABLE = 4
"""Of so many questions one gets, once more, the passage of another."""

NUM_NEGATIVES = 9
"""So many replies of others stand beside the right one."""

Row = dict[str, object]
Make = Callable[[list[Row], random.Random], Iterable[Row]]


def main() -> None:
    """Writes the prepared data sets."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", nargs="+", choices=sorted(MAKERS))
    source = Path(os.environ.get("POLYTASK_DATA", ROOT / "../shared/data"))
    target = Path(os.environ.get("POLYTASK_PREPARED", ROOT / "runs/prepared"))
    for name in parser.parse_args().sets:
        for split in SPLITS:
            lines = (source / name / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
            draw = random.Random(split)  # noqa: S311
            made = list(MAKERS[name](list(map(json.loads, lines)), draw))
            file = target / name / f"{split}.jsonl"
            file.parent.mkdir(parents=True, exist_ok=True)
            text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in made)
            file.write_text(text, encoding="utf-8")
            print(f"{file}: {len(made)} rows")


def with_unanswerable(rows: list[Row], draw: random.Random) -> Iterator[Row]:
    """Every question, and some once more, with a passage of another title and without an answer."""
    keys = ("context", "question", "answers")
    for row in rows:
        yield {key: row[key] for key in keys}
        if not draw.randrange(NUM_UNANSWERABLE):
            other = draw.choice([one for one in rows if _about(one) != _about(row)])
            yield {"context": other["context"], "question": row["question"], "answers": []}


def with_negatives(rows: list[Row], draw: random.Random) -> Iterator[Row]:
    """Each text with its own reply and others', in random order."""
    key = "context" if "context" in rows[0] else "question"
    replies = sorted({str(row["response"]) for row in rows})
    for row in rows:
        others = draw.sample([one for one in replies if one != row["response"]], NUM_NEGATIVES)
        place = draw.randrange(NUM_NEGATIVES + 1)
        candidates = [*others[:place], row["response"], *others[place:]]
        grades = [float(one == place) for one in range(len(candidates))]
        yield {"text": row[key], "candidates": candidates, "label": place, "grades": grades}


def by_author(rows: list[Row], draw: random.Random) -> Iterator[Row]:
    """The books of each author of several, in random order, with their ratings."""
    books: dict[str, list[Row]] = {}
    for row in rows:
        books.setdefault(str(row["authors"]), []).append(row)
    for author, some in books.items():
        if len(some) > 1:
            draw.shuffle(some)
            titles, ratings = [one["text"] for one in some], [one["score"] for one in some]
            yield {"text": author, "candidates": titles, "grades": ratings}


def with_graphs(rows: list[Row], _: random.Random) -> Iterator[Row]:
    """Each text with its two entities, and their relation from head to tail if there is one."""
    for row in rows:
        marked = [cast(Mapping[str, object], row[key]) for key in ("e1", "e2")]
        entities = [{"start": e["start"], "end": e["end"], "label": "entity"} for e in marked]
        name, __, direction = str(row["label"]).partition("(")
        head = int(direction.startswith("e2"))
        relation = {"head": head, "tail": 1 - head, "label": name}
        has_relation = name not in ("Other", "unknown")
        yield {"text": row["text"], "entities": entities, "relations": [relation] * has_relation}


def with_typed_entities(rows: list[Row], _: random.Random) -> Iterator[Row]:
    """Each text with its entities, whose type is the sentiment about them.

    A text of which the data do not say where an entity stands is left out.
    """
    for row in rows:
        aspects = cast(list[Mapping[str, object]], row["aspects"])
        if all(one["start"] is not None for one in aspects):
            spans = [
                {"start": one["start"], "text": one["entity"], "label": one["sentiment"]}
                for one in aspects
            ]
            yield {"text": row["text"], "spans": spans}


def by_characters(rows: list[Row], _: random.Random) -> Iterator[Row]:
    """The characters of each sentence, and whether each begins a word (B) or goes on (I)."""
    for row in rows:
        words = cast(list[str], row["tokens"])
        tags = [f"{'I' if place else 'B'}-word" for word in words for place, _c in enumerate(word)]
        yield {"characters": list("".join(words)), "tags": tags}


def _about(row: Row) -> object:
    return row.get("title", row["context"])


MAKERS: Mapping[str, Make] = {
    "cmrc2018": with_unanswerable,
    "covid_faq": with_negatives,
    "finre": with_graphs,
    "goodbooks_items": by_author,
    "kdconv": with_negatives,
    "semeval2010_task8": with_graphs,
    "sentfin": with_typed_entities,
    "sgd_response": with_negatives,
    "ud_chinese_mix": by_characters,
    "xquad_en": with_unanswerable,
}

if __name__ == "__main__":
    main()
