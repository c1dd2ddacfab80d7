"""What exports of tracing tools share: steps of programs in one table, scores of them in another, joined by id.

A tool's reader makes `Span`s and `Score`s of the rows; `table_of` finds the steps that are responses, puts the scores
on them, and makes a log.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tacit.data.exports.payloads import read_exchange
from tacit.data.exports.rows import is_there
from tacit.data.exports.scores import REVIEWERS, USERS, Columns, Score, columns_of
from tacit.data.messages import Fault
from tacit.data.raw import RawTable, logger
from tacit.data.roles import USER_ACTIVITY, Roles
from tacit.errors import DataError

Bad = dict[str, list[int]]

_ROLES = {"user_id": "user_id", "session_id": "session_id", "timestamp": "timestamp", "policy": "model"}
_NAMES = 20  # of responses; where there are more, they are no kinds
_REASONS = 12  # told apart by the keys of what was not understood


@dataclass(frozen=True)
class Span:
    """One step of a traced program, or a whole trace where the tool keeps a record of it.

    Args:
        row: position in the export.
        id, trace: its own name and that of its trace.
        parent: the step that it is part of, None at the top.
        name, kind: what the program calls it, and what the tool calls such steps.
        input, output: as they stand; None where they are not in the export.
        at, user, session, model: when, for whom, in which conversation, and what answered.
        record: whether it is the record of the trace and no step.
        generates: whether a language model was called.
        failed: whether it ended in an error.
    """

    row: int
    id: str
    trace: str
    parent: str | None
    name: Any
    kind: Any
    input: Any
    output: Any
    at: Any
    user: Any = None
    session: Any = None
    model: Any = None
    record: bool = False
    generates: bool = False
    failed: bool = False

    @property
    def told(self) -> bool:
        """Whether input and output are in the export."""
        return is_there(self.input) and is_there(self.output)


Groups = dict[str, list[Span]]
"""Spans by trace."""


@dataclass
class Export:
    """What a reader found.

    Args:
        title: the tool.
        traces, scores: what it calls its two tables.
        spans: steps and records of traces.
        said: scores.
        bad: positions of rows that are neither, or cannot be read, by reason.
        unseen: traces of evaluations and experiments, which no user saw.
    """

    title: str
    traces: str
    scores: str
    spans: list[Span] = field(default_factory=list)
    said: list[Score] = field(default_factory=list)
    bad: Bad = field(default_factory=lambda: defaultdict(list))
    unseen: set[str] = field(default_factory=set)


def table_of(raw: RawTable, export: Export) -> tuple[RawTable, Roles]:
    """One row per response, with the scores on it.

    Responses are whole traces, or, where at least half of the users' scores name a step within one, the steps called
    like those: rows of both kinds side by side would tell by their form which were scored.

    Columns made: prompt, response, trace_id, step_id (where responses are steps), those of name, user_id, session_id,
    timestamp and model that some response has, and what `scores.columns_of` makes of the scores.

    Raises:
        DataError: scores without anything that they could be on, or nothing that a user saw.
    """
    if export.unseen:
        told = f"{export.traces} of evaluations or experiments, which no user saw: {len(export.unseen)}"
        if not export.spans:
            raise DataError(f"{raw.name}: holds nothing but {told}; export those of your users")
        logger.info("%s: left out %s", raw.name, told)
    if export.said and not export.spans:
        raise DataError(
            f"{raw.name}: holds {export.title}'s {export.scores} and no {export.traces} to join them to; export the "
            f"{export.traces} too, in the same format, and read the folder that holds both"
        )
    bad: Bad = defaultdict(list, {reason: list(rows) for reason, rows in export.bad.items()})
    groups = _grouped(export.spans)
    tops = {trace: _top(spans) for trace, spans in groups.items()}
    said = _said_by_people(raw, export)
    steps = _scored_steps(groups, tops, said)
    if steps:
        told = ", ".join(sorted({str(span.name) for span in steps}))
        logger.info("%s: users' %s name steps called %s; each is a response", raw.name, export.scores, told)
    responses = _responses(groups, tops, steps, said, bad)
    columns = _about(responses, groups)
    if steps:
        columns["step_id"] = [span.id for span in responses]
    found = _on_responses(responses, said, export.scores, bad)
    scored = columns_of(found, len(responses), {*columns, "prompt", "response", USER_ACTIVITY})
    _tell(raw, export.scores, columns.get("name", [None] * len(responses)), found, scored)
    texts, kept = _texts(responses, bad)
    made = texts | {name: [values[i] for i in kept] for name, values in (columns | scored.values).items()}
    users = len(set(made.get("user_id", ())) - {None})
    return raw.made_of(made, [responses[i].row for i in kept], bad), Roles(
        signals=tuple(scored.signals),
        context=(USER_ACTIVITY,) if users > 1 and scored.signals else (),
        **{role: column for role, column in _ROLES.items() if column in made},
    )


def note_score(export: Export, score: Score) -> None:
    """Take a score, or say why it is none."""
    if score.by not in (USERS, REVIEWERS) or (score.name and is_there(score.value)):
        export.said.append(score)
    else:
        export.bad[f"{export.scores}: has no {'value' if score.name else 'name'}"].append(score.row)


# ---- what is a response


def _grouped(spans: Iterable[Span]) -> Groups:
    """Spans by trace; of one that stands several times the last with input and output counts."""
    groups: dict[str, dict[tuple[str, bool], Span]] = defaultdict(dict)
    for span in spans:
        known = groups[span.trace].get((span.id, span.record))
        if known is None or span.told:
            groups[span.trace][span.id, span.record] = span
    return {trace: list(found.values()) for trace, found in groups.items()}


def _top(spans: Sequence[Span]) -> Span | None:
    """What stands for a whole trace: its record, its one step at the top, or its one call of a model, if any."""
    told = [span for span in spans if span.told]
    records = [span for span in told if span.record]
    failed = [span for span in spans if span.parent is None and span.failed]
    inside = {span.id for span in spans}
    for candidates in (
        records,
        failed,  # whatever went well within it, it ended so
        [span for span in told if span.parent is None],
        [span for span in told if span.parent not in inside],
        [span for span in told if span.generates],
    ):
        if candidates:
            return candidates[0] if len(candidates) == 1 else None
    return None


def _said_by_people(raw: RawTable, export: Export) -> list[Score]:
    """Scores of users and reviewers, each with its trace; how many others there are is told."""
    others = Counter(score.by for score in export.said if score.by not in (USERS, REVIEWERS))
    if others:
        told = ", ".join(f"{count} of source {source}" for source, count in sorted(others.items()))
        logger.info("%s: left out %s that users did not give: %s", raw.name, export.scores, told)
    traces: dict[str | None, str] = {span.id: span.trace for span in export.spans}
    return [
        replace(score, trace=traces.get(score.span, score.trace))
        for score in export.said
        if score.by in (USERS, REVIEWERS) and score.trace not in export.unseen
    ]


def _scored_steps(groups: Groups, tops: Mapping[str, Span | None], said: Iterable[Score]) -> list[Span]:
    """Steps within traces that are responses: those called like the ones that most of the users' scores name."""
    inner = {
        span.id: span
        for trace, spans in groups.items()
        for span in spans
        if span.told and span is not tops[trace]
    }
    of_users = [score for score in said if score.by == USERS and score.trace in groups]
    named = [inner[score.span] for score in of_users if score.span in inner]
    kinds = {_what(span) for span in named} if 2 * len(named) >= len(of_users) else set()
    return [span for span in inner.values() if _what(span) in kinds]


