"""Heads: one file per kind of task. This dict names them; nothing outside the folder asks which."""

from collections.abc import Mapping

from polytask.heads.answer import AnswerSpan
from polytask.heads.choose import Choose
from polytask.heads.classify import Classify
from polytask.heads.extract import Extract
from polytask.heads.fill import Fill
from polytask.heads.head import IGNORE, Gold, Head, Plain, Prediction, Scores, TokenHead, pool_mean
from polytask.heads.lemma import Lemma
from polytask.heads.match import Match
from polytask.heads.multilabel import Multilabel
from polytask.heads.ordinal import Ordinal
from polytask.heads.parse import Parse
from polytask.heads.probable import Chance, Decode, LabelledHead, ProbableHead, raw
from polytask.heads.rank import Rank
from polytask.heads.reading import ALONE, NOTHING, Agrees, ReadableHead, Reader, Reads
from polytask.heads.regress import Regress
from polytask.heads.relate import Relate
from polytask.heads.scope import ScopedHead, Seen
from polytask.heads.spans import Spans
from polytask.heads.tag import Tag

HEADS: Mapping[str, type[Head]] = {
    "answer": AnswerSpan,
    "choose": Choose,
    "classify": Classify,
    "extract": Extract,
    "fill": Fill,
    "lemma": Lemma,
    "match": Match,
    "multilabel": Multilabel,
    "ordinal": Ordinal,
    "parse": Parse,
    "rank": Rank,
    "regress": Regress,
    "relate": Relate,
    "spans": Spans,
    "tag": Tag,
}

__all__ = [
    "ALONE",
    "HEADS",
    "IGNORE",
    "NOTHING",
    "Agrees",
    "Chance",
    "Decode",
    "Gold",
    "Head",
    "LabelledHead",
    "Plain",
    "Prediction",
    "ProbableHead",
    "ReadableHead",
    "Reader",
    "Reads",
    "ScopedHead",
    "Scores",
    "Seen",
    "TokenHead",
    "pool_mean",
    "raw",
]
