"""One or more forms of every estimator for explicit labels."""

from __future__ import annotations

from tacit.methods import Method
from tacit.methods.backward_correction import BackwardCorrection
from tacit.methods.causal_dr import CausalDR
from tacit.methods.causal_fwd import CausalForward
from tacit.methods.causal_ips import CausalIPS
from tacit.methods.cvib import CVIB
from tacit.methods.dr import DR
from tacit.methods.dr_jl import DRJL
from tacit.methods.forward_correction import ForwardCorrection
from tacit.methods.ips import IPS
from tacit.methods.mrdr import MRDR
from tacit.methods.multi_dr import MultiDR
from tacit.methods.multi_ips import MultiIPS
from tacit.methods.naive_observed import NaiveObserved
from tacit.methods.snips import SNIPS
from tacit.methods.stable_dr import StableDR

EVERY: list[Method] = [
    CausalIPS(),
    CausalIPS(self_normalised=True),
    CausalDR(),
    CausalForward(),
    CausalForward(rho01=0.0, rho10=0.0),
    ForwardCorrection(),
    ForwardCorrection(rho01=0.0, rho10=0.3),
    BackwardCorrection(),
    NaiveObserved(),
    IPS(),
    SNIPS(),
    DR(),
    DRJL(),
    MRDR(),
    MultiIPS(),
    MultiDR(),
    StableDR(),
    CVIB(),
]