def _what(span: Span) -> tuple[str, str]:
    return str(span.name), str(span.kind)


def _responses(
    groups: Groups, tops: Mapping[str, Span | None], steps: Sequence[Span], said: Iterable[Score], bad: Bad
) -> list[Span]:
    """What the log has a row of, in the order of the export: steps if there are any, else whole traces.

    A trace without such a step has a row where a user scored it.
    """
    covered = {span.trace for span in steps}
    scored = {score.trace for score in said if score.by == USERS}
    found = list(steps)
    for trace, top in tops.items():
        if trace in covered:
            continue
        if top is None:
            bad["trace has no input and output, and no single step at its top that has"].append(
                groups[trace][0].row
            )
        elif steps and trace not in scored:
            bad["trace has no step of those that users score"].append(top.row)
        else:
            found.append(top)
    return sorted(found, key=lambda span: span.row)


def _on_responses(
    responses: Sequence[Span], said: Iterable[Score], scores: str, bad: Bad
) -> list[tuple[int, Score]]:
    """Each score with the response that it is on: the step that it names, or the only one of its trace."""
    by_step: dict[str | None, int] = {span.id: i for i, span in enumerate(responses)}
    by_trace: dict[str | None, list[int]] = defaultdict(list)
    for i, span in enumerate(responses):
        by_trace[span.trace].append(i)
    found = []
    for score in said:
        several = by_trace.get(score.trace, [])
        at = by_step.get(score.span, several[0] if len(several) == 1 else None)
        if at is not None:
            found.append((at, score))
        elif several:
            bad[f"{scores}: on a trace of several responses, none of them named"].append(score.row)
        else:
            bad[f"{scores}: on nothing that is a response in the export"].append(score.row)
    return found


