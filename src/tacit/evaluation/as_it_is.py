"""A saved model on a log as it is: scores, likelihood of the signals, and how much of the log it was fitted to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tacit.data import FeedbackLog, KnownPairs, Roles, Signal
from tacit.errors import ConfigError
from tacit.evaluation.table import Predictions, Protocol
from tacit.features import EmbeddingStore, style_features
from tacit.model import FittedScorer, RewardModel
from tacit.training.log_rows import observe

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

    def describe(self, *, refits: bool = True) -> str:
        """What has to be said of it in one line; nothing, if there is none.

        Args:
            refits: the model can be refitted.
        """
        if self.share is None:
            return "Whether rows of the fit are among these is not known."
        if self.share == 0:
            return ""
        if self.share == 1:
            return f"These are the rows of the fit: scores are flattered. Use {_REFITS if refits else 'other rows'}."
        about = "" if self.exact else "about "
        amount = f"{about}{100 * self.share:.1f} %" if self.share >= 0.001 else "less than 0.1 %"
        mend = f"{_REFITS}, or other rows" if refits else "other rows"
        return f"Of these rows {amount} are rows of the fit: scores are flattered. Use {mend}."


def overlap_with_fit(rm: FittedScorer, log: FeedbackLog, own: bool) -> Overlap:
    """Rows that the fit read, by prompt and response; all, if this is known to be its `own` log."""
    if own:
        return Overlap(1.0)
    if "pairs" not in rm.info:  # older folders do not say
        return Overlap(None)
    known = KnownPairs.from_json(rm.info["pairs"])
    return Overlap(known.share(log), known.complete)


def predict_as_it_is(
    rm: FittedScorer,
    log: FeedbackLog,
    *,
    overlap: Overlap,
    store: EmbeddingStore | None = None,
    quiet: bool = True,
) -> list[Predictions]:
    """`constant`, `length` and the model, without any fit; likelihoods where the model gives one.

    Raises:
        ConfigError: there is neither gold nor rank, and the model gives no likelihood of this log's signals.
    """
    silent = _why_no_likelihood(rm, log)
    judged = log.roles.gold is not None or log.roles.rank is not None
    if (
        silent is not None and not judged and log.roles.policy is None
    ):  # policies are compared without a judge
        raise ConfigError(f"{log.name}: nothing to judge {rm.method.key} by: {silent}")
    scores_MN, logits = rm.head_logits(log, beside=silent is None, store=store, quiet=quiet)
    score_N = scores_MN.mean(0).astype(np.float64) + rm.level  # a probability is their sigmoid
    likelihood_N = constant_N = None
    if silent is None:
        found = rm.method.log_likelihood(logits, observe(log))
        assert found is not None
        likelihood_N, constant_N = found.numpy().astype(np.float64), _rates_likelihood(rm.info["log"], log)
    level = _level_of_fit(rm, score_N)
    length_N = style_features(log.responses())[:, 0].astype(np.float64)
    told = rm.method.uses_gold and rm.info["log"]["gold_rows"] > 0
    protocol: Protocol = "oracle" if told and not overlap.share else overlap.protocol
    return [
        Predictions("constant", "honest", np.full(len(log), level), constant_N),
        # A length has no level of its own: centre it on the model's, so that only its order is judged fairly.
        Predictions("length", "honest", level + length_N - length_N.mean()),
        Predictions(rm.method.key, protocol, score_N, likelihood_N),
    ]


def _level_of_fit(rm: FittedScorer, score_N: NDArray[np.float64]) -> float:
    """Logit of the share of likes in the log of the fit; of a fine-tuned model that held no rows out, of these rows."""
    rate = rm.info["metrics"]["base_rate"]
    rates = torch.sigmoid(torch.from_numpy(score_N)).mean() if rate is None else torch.tensor(rate)
    return float(torch.logit(rates))


def _why_no_likelihood(rm: FittedScorer, log: FeedbackLog) -> str | None:
    """What keeps the model from a likelihood of these signals, and how to mend it; None where nothing does."""
    signals = Roles.from_json(rm.info["roles"]).signals
    or_refit = f", or refit it here with {_REFITS}" if isinstance(rm, RewardModel) else ""
    if _meanings(log.roles.signals) != _meanings(signals):
        return (
            f"it was fitted to signals {_listed(s.name for s in signals)}, this log names "
            f"{_listed(s.name for s in log.roles.signals)}; name --gold or --rank{or_refit}"
        )
    lacking = [name for name in rm.context_seen if name not in log.roles.context]
    if lacking:
        return (
            f"its likelihood needs the context of the fit, and {_listed(lacking)} is not named; name it with "
            f"--context, or name --gold or --rank{or_refit}"
        )
    first = observe(log.take([0]))
    zeros = {
        head.name: torch.zeros(1) if head.scalar else torch.zeros(1, len(head.bias)) for head in rm.heads
    }
    if rm.method.log_likelihood(zeros, first) is None:
        many = "s" if first.n_signals > 1 else ""
        return f"it gives no likelihood of {first.n_signals} signal{many}; name --gold or --rank"
    return None


def _meanings(signals: tuple[Signal, ...]) -> list[tuple[str, int, str]]:
    return [(signal.name, signal.polarity, signal.kind) for signal in signals]


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


__all__ = ["Overlap", "overlap_with_fit", "predict_as_it_is"]
