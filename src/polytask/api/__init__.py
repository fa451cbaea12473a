"""The verbs of the library, one function per command."""

from polytask.api.runs import check, evaluate, mistakes, predict, report, schema, train
from polytask.api.samples import SAMPLES, quickstart, sample
from polytask.api.studies import affinity, compare, curve, group, sweep
from polytask.evaluation.check import Check
from polytask.ship.evaluation import Evaluation
from polytask.ship.info import info
from polytask.ship.predictor import Predictor, load
from polytask.ship.report import check_tables
from polytask.studies.comparison import Comparison
from polytask.studies.report import REPORT
from polytask.training.run import Trained

__all__ = [
    "REPORT",
    "SAMPLES",
    "Check",
    "Comparison",
    "Evaluation",
    "Predictor",
    "Trained",
    "affinity",
    "check",
    "check_tables",
    "compare",
    "curve",
    "evaluate",
    "group",
    "info",
    "load",
    "mistakes",
    "predict",
    "quickstart",
    "report",
    "sample",
    "schema",
    "sweep",
    "train",
]
