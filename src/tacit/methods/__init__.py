"""What feedback means: one estimator per file. Tensors in, tensors out: no files, no logs, no loops."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tacit.errors import ConfigError, did_you_mean
from tacit.methods.backward_correction import BackwardCorrection
from tacit.methods.bpr import BPR
from tacit.methods.bradley_terry import BradleyTerry
from tacit.methods.causal_dr import CausalDR
from tacit.methods.causal_fwd import CausalForward
from tacit.methods.causal_ips import CausalIPS
from tacit.methods.co_teaching import CoTeaching
from tacit.methods.codis import CoDis
from tacit.methods.constant import Constant
from tacit.methods.context_only import ContextOnly
from tacit.methods.counter_if import CounterIF
from tacit.methods.cubpr import CUBPR
from tacit.methods.cvib import CVIB
from tacit.methods.divide_mix import DivideMix
from tacit.methods.dr import DR
from tacit.methods.dr_jl import DRJL
from tacit.methods.elkan_noto import ElkanNoto
from tacit.methods.eps_softmax import EpsSoftmax
from tacit.methods.forward_correction import ForwardCorrection
from tacit.methods.identification import Identifiability, identifiability_rank
from tacit.methods.ilde import ILDE
from tacit.methods.implicit_rm import ImplicitRM
from tacit.methods.ips import IPS
from tacit.methods.ips_bt import IPSBT
from tacit.methods.kmeidtm import KMEIDTM
from tacit.methods.known_propensity import KnownPropensity
from tacit.methods.kto import KTO
from tacit.methods.label_wave import LabelWave
from tacit.methods.latent import STRATA, strata
from tacit.methods.latent_em import LatentEM
from tacit.methods.latent_ml import LatentML
from tacit.methods.latent_pairs import LatentPairs
from tacit.methods.length import Length
from tacit.methods.level import level_bounds, open_level
from tacit.methods.method import Head, Method, Stage
from tacit.methods.mrdr import MRDR
from tacit.methods.multi_dr import MultiDR
from tacit.methods.multi_ips import MultiIPS
from tacit.methods.naive import Naive
from tacit.methods.naive_observed import NaiveObserved
from tacit.methods.nnpu import NNPU
from tacit.methods.observations import Observations, observations
from tacit.methods.oracle import Oracle
from tacit.methods.prompt_only import PromptOnly
from tacit.methods.pu_balanced import PUBalanced
from tacit.methods.recrec_f import ReCRecF
from tacit.methods.recrec_i import ReCRecI
from tacit.methods.rel_mf import RelMF
from tacit.methods.rel_mf_noclip import RelMFNoClip
from tacit.methods.robust_bt import RobustBT
from tacit.methods.robust_divide_mix import RobustDivideMix
from tacit.methods.sar_em import SAREM
from tacit.methods.sar_ipw import SARIPW
from tacit.methods.snips import SNIPS
from tacit.methods.stable_dr import StableDR
from tacit.methods.ubpr import UBPR
from tacit.methods.upl import UPL
from tacit.methods.upu import UPU
from tacit.methods.vpu import VPU
from tacit.methods.wmf import WMF

__all__ = [
    "BPR",
    "CUBPR",
    "CVIB",
    "DR",
    "DRJL",
    "ILDE",
    "IPS",
    "IPSBT",
    "KMEIDTM",
    "KTO",
    "MRDR",
    "NNPU",
    "SAREM",
    "SARIPW",
    "SNIPS",
    "STRATA",
    "UBPR",
    "UPL",
    "UPU",
    "VPU",
    "WMF",
    "BackwardCorrection",
    "BradleyTerry",
    "CausalDR",
    "CausalForward",
    "CausalIPS",
    "CoDis",
    "CoTeaching",
    "Constant",
    "ContextOnly",
    "CounterIF",
    "DivideMix",
    "ElkanNoto",
    "EpsSoftmax",
    "ForwardCorrection",
    "Head",
    "Identifiability",
    "ImplicitRM",
    "KnownPropensity",
    "LabelWave",
    "LatentEM",
    "LatentML",
    "LatentPairs",
    "Length",
    "Method",
    "MultiDR",
    "MultiIPS",
    "Naive",
    "NaiveObserved",
    "Observations",
    "Oracle",
    "PUBalanced",
    "PromptOnly",
    "ReCRecF",
    "ReCRecI",
    "RelMF",
    "RelMFNoClip",
    "RobustBT",
    "RobustDivideMix",
    "StableDR",
    "Stage",
    "available",
    "get",
    "identifiability_rank",
    "level_bounds",
    "observations",
    "open_level",
    "refuse_borrowed_key",
    "refuse_unread_gold",
    "refuse_unread_misclick",
    "strata",
]

_METHODS: tuple[type[Method], ...] = (
    Naive,
    ImplicitRM,
    LatentML,
    LatentEM,
    LatentPairs,
    KnownPropensity,
    PUBalanced,
    WMF,
    ElkanNoto,
    UPU,
    NNPU,
    VPU,
    SARIPW,
    SAREM,
    RelMF,
    RelMFNoClip,
    ReCRecF,
    ReCRecI,
    CounterIF,
    BPR,
    UBPR,
    CUBPR,
    UPL,
    KTO,
    CausalIPS,
    CausalDR,
    CausalForward,
    NaiveObserved,
    IPS,
    SNIPS,
    DR,
    DRJL,
    MRDR,
    MultiIPS,
    MultiDR,
    StableDR,
    CVIB,
    ForwardCorrection,
    BackwardCorrection,
    CoTeaching,
    CoDis,
    DivideMix,
    RobustDivideMix,
    EpsSoftmax,
    LabelWave,
    KMEIDTM,
    ILDE,
    BradleyTerry,
    RobustBT,
    IPSBT,
    Oracle,
    Constant,
    Length,
    ContextOnly,
    PromptOnly,
)


def available() -> dict[str, type[Method]]:
    """Every estimator by key.

    Example:
        >>> [key for key, method in available().items() if method.setting == "pairwise"]
        ['bradley_terry', 'robust_bt', 'ips_bt']
        >>> available()["ips"]
        <class 'tacit.methods.ips.IPS'>
    """
    return {method.key: method for method in _METHODS}


def get(key: str, parameters: Mapping[str, Any] | None = None) -> Method:
    """The estimator of that key, with its parameters.

    Raises:
        ConfigError: unknown key or parameter.

    Example:
        >>> get("implicit_rm", {"objective": "em"})
        ImplicitRM(objective='em')
    """
    known = available()
    if key not in known:
        raise ConfigError(
            f"unknown method {key!r}{did_you_mean(key, known)}; expected one of {', '.join(sorted(known))}"
        )
    try:
        return known[key](**(parameters or {}))
    except TypeError as error:
        raise ConfigError(f"method {key}: {error}") from None


def refuse_borrowed_key(method: Method) -> None:
    """Raise if an estimator bears the key of another class: its models would be saved, loaded and judged as that one's.

    Raises:
        ConfigError: it does.

    Example:
        >>> class Mine(Naive):
        ...     "Forgot to say `key`."
        >>> refuse_borrowed_key(Mine())
        Traceback (most recent call last):
        tacit.errors.ConfigError: Mine has the key 'naive', which is that of tacit's Naive; give it one of its own: ...
    """
    owner = available().get(method.key)
    if owner is not None and type(method) is not owner:
        raise ConfigError(
            f"{type(method).__name__} has the key {method.key!r}, which is that of tacit's {owner.__name__}; give it "
            f"one of its own: key = 'my_{method.key}'"
        )


def refuse_unread_gold(method: Method) -> None:
    """Raise if a fit is asked to learn from trusted labels by a method that would leave them unread.

    Raises:
        ConfigError: it would; the message names the methods that learn from them.

    Example:
        >>> refuse_unread_gold(get("latent_ml"))
        >>> refuse_unread_gold(get("naive"))
        Traceback (most recent call last):
        tacit.errors.ConfigError: naive does not learn from trusted labels, which ...
    """
    if not method.uses_gold:
        able = ", ".join(key for key, kind in available().items() if kind.uses_gold)
        raise ConfigError(
            f"{method.key} does not learn from trusted labels, which would change nothing; expected one of {able}, or "
            "a fit without them (no --gold, no use_gold)"
        )


def refuse_unread_misclick(method: Method, obs: Observations) -> None:
    """Raise if a signal's known rate of mistakes would be left unread.

    Raises:
        ConfigError: it would; the message names the methods that read it.

    Example:
        >>> import torch
        >>> clicks = observations(torch.tensor([1.0, 0.0]), misclick=[0.02])
        >>> refuse_unread_misclick(get("latent_ml"), clicks)
        >>> refuse_unread_misclick(get("implicit_rm"), clicks)
        Traceback (most recent call last):
        tacit.errors.ConfigError: implicit_rm does not read the misclick rate 0.02 of signal 0, which would change ...
    """
    k = next((k for k, rate in enumerate(obs.misclick) if rate), None)
    if k is not None and not method.reads_misclicks:
        able = ", ".join(key for key, kind in available().items() if kind.reads_misclicks)
        raise ConfigError(
            f"{method.key} does not read the misclick rate {obs.misclick[k]:g} of {obs.called(k)}, which would change "
            f"nothing; expected one of {able}, or a signal without it"
        )