# ---- columns


def _about(responses: Sequence[Span], groups: Groups) -> dict[str, list[Any]]:
    """Columns of what is known of the responses besides their texts; what the step does not say, its trace does."""
    columns: dict[str, list[Any]] = {"trace_id": [span.trace for span in responses]}
    for name, of in (
        ("name", lambda span: span.name),
        ("user_id", lambda span: span.user),
        ("session_id", lambda span: span.session),
        ("timestamp", lambda span: span.at),
    ):
        columns[name] = [_first_known(of, span, groups[span.trace]) for span in responses]
    columns["model"] = [_model(span, groups[span.trace]) for span in responses]
    return {name: values for name, values in columns.items() if any(value is not None for value in values)}


def _first_known(of: Callable[[Span], Any], span: Span, trace: Sequence[Span]) -> Any:
    return next((value for value in map(of, (span, *trace)) if is_there(value)), None)


def _model(span: Span, trace: Sequence[Span]) -> Any:
    """What answered: the step's own model, or the only one of its trace."""
    if is_there(span.model):
        return span.model
    models = {str(one.model): one.model for one in trace if is_there(one.model)}
    return next(iter(models.values())) if len(models) == 1 else None


def _texts(responses: Sequence[Span], bad: Bad) -> tuple[dict[str, list[Any]], list[int]]:
    """Prompts and responses, and the positions of those responses that have both in a shape that can be read."""
    texts: dict[str, list[Any]] = {"prompt": [], "response": []}
    kept = []
    for i, span in enumerate(responses):
        if span.failed:
            bad["the response is an error or was not finished"].append(span.row)
            continue
        prompt, response = read_exchange(span.input, span.output)
        faults = [
            f"{part} {read.reason}"
            for part, read in (("input", prompt), ("output", response))
            if isinstance(read, Fault)
        ]
        if faults:
            known = faults[0] in bad or len(bad) < _REASONS
            bad[faults[0] if known else "input or output is not in a shape that can be read"].append(span.row)
            continue
        kept.append(i)
        texts["prompt"].append(prompt)
        texts["response"].append(response)
    return texts, kept


def _tell(
    raw: RawTable, scores: str, names: Sequence[Any], found: Sequence[tuple[int, Score]], scored: Columns
) -> None:
    """Say what was made of the scores, and how to make more of them."""
    of_users = [i for i, score in found if score.by == USERS]
    if not of_users:
        logger.info(
            "%s: no %s of users, and so no signals; export them too, in the same format, and read the folder that "
            "holds both",
            raw.name,
            scores,
        )
    if scored.signals:
        logger.info(
            "%s: %s read as signals: %s; those that code of yours gave look the same: name the signals that you mean",
            raw.name,
            scores,
            ", ".join(f"{signal.name} ({'+' if signal.polarity > 0 else '-'})" for signal in scored.signals),
        )
    for name in scored.plain:
        logger.info(
            "%s: column %r holds %s that are neither for nor against a response by themselves; make signals of them: "
            "'Thumbs and ratings in one column' in docs/logs.md",
            raw.name,
            name,
            scores,
        )
    for name in scored.gold:
        logger.info(
            "%s: column %r holds reviewers' %s, which are read as trusted labels if you say gold=%r",
            raw.name,
            name,
            scores,
            name,
        )
    for name in scored.left_out:
        logger.info("%s: left out reviewers' %s %r, which are not all from 0 to 1", raw.name, scores, name)
    _tell_unscored(raw, scores, names, of_users)


def _tell_unscored(raw: RawTable, scores: str, names: Sequence[Any], of_users: Iterable[int]) -> None:
    """Say which kinds of responses no user scored: titles that a program makes for itself are silent, not disliked."""
    known = {names[i] for i in of_users}
    others = Counter(name for name in names if name is not None and name not in known)
    if known and len(known) + len(others) <= _NAMES and others:
        told = ", ".join(f"{name} ({count})" for name, count in sorted(others.items()))
        logger.info(
            "%s: no user's %s are on responses called %s; if users never saw those, leave them out (column 'name')",
            raw.name,
            scores,
            told,
        )
