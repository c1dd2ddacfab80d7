"""Every assumption on which the model rests: how it was checked, what came out, and what to do.

The first rows are the method's own declaration (`Method.assumes`), clause by clause; then what every fit rests on.
"holds" is said of what was checked and could have failed; what these data cannot tell is said to be so.
"""

from __future__ import annotations

from tacit.evaluation.trust.assumption import Assumption, Known
from tacit.evaluation.trust.biases import Bias
from tacit.evaluation.trust.declared import of_clause
from tacit.evaluation.trust.every_fit import CHECKS
from tacit.evaluation.trust.predictive import Predictive
from tacit.evaluation.trust.reading import Reading
from tacit.evaluation.trust.statement import Statement
from tacit.model import FittedScorer


def assumptions(
    rm: FittedScorer,
    said: Statement,
    reading: Reading | None,
    biases: tuple[Bias, ...],
    fit: Predictive | None,
) -> tuple[Assumption, ...]:
    """Go through them.

    Args:
        rm: the model.
        said: what it states.
        reading: of a log; None without.
        biases: of the same log, by column.
        fit: predicted rates against observed ones.
    """
    known = Known(rm, said, reading, biases, fit)
    declared = (of_clause(clause, known) for clause in said.assumes.split("; "))
    return tuple(row for row in (*declared, *(check(known) for check in CHECKS)) if row is not None)
