"""A saved model on a log as it is: scores, likelihood of the signals, and how much of the log it was fitted to."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tacit.data import FeedbackLog, KnownPairs, Roles, Signal
from tacit.errors import ConfigError, DataError
from tacit.evaluation.table import Floats, Predictions, Protocol
from tacit.features import EmbeddingStore, style_features
from tacit.methods import Observations
from tacit.methods.columns import nuisance_columns
from tacit.model import FittedScorer, RewardModel
from tacit.training.log_rows import observe, resolved

_REFITS = "--folds 5"


@dataclass(frozen=True)
class Overlap:
    """How much of a log is rows of the fit.

    Attributes:
        share: of the rows; None where it is not known.
        exact: whether it was counted, not estimated from a sample of the fit's rows.
    """

    share: float | None
    exact: bool = True

    @property
    def protocol(self) -> Protocol:
        """What it makes of a model that read no clean label."""
        if not self.share:
            return "honest"
        return "in-sample" if self.share == 1 else "partly in-sample"

    def describe(self, *, refits: bool = True, of: str = "") -> str:
        """What has to be said of it in one line; nothing, if there is none.

        Args:
            refits: the model can be refitted.
            of: the model's name, where it stands beside another.
        """
        fit = f"the fit of {of}" if of else "the fit"
        if self.share is None:
            return f"Whether rows of {fit} are among these is not known."
        if self.share == 0:
            return ""
        flattered = f"{'its ' if of else ''}scores are flattered"
        if self.share == 1:
            return f"These are the rows of {fit}: {flattered}. Use {_REFITS if refits else 'other rows'}."
        about = "" if self.exact else "about "
        amount = f"{about}{100 * self.share:.1f} %" if self.share >= 0.001 else "less than 0.1 %"
        mend = f"{_REFITS}, or other rows" if refits else "other rows"
        return f"Of these rows {amount} are rows of {fit}: {flattered}. Use {mend}."


NONE = Overlap(0.0)
"""No row of the log."""


@dataclass(frozen=True)
class Judged:
    """A saved model, its name in the table, and how much of the log it was fitted to and calibrated on."""

    rm: FittedScorer
    name: str
    overlap: Overlap
    calibrated: Overlap = NONE

    @property
    def read_gold(self) -> bool:
        """Whether its fit learned from trusted labels."""
        return self.rm.method.uses_gold and self.rm.info["log"]["gold_rows"] > 0

    @property
    def has_level(self) -> bool:
        """Whether its scores are logits of a probability, and do not only order."""
        return self.rm.has_probability

    @property
    def told_level(self) -> Protocol:
        """How references have to be read that take over its level: it may be that of trusted rows."""
        if self.rm.calibration is None:
            return "honest"
        return self.calibrated.protocol if self.calibrated.share else "calibrated"

    @property
    def protocol(self) -> Protocol:
        """How it has to be read beside models that never saw these rows, nor a trusted label."""
        seen = max(self.overlap, self.calibrated, key=lambda part: part.share or 0)
        if seen.share:
            return seen.protocol
        if self.read_gold:
            return "oracle"
        return self.told_level


def log_of_fit(rm: FittedScorer, log: FeedbackLog) -> FeedbackLog | None:
    """The log under the roles of the fit, if the fit read these rows; else None.

    Gold, users or policies that are named only now do not make it another log.
    """
    roles = Roles.from_json(rm.info["roles"])
    if not {name for name, _ in roles.columns()} <= set(log.table.column_names):
        return None
    try:
        again = log.with_roles(**{part.name: getattr(roles, part.name) for part in fields(roles)})
    except DataError:  # values that the fit would not have taken
        return None
    return again if rm.info["log"]["fingerprint"] == again.fingerprint() else None


def overlap_with_fit(rm: FittedScorer, log: FeedbackLog, own: bool) -> Overlap:
    """Rows that the fit read, by prompt and response; all, if this is known to be its `own` log."""
    if own:
        return Overlap(1.0)
    if "pairs" not in rm.info:  # older folders do not say
        return Overlap(None)
    known = KnownPairs.from_json(rm.info["pairs"])
    return Overlap(known.share(log), known.complete)


def overlap_with_calibration(rm: FittedScorer, log: FeedbackLog) -> Overlap:
    """Of the rows with gold, which alone can judge a probability, those that calibrated the model."""
    if rm.calibration is None or not log.gold_values()[1].any():
        return NONE
    known = KnownPairs.from_json(rm.calibration["pairs"])
    return Overlap(known.share(log.take(log.gold_values()[1])), known.complete)


def predict_as_it_is(
    ours: Judged,
    log: FeedbackLog,
    *,
    against: Judged | None = None,
    store: EmbeddingStore | None = None,
    quiet: bool = True,
) -> list[Predictions]:
    """`constant`, `length` and the model, last, without any fit; likelihoods where the model gives one.

    Args:
        ours: the model.
        log: the rows.
        against: another model, which stands before it.
        store: embedding cache.
        quiet: no progress bars.

    Raises:
        ConfigError: there is neither gold nor rank, and a model gives no likelihood of this log's signals.
    """
    silent = _why_no_likelihood(ours.rm, log, refits=against is None)
    if log.roles.gold is None and log.roles.rank is None:
        if against is not None:
            _refuse_incomparable(ours, against, log)
        elif silent is not None and log.roles.policy is None:  # policies are compared without a judge
            raise ConfigError(f"{log.name}: nothing to judge {ours.name} by: {silent}")
    mine = _predict(ours, log, silent is None, store, quiet)
    constant_N = _rates_likelihood(ours.rm.info["log"], log) if silent is None else None
    level = _level_of_fit(ours.rm, mine.score_N)
    length_N = style_features(log.responses())[:, 0].astype(np.float64)
    predictions = [
        Predictions("constant", ours.told_level, np.full(len(log), level), constant_N),
        # A length has no level of its own: centre it on the model's, so that only its order is judged fairly.
        Predictions("length", ours.told_level, level + length_N - length_N.mean()),
        mine,
    ]
    if against is not None:
        beside = _why_no_likelihood(against.rm, log) is None
        predictions.insert(-1, _predict(against, log, beside, store, quiet))
    return predictions


def _predict(
    model: Judged, log: FeedbackLog, beside: bool, store: EmbeddingStore | None, quiet: bool
) -> Predictions:
    """Rewards and logits of P(liked), and with `beside` the log-likelihood of the signals, of each row."""
    rm = model.rm
    scores_MN, logits = rm.head_logits(log, beside=beside, store=store, quiet=quiet)
    reward_N = scores_MN.mean(0).astype(np.float64)
    likelihood_N = None
    if beside:
        found = rm.method.log_likelihood(logits, observe_as_fitted(rm, log))
        assert found is not None
        likelihood_N = found.numpy().astype(np.float64)
    return Predictions(
        model.name, model.protocol, rm.logit(reward_N), likelihood_N, model.has_level, reward_N
    )


def _refuse_incomparable(ours: Judged, against: Judged, log: FeedbackLog) -> None:
    """Raise if only the likelihood is left to compare two models by, and they give none of the same signals."""
    mine, theirs = (Roles.from_json(model.rm.info["roles"]).signals for model in (ours, against))
    if _meanings(mine) != _meanings(theirs):
        raise ConfigError(
            f"{log.name}: {ours.name} was fitted to signals {_told(mine)}, {against.name} to {_told(theirs)}, expected "
            "the same where likelihoods are compared; name --gold or --rank"
        )
    for model in (ours, against):
        silent = _why_no_likelihood(model.rm, log, refits=False)
        if silent is not None:
            raise ConfigError(f"{log.name}: nothing to judge {model.name} by: {silent}")


def _level_of_fit(rm: FittedScorer, score_N: Floats) -> float:
    """Logit of the share of likes in the log of the fit, or among the rows that calibrated the model.

    Of a fine-tuned model that held no rows out: in these rows.
    """
    rate = rm.info["metrics"]["base_rate"] if rm.calibration is None else rm.calibration["mean_gold"]["value"]
    rates = torch.sigmoid(torch.from_numpy(score_N)).mean() if rate is None else torch.tensor(rate)
    return float(torch.logit(rates))


def _why_no_likelihood(rm: FittedScorer, log: FeedbackLog, *, refits: bool = True) -> str | None:
    """What keeps the model from a likelihood of these signals, and how to mend it; None where nothing does."""
    lacks = lacks_likelihood(rm, log)
    if lacks is None:
        return None
    or_refit = f", or refit it here with {_REFITS}" if refits and isinstance(rm, RewardModel) else ""
    if lacks.context:
        return f"{lacks.why}; name it with --context, or name --gold or --rank{or_refit}"
    return f"{lacks.why}; name --gold or --rank{or_refit if lacks.signals else ''}"


@dataclass(frozen=True)
class Lack:
    """Why a model gives no likelihood of a log: other signals, context that is not named, or a method without one."""

    why: str
    signals: bool = False
    context: bool = False


def lacks_likelihood(rm: FittedScorer, log: FeedbackLog) -> Lack | None:
    """What keeps the model from a likelihood of these signals; None where nothing does."""
    signals = Roles.from_json(rm.info["roles"]).signals
    if _meanings(log.roles.signals) != _meanings(signals):
        return Lack(
            f"it was fitted to signals {_listed(s.name for s in signals)}, this log names "
            f"{_listed(s.name for s in log.roles.signals)}",
            signals=True,
        )
    lacking = [name for name in rm.context_seen if name not in log.roles.context]
    if lacking:
        return Lack(
            f"its likelihood needs the context of the fit, and {_listed(lacking)} is not named", context=True
        )
    lost = lost_nuisance(rm, log)
    if rm.method.reads and lost is not None:
        return Lack(f"its likelihood needs {lost}")
    first = observe_as_fitted(rm, log.take([0]))
    zeros = {
        head.name: torch.zeros(1) if head.scalar else torch.zeros(1, len(head.bias)) for head in rm.heads
    }
    if rm.method.log_likelihood(zeros, first) is None:
        many = "s" if first.n_signals > 1 else ""
        return Lack(f"it gives no likelihood of {first.n_signals} signal{many}")
    return None


def lost_nuisance(rm: FittedScorer, log: FeedbackLog) -> str | None:
    """What the fit was handed and neither its folder nor this log holds, in words; None where nothing is lost."""
    sources = rm.info.get("nuisance_sources", {})
    for name in rm.info.get("nuisances", ()):
        if name not in sources:
            return f"the nuisance {name!r}, which its folder does not hold"
        if isinstance(sources[name], str) and sources[name] not in log.table.column_names:
            return f"the column {sources[name]!r} (nuisance {name}), which this log lacks"
    return None


def observe_as_fitted(rm: FittedScorer, log: FeedbackLog) -> Observations:
    """Signals of a log, with the nuisances that the fit was given where it can be told from where."""
    sources = rm.info.get("nuisance_sources", {})
    there = {
        name: source
        for name, source in sources.items()
        if not isinstance(source, str) or source in log.table.column_names
    }
    seen = observe(log)
    return seen.with_columns(**nuisance_columns(resolved(log, there), rm.method, seen))


def _meanings(signals: tuple[Signal, ...]) -> list[tuple[str, int, str]]:
    return [(signal.name, signal.polarity, signal.kind) for signal in signals]


def _told(signals: tuple[Signal, ...]) -> str:
    """Signals with what they mean, as the command line names them."""
    return _listed(
        f"{signal.name}{':negative' if signal.polarity < 0 else ''}{':explicit' if signal.kind == 'explicit' else ''}"
        for signal in signals
    )


def _listed(names: Any) -> str:
    return ", ".join(names) or "none"


def _rates_likelihood(fitted: dict[str, Any], log: FeedbackLog) -> NDArray[np.float64]:
    """log P(signals) of each row [N] if each signal fires at its rate in the log of the fit, whatever the content."""
    y_NK, visible_NK = log.signal_matrix()
    edge = 0.5 / (fitted["rows"] + 1)  # a signal that never fired there may fire here
    rates = [edge if signal["rate"] is None else signal["rate"] for signal in fitted["signals"]]
    rate_K = np.clip(np.array(rates, dtype=np.float64), edge, 1 - edge)
    each_NK = np.where(y_NK > 0, np.log(rate_K), np.log1p(-rate_K))
    return np.asarray(np.where(visible_NK, each_NK, 0).sum(1))


__all__ = [
    "NONE",
    "Judged",
    "Lack",
    "Overlap",
    "lacks_likelihood",
    "log_of_fit",
    "lost_nuisance",
    "observe_as_fitted",
    "overlap_with_calibration",
    "overlap_with_fit",
    "predict_as_it_is",
]
