r"""TruthfulQA's judged answers (finetune_truth.jsonl): about 27 answers per question, each true or not.

One line is {"prompt": "Q: …\nA: …\nTrue:", "completion": " yes"}. Its two columns are those of any set of
prompts and completions, so the set is known by what the prompts look like.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from tacit.data.published.graded import Scale, rated
from tacit.data.raw import RawTable
from tacit.data.roles import Roles

_SCALE = Scale("completion", low=0, high=1, cut=0.5, gold="truthful")
# The question ends at the first "A:"; an answer may go on with questions and answers of its own.
_JUDGED = re.compile(r"Q: (.*?)\nA: ?(.*)\nTrue:\s*", re.DOTALL)
_VERDICTS = {"yes": 1.0, "no": 0.0}
_ROWS_LOOKED_AT = 100


def detect(columns: Sequence[str]) -> bool:
    """Whether the columns can be those of the judged answers; `confirm` looks at what they hold."""
    return {"prompt", "completion"} <= set(columns) and not {"response", "label"} & set(columns)


def confirm(raw: RawTable) -> bool:
    """Whether most of the first prompts are a question, an answer and the judge's cue."""
    found = [bool(_read(prompt)) for prompt in raw.values("prompt", _ROWS_LOOKED_AT)]
    return 2 * sum(found) > len(found)


def load(raw: RawTable) -> tuple[RawTable, Roles]:
    """One row per judged answer; what is not written as published is quarantined.

    Columns made: prompt (the question), response (the answer), rating (1 true, 0 not), truthful (gold: the
    same).
    """
    bad: dict[str, list[int]] = defaultdict(list)
    columns: dict[str, list[Any]] = {"prompt": [], "response": []}
    rows: list[int] = []
    verdicts: list[Any] = []
    cells = zip(raw.values("prompt"), raw.values("completion"), strict=True)
    for row, (prompt, completion) in enumerate(cells):
        judged = _read(prompt)
        if judged is None:
            bad["prompt is not 'Q: …\\nA: …\\nTrue:' as published"].append(row)
            continue
        verdict = _VERDICTS.get(completion.strip()) if isinstance(completion, str) else None
        if verdict is None and completion is not None:
            bad["completion is neither ' yes' nor ' no'"].append(row)
            continue
        rows.append(row)
        columns["prompt"].append(judged[1])
        columns["response"].append(judged[2])
        verdicts.append(verdict)
    return rated(raw, columns, rows, verdicts, _SCALE, bad), Roles(gold=_SCALE.gold)


def _read(prompt: Any) -> re.Match[str] | None:
    return _JUDGED.fullmatch(prompt) if isinstance(prompt, str) else None
