"""Balancing: from the losses of a step to gradients. Each kind is one file, named here."""

from collections.abc import Mapping

from polytask.balancing.balancer import Balancer, PassLosses
from polytask.balancing.class_count import ClassCount
from polytask.balancing.dwa import DynamicWeightAverage
from polytask.balancing.famo import FAMO
from polytask.balancing.geometric import Geometric
from polytask.balancing.random import Random
from polytask.balancing.static import Static
from polytask.balancing.tchebycheff import Tchebycheff
from polytask.balancing.uncertainty import Uncertainty
from polytask.balancing.uw_so import SoftOptimalUncertainty

BALANCERS: Mapping[str, type[Balancer]] = {
    "class_count": ClassCount,
    "dwa": DynamicWeightAverage,
    "famo": FAMO,
    "geometric": Geometric,
    "random": Random,
    "static": Static,
    "tchebycheff": Tchebycheff,
    "uncertainty": Uncertainty,
    "uw_so": SoftOptimalUncertainty,
}

__all__ = ["BALANCERS", "Balancer", "PassLosses"]
