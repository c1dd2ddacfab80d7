"""Fitting on arrays, without text: the habits of scikit-learn around the ensemble engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from tacit.errors import ConfigError, DataError
from tacit.features.scaling import Standardiser
from tacit.methods import Method, observations, refuse_unread_gold
from tacit.methods.columns import nuisance_columns
from tacit.methods.method import require_method
from tacit.methods.nuisances.cross_fitting import group_codes
from tacit.training.config import TrainingConfig
from tacit.training.ensemble import Ensemble
from tacit.training.roster import roster
from tacit.training.selection import Choice, train_best
from tacit.training.views import Block, View, Views


@dataclass(eq=False)
class HeadEstimator:
    """Fit any method to features that are already numbers.

    The constructor only stores. `fit` validates, learns attributes that end in `_`, and returns self; fitting again
    starts afresh. `sklearn.base.clone` and `cross_val_predict` take it as they take a classifier.

    Args:
        method: the estimator.
        config: training knobs, or a mapping of them; defaults if None.

    Attributes:
        ensemble_: the fitted members.
        choice_: capacities tried and kept.
        n_features_in_: columns of X.
        classes_: [2], disliked 0 and liked 1: the columns of `predict_proba`.

    Example:
        >>> import numpy as np
        >>> from tacit.methods import ImplicitRM
        >>> rng = np.random.default_rng(0)
        >>> X, slot = rng.normal(size=(200, 4)), rng.integers(0, 3, size=(200, 1))
        >>> liked = rng.random(200) < 1 / (1 + np.exp(-2 * X[:, 0]))
        >>> clicked = liked & (rng.random(200) < 0.2 + 0.3 * slot[:, 0])
        >>> model = HeadEstimator(ImplicitRM(), TrainingConfig(members=2, max_epochs=5))
        >>> model.fit(X, clicked, context=slot).predict_proba(X).shape
        (200, 2)
    """

    method: Method
    config: TrainingConfig | Mapping[str, Any] | None = None
    ensemble_: Ensemble = field(init=False, repr=False)
    choice_: Choice = field(init=False, repr=False)
    n_features_in_: int = field(init=False, repr=False)
    classes_: NDArray[np.int64] = field(init=False, repr=False)
    _scalings: list[Standardiser] = field(init=False, repr=False)

    def fit(
        self,
        X: ArrayLike,
        signals: ArrayLike,
        *,
        context: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        polarity: tuple[int, ...] = (),
        gold: ArrayLike | None = None,
        nuisances: Mapping[str, ArrayLike] | None = None,
    ) -> HeadEstimator:
        """Fit the ensemble.

        Args:
            X: [N, D] what the reward sees.
            signals: [N] or [N, K] of 0/1; NaN where a signal could not have been recorded.
            context: [N, C] what propensity heads see; without it they see X, as published, and can swap with r.
            groups: [N] prompts, which hold-outs keep together and within which pairwise methods compare; by default
                every row is held out on its own, and there is nothing to compare.
            polarity: K values of ±1; all +1 by default.
            gold: [N] in [0, 1], NaN where unknown.
            nuisances: what is known of the log by name, numbers or [N], in place of the stage that would estimate it:
                `p`, `e`, `rho01`, `rho10`, `prior` … (see `tacit.methods.columns.nuisance_columns`).

        Raises:
            DataError: shapes that do not fit, or values that are not finite.
            ConfigError: a method that is none, impossible knobs, or gold or a nuisance that the method does not read.
            DegenerateDataError: nothing to learn from.
        """
        require_method(self.method)
        if gold is not None:
            refuse_unread_gold(self.method)
        config = TrainingConfig.of(self.config)
        X_ND = _matrix("X", X)
        if X_ND.shape[1] == 0:
            raise DataError(f"X has shape {X_ND.shape}, expected [N, D] with one column at least")
        N = len(X_ND)
        groups_N = None if groups is None else group_codes(groups, N)
        obs = observations(
            torch.from_numpy(_numbers("signals", signals)),
            polarity=polarity,
            gold=None if gold is None else torch.from_numpy(_numbers("gold", gold)),
            groups=None if groups_N is None else torch.from_numpy(groups_N),
        )
        if obs.signals_BK.ndim != 2:
            raise DataError(f"signals have shape {tuple(obs.signals_BK.shape)}, expected [N] or [N, K]")
        if obs.n_rows != N:
            raise DataError(f"signals have {obs.n_rows} rows, X has {N}; expected as many")
        context_NC = None if context is None else _matrix("context", context)
        if context_NC is not None and len(context_NC) != N:
            raise DataError(f"context has {len(context_NC)} rows, X has {N}; expected as many")
        obs = obs.with_columns(**nuisance_columns(nuisances, self.method, obs))
        self.method.check(obs)
        both = [X_ND] if context_NC is None else [X_ND, context_NC]
        self._scalings = [Block.fit(matrix).scaling for matrix in both]  # the rows stay the caller's
        views = self._views(X_ND, context_NC)
        together_N = np.arange(N) if groups_N is None else groups_N
        who = roster(together_N, config.members, config.seed)
        ensembles, self.choice_ = train_best(self.method, views, obs, who, config)
        self.ensemble_ = ensembles[0]
        self.n_features_in_ = X_ND.shape[1]
        self.classes_ = np.array([0, 1])
        return self

    def decision_function(self, X: ArrayLike) -> NDArray[np.float32]:
        """Reward logits [N], averaged over members."""
        scores: NDArray[np.float32] = self.member_scores(X).mean(0)
        return scores

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float32]:
        """[N, 2]: P(disliked), P(liked)."""
        from scipy.special import expit

        liked = expit(self.decision_function(X))
        return np.stack([1 - liked, liked], axis=1).astype(np.float32)

    def predict(self, X: ArrayLike) -> NDArray[np.int64]:
        """[N] of 0/1: whether a response is rather liked than not."""
        return (self.decision_function(X) > 0).astype(np.int64)

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Accuracy, as scikit-learn's classifiers give it: the share of the known labels [N] that `predict` says.

        Raises:
            DataError: no label, labels other than 0 and 1, or not one per row; weights that are not one number from 0
                per row, or all 0.
        """
        label_N = _numbers("y", y)
        said_N = self.predict(X)
        if label_N.size != said_N.size:
            raise DataError(
                f"y has shape {label_N.shape}, X has {said_N.size} rows; expected one label per row"
            )
        label_N = label_N.reshape(-1)
        known_N = ~np.isnan(label_N)
        if not known_N.any():
            raise DataError("y holds no label; expected 0 or 1 in a row at least")
        odd_N = known_N & (label_N != 0) & (label_N != 1)
        if odd_N.any():
            row = int(odd_N.argmax())
            raise DataError(f"y, row {row}: found {label_N[row]:g}, expected 0, 1 or NaN")
        weight_N = None if sample_weight is None else _weights(sample_weight, known_N)
        return float(np.average(said_N[known_N] == label_N[known_N], weights=weight_N))

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The constructor's arguments, as scikit-learn asks for them; nothing in them is an estimator to go into."""
        return {"method": self.method, "config": self.config}

    def set_params(self, **params: Any) -> HeadEstimator:
        """Replace arguments of the constructor.

        Raises:
            ConfigError: another name than those of `get_params`.
        """
        for name, value in params.items():
            if name not in self.get_params():
                raise ConfigError(f"HeadEstimator has no parameter {name!r}; expected method or config")
            setattr(self, name, value)
        return self

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn that this is a classifier of labels in which NaN means missing."""
        from sklearn.utils import ClassifierTags, InputTags, Tags, TargetTags

        return Tags(
            estimator_type="classifier",
            target_tags=TargetTags(required=True),
            classifier_tags=ClassifierTags(),
            input_tags=InputTags(),
        )

    def member_scores(self, X: ArrayLike) -> NDArray[np.float32]:
        """Reward logits of every member [M, N].

        Raises:
            DataError: not fitted (scikit-learn's NotFittedError too), or another number of columns than in the fit.
            ConfigError: the method scores context, which is not in X.
        """
        if not hasattr(self, "ensemble_"):
            raise _not_fitted("this HeadEstimator is not fitted yet; call fit first")
        X_ND = _matrix("X", X)
        if X_ND.shape[1] != self.n_features_in_:
            raise DataError(f"X has {X_ND.shape[1]} columns, the fit had {self.n_features_in_}")
        views = self._views(X_ND, None)
        layouts = [self.ensemble_.layouts[name] for name in self.method.reward_heads]
        if any(layout.inputs and layout.head.view not in views for layout in layouts):
            raise ConfigError(
                f"{self.method.key} scores context, not X, and predictions are made from X alone; fit it to a log with "
                "tacit.fit, or use a method that reads X, such as naive"
            )
        scores: NDArray[np.float32] = self.ensemble_.rewards(
            self.method, views, torch.arange(len(X_ND))
        ).numpy()
        return scores

    def _views(self, X_ND: NDArray[np.floating], context_NC: NDArray[np.floating] | None) -> Views:
        text = View("text", (Block(X_ND, self._scalings[0]),))
        if context_NC is None:
            return {"reward": text, "all": text, "propensity": text, "length": text}
        context = View("context", (Block(context_NC, self._scalings[1]),))
        both = View("all", (*text.blocks, *context.blocks))
        return {"reward": text, "all": both, "propensity": context, "context": context, "length": text}


def _not_fitted(message: str) -> DataError:
    """An error that is ours and scikit-learn's; pickled as this call, since its class is no module's."""
    return _not_fitted_class()(message)


@cache
def _not_fitted_class() -> type[DataError]:
    """Made when first needed: importing scikit-learn takes a while."""
    from sklearn.exceptions import NotFittedError

    return type(
        "NotFitted",
        (DataError, NotFittedError),
        {"__reduce__": lambda error: (_not_fitted, error.args), "__module__": __name__},
    )


def _weights(values: Any, known_N: NDArray[np.bool_]) -> NDArray[np.float32]:
    """What the rows of known label weigh."""
    weight_N = _numbers("sample_weight", values)
    if weight_N.shape != known_N.shape:
        raise DataError(
            f"sample_weight has shape {weight_N.shape}, X has {known_N.size} rows; expected one weight per row"
        )
    bad_N = ~(np.isfinite(weight_N) & (weight_N >= 0))
    if bad_N.any():
        row = int(np.argmax(bad_N))
        raise DataError(f"sample_weight, row {row}: found {weight_N[row]:g}, expected a number from 0")
    if not weight_N[known_N].any():
        raise DataError("sample_weight is 0 in all rows with a label; expected one above 0")
    return weight_N[known_N]


def _numbers(name: str, values: Any) -> NDArray[np.float32]:
    try:
        return np.asarray(values, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name}: {error}; expected numbers, NaN where missing") from None


def _matrix(name: str, values: Any) -> NDArray[np.floating]:
    if hasattr(values, "toarray"):
        raise DataError(
            f"{name} is sparse ({type(values).__name__}), expected a dense array: {name}.toarray()"
        )
    try:
        given = np.asarray(values)
    except ValueError as error:
        raise DataError(f"{name}: {error}; expected numbers [N, D]") from None
    if given.dtype.kind in "cmM":  # numpy would drop the imaginary part, or count days
        raise DataError(f"{name} holds {given.dtype}, expected numbers [N, D]")
    kept = given.dtype in (np.float16, np.float32)  # embeddings stay as they are, and are not held twice
    try:
        matrix = np.ascontiguousarray(given, dtype=given.dtype if kept else np.float32)
    except ValueError as error:
        raise DataError(f"{name}: {error}; expected numbers [N, D]") from None
    if matrix.ndim != 2:
        raise DataError(f"{name} has shape {matrix.shape}, expected [N, D]")
    for start in range(0, len(matrix), _CHECKED_AT_ONCE):
        chunk = matrix[start : start + _CHECKED_AT_ONCE]
        if not np.isfinite(chunk).all():
            row, column = (int(i) for i in np.argwhere(~np.isfinite(chunk))[0])
            raise DataError(
                f"{name}, row {start + row}, column {column}: found {chunk[row, column]}, expected a number"
            )
    return matrix


_CHECKED_AT_ONCE = 8192  # rows
