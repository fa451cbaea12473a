"""Balancing: from the losses of a step to gradients. Each kind is one file, named here."""

from collections.abc import Mapping

from polytask.balancing.aligned_mtl import AlignedMTL
from polytask.balancing.balancer import Balancer, Passes, PassLosses, Setting
from polytask.balancing.cagrad import CAGrad
from polytask.balancing.class_count import ClassCount
from polytask.balancing.coba import CoBa
from polytask.balancing.config import ConFIG
from polytask.balancing.db_mtl import DBMTL
from polytask.balancing.dualproj import DualProj
from polytask.balancing.dwa import DynamicWeightAverage
from polytask.balancing.fairgrad import FairGrad
from polytask.balancing.famo import FAMO
from polytask.balancing.geometric import Geometric
from polytask.balancing.gradients import GradientBalancer, gradient_section
from polytask.balancing.gradnorm import GradNorm
from polytask.balancing.gradvac import GradVac
from polytask.balancing.gramian import GramianWeighting
from polytask.balancing.imtl_g import IMTLG
from polytask.balancing.mgda import MGDA
from polytask.balancing.nash import NashMTL
from polytask.balancing.pcd import PCD
from polytask.balancing.pcgrad import PCGrad
from polytask.balancing.random import Random
from polytask.balancing.static import Static
from polytask.balancing.tchebycheff import Tchebycheff
from polytask.balancing.torchjd import TorchJD
from polytask.balancing.uncertainty import Uncertainty
from polytask.balancing.upgrad import UPGrad
from polytask.balancing.uw_so import SoftOptimalUncertainty

BALANCERS: Mapping[str, type[Balancer] | type[GramianWeighting]] = {
    "aligned_mtl": AlignedMTL,
    "cagrad": CAGrad,
    "class_count": ClassCount,
    "coba": CoBa,
    "config": ConFIG,
    "db_mtl": DBMTL,
    "dualproj": DualProj,
    "dwa": DynamicWeightAverage,
    "fairgrad": FairGrad,
    "famo": FAMO,
    "geometric": Geometric,
    "gradnorm": GradNorm,
    "gradvac": GradVac,
    "imtl_g": IMTLG,
    "mgda": MGDA,
    "nash": NashMTL,
    "pcd": PCD,
    "pcgrad": PCGrad,
    "random": Random,
    "static": Static,
    "tchebycheff": Tchebycheff,
    "torchjd": TorchJD,
    "uncertainty": Uncertainty,
    "upgrad": UPGrad,
    "uw_so": SoftOptimalUncertainty,
}

__all__ = [
    "BALANCERS",
    "Balancer",
    "GradientBalancer",
    "GramianWeighting",
    "PassLosses",
    "Passes",
    "Setting",
    "gradient_section",
]
