"""How much each user acts, told by what they did on their other prompts: context that every log with users has.

Some users click on whatever they like, others hardly ever do. A log that names its users so holds something that moves
clicks and not preference, even where it has no slot, no device and no hour. Legend: N rows, U users.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tacit.data import grouping
from tacit.data.columns import exposed, signal_values
from tacit.data.raw import RawTable
from tacit.data.roles import USER_ACTIVITY, Roles
from tacit.errors import DataError

# Stands in the table's schema, so that roles given later compute the column anew.
_COMPUTED = {b"tacit.user_activity": b"computed"}
_LARGEST_CORRELATION = 0.5  # a user's own rows never weigh so much that one of them makes a rate of 0 or 1


def without_computed(raw: RawTable, roles: Roles) -> Roles:
    """The roles whose columns the log must hold: all, less `user_activity` where it has no column and is computed.

    Raises:
        DataError: it is to be computed, and the log names no users or no signals to compute it from.
    """
    if USER_ACTIVITY not in roles.context or USER_ACTIVITY in raw.columns:
        return roles
    for part, found, option in (
        ("users", roles.user_id, "--user-id COLUMN, in Python user_id=COLUMN"),
        ("signals", roles.signals, "--signal COLUMN, in Python signals=[COLUMN]"),
    ):
        if not found:
            raise DataError(
                f"{raw.name}: context {USER_ACTIVITY!r} is no column here and is computed from what users did on their "
                f"other prompts, but the log names no {part}; name them: {option}"
            )
    return replace(roles, context=tuple(name for name in roles.context if name != USER_ACTIVITY))


def dropped(table: Any) -> Any:
    """The table without the column, if it was computed."""
    metadata = dict(table.schema.metadata or {})
    if not _COMPUTED.items() <= metadata.items():
        return table
    return table.drop_columns([USER_ACTIVITY]).replace_schema_metadata(
        {key: value for key, value in metadata.items() if key not in _COMPUTED}
    )


def marked(table: Any) -> Any:
    """The table, which says that its column was computed."""
    return table.replace_schema_metadata({**(table.schema.metadata or {}), **_COMPUTED})


def computed(table: Any, roles: Roles) -> dict[str, Any]:
    """The column `user_activity` of a table whose other columns have been validated.

    A row counts where some signal could have been recorded, and as acted upon where one was given: an implicit signal
    that fired, of either polarity, or any answer to an explicit one.
    """
    acted_N = known_N = np.zeros(table.num_rows, dtype=bool)
    for signal in roles.signals:
        value_N, visible_N = signal_values(table, signal)
        if signal.kind == "explicit":
            known_N, acted_N = known_N | exposed(table, signal), acted_N | visible_N
        else:
            known_N, acted_N = known_N | visible_N, acted_N | (value_N == 1)
    users = table.column(roles.user_id)
    user_N = np.where(users.is_valid().to_numpy(), grouping.encode(users), -1)
    prompt_N = grouping.encode(table.column(roles.prompt_id or roles.prompt))
    return {USER_ACTIVITY: pa.array(user_activity(acted_N, known_N, user_N, prompt_N))}


def user_activity(
    acted_N: npt.NDArray[np.bool_],
    known_N: npt.NDArray[np.bool_],
    user_N: npt.NDArray[np.int64],
    prompt_N: npt.NDArray[np.int64],
) -> npt.NDArray[np.float64]:
    """Log-odds that the user of each row acts, from their rows at *other* prompts, drawn towards the mean of all users.

        x = logit((S + m·p) / (n + m)),   m = 1/ρ − 1

    S of the user's n rows at other prompts were acted upon, p is the share over the log, ρ the correlation within users
    by the method of moments (Kleinman, 1973, "Proportions with extraneous variance"). Where users do not differ (ρ ≤ 0)
    or nothing is known of one, x = logit p. What a user did at a prompt never enters that prompt's own rows, save by p
    and ρ: given how active the user is, and the text, x and the row's signals are independent, so that
    P(y = 1 | text, x) is still a preference times a propensity.

    Args:
        acted_N: whether the user gave any signal.
        known_N: whether one could have been recorded; other rows do not count.
        user_N: codes from 0; −1 is no known user.
        prompt_N: codes from 0.

    Returns:
        float64 [N], finite.

    Example:
        >>> acted = np.array([1, 1, 1, 0, 0, 0, 0, 0], dtype=bool)
        >>> users, prompts = np.array([0, 0, 0, 1, 1, 1, 2, -1]), np.arange(8)
        >>> x = user_activity(acted, np.ones(8, dtype=bool), users, prompts)
        >>> (1 / (1 + np.exp(-x))).round(3).tolist()  # one who acts, one who does not, two of whom nothing is known
        [0.792, 0.792, 0.792, 0.125, 0.125, 0.125, 0.375, 0.375]
    """
    counts_N = known_N & (user_N >= 0)
    share = float(acted_N[known_N].mean()) if known_N.any() else 0.0
    if not 0 < share < 1:
        return np.zeros(len(acted_N))
    users = int(user_N.max(initial=-1)) + 1
    rows_U = np.bincount(user_N[counts_N], minlength=users)
    acts_U = np.bincount(user_N[counts_N & acted_N], minlength=users)
    correlation = _correlation(acts_U[rows_U > 0], rows_U[rows_U > 0])
    x_N = np.full(len(acted_N), share)
    if correlation > 0:
        # the rows of a user at one prompt, for each row
        _, pair_N = np.unique(user_N * (prompt_N.max() + 1) + prompt_N, return_inverse=True)
        here_N = np.bincount(pair_N, weights=counts_N)[pair_N]
        acted_here_N = np.bincount(pair_N, weights=counts_N & acted_N)[pair_N]
        mine_N = user_N >= 0
        n = (rows_U[user_N] - here_N)[mine_N]
        acts = (acts_U[user_N] - acted_here_N)[mine_N]
        weight = 1 / correlation - 1
        x_N[mine_N] = (acts + weight * share) / (n + weight)
    return np.asarray(np.log(x_N) - np.log1p(-x_N))


def _correlation(acts_U: npt.NDArray[np.int64], rows_U: npt.NDArray[np.int64]) -> float:
    """Correlation within users, by moments, between 0 (they act alike, as far as can be told) and a half."""
    rows, users = int(rows_U.sum()), len(rows_U)
    share = acts_U.sum() / max(rows, 1)
    room = rows - float((rows_U.astype(np.float64) ** 2).sum()) / max(rows, 1) - (users - 1)
    if room <= 0 or not 0 < share < 1:
        return 0.0
    spread = (rows_U * (acts_U / rows_U - share) ** 2).sum() / (share * (1 - share))
    return min(max(float(spread - (users - 1)) / room, 0.0), _LARGEST_CORRELATION)
