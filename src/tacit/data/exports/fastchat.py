"""FastChat: the logs of its chat and arena servers, JSON lines to which every event adds one.

An answer is logged when it is complete (`type` "chat"), a vote when its button is pressed; each line repeats the
conversation so far as `state`, a vote on a battle both conversations as `states`. A vote speaks of their last answers.
"""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from tacit.data.raw import RawTable
from tacit.data.roles import USER_ACTIVITY, Roles
from tacit.data.signal import Signal

# The page with one model has thumbs and a flag; that with two has a button for either side, one for a tie, and one for
# "both are bad", a thumb down for both. A tie is a vote for neither. What a page does not offer is null.
SIGNALS = {
    "thumbs_up": Signal("thumbs_up", +1),
    "thumbs_down": Signal("thumbs_down", -1),
    "chosen": Signal("chosen", +1),
    "regenerated": Signal("regenerated", -1),  # offered, and not read unless named
    "flagged": Signal("flagged", -1),  # for what is harmful, rather than bad; offered too
}
_READ = ("thumbs_up", "thumbs_down", "chosen")
_SINGLE = ("upvote", "downvote", "flag")
_BATTLE = ("leftvote", "rightvote", "tievote", "bothbad_vote")
_SHARE = "share"  # a picture of the page was taken, which shows who stood beside whom
_SIDES = ("left", "right")

_PAIR = 2
_ROWS_LOOKED_AT = 100
_FAILED = re.compile(
    r"\A\**(NETWORK ERROR DUE TO HIGH TRAFFIC|API REQUEST ERROR|RATE LIMIT OF THIS MODEL)|^\(error_code: \d"
    r"|(▌|<span class=\"cursor\"></span>)\s*\Z",
    re.MULTILINE,
)
_WITHHELD = "$MODERATION$ YOUR "


@dataclass(frozen=True)
class _State:
    """A conversation up to an answer: its own turns, by user and model in turn, or why it cannot be used.

    The template's example turns and system message are left out: the user did not see them.
    """

    id: str | None
    model: str | None
    turns: tuple[Any, ...]
    fault: str | None

    @property
    def turn(self) -> int:
        return len(self.turns) // 2


@dataclass(frozen=True)
class _Event:
    """A line of the log; `start` and `end` are when the answer was begun and complete."""

    row: int
    type: str
    user: str | None
    at: float | None
    start: float | None
    end: float | None
    states: tuple[_State, ...]


@dataclass(frozen=True)
class _Place:
    """Where an answer stood: alone, or on one side of a battle, which is called by the conversation on its left."""

    battle: str
    side: str


@dataclass
class _Answer:
    """One answer that was shown, and what was done with it so far."""

    event: _Event
    state: _State
    place: _Place
    thumbs_up: int | None
    thumbs_down: int
    flagged: int | None
    chosen: int | None
    regenerated: int = 0


def detect(columns: Sequence[str]) -> bool:
    """Whether the columns can be those of such a log; `confirm` looks at what they hold."""
    return {"tstamp", "type"} <= set(columns) and bool({"state", "states"} & set(columns))


def confirm(raw: RawTable) -> bool:
    """Whether a first row holds a conversation."""
    names = [name for name in ("state", "states") if name in raw.columns]
    first = [value for name in names for value in raw.values(name, _ROWS_LOOKED_AT)]
    flat = [state for value in first for state in (value if isinstance(value, list) else [value])]
    return any(isinstance(state, dict) and "messages" in state for state in flat)


def load(raw: RawTable) -> tuple[RawTable, Roles]:
    """One row per answer that was shown, an answer being the text that a conversation has at a turn.

    Columns made: prompt (messages), response, prompt_id (the conversation and turn; of a battle, one for both sides),
    thumbs_up, thumbs_down, chosen, regenerated (the turn was answered anew later), flagged, turn, side ("left",
    "right", "single"), chat_id (of a battle, one for both sides), user_id (the address), timestamp and model. What no
    line has gets no role, nor does the side where there are no battles.
    """
    bad: dict[str, list[int]] = defaultdict(list)
    events = _in_order(list(_events(raw, bad)))
    answers = _answers(events, _places(events), bad)
    columns: dict[str, list[Any]] = defaultdict(list)
    for answer in answers:
        for name, value in _row(answer).items():
            columns[name].append(value)
    known = {name for name, values in columns.items() if any(value is not None for value in values)}
    battles = any(answer.place.side != "single" for answer in answers)
    users = len({answer.event.user for answer in answers} - {None})
    return raw.made_of(columns, [answer.event.row for answer in answers], bad), Roles(
        prompt_id="prompt_id",
        signals=tuple(SIGNALS[name] for name in _READ if name in known),
        context=("turn", *["side"] * battles, *[USER_ACTIVITY] * (users > 1)),
        session_id="chat_id",
        user_id="user_id" if "user_id" in known else None,
        timestamp="timestamp" if "timestamp" in known else None,
        policy="model" if "model" in known else None,
    )


def _row(answer: _Answer) -> dict[str, Any]:
    state, roles = answer.state, ("user", "assistant")
    return {
        "prompt": [
            {"role": roles[i % 2], "content": _content(turn)} for i, turn in enumerate(state.turns[:-1])
        ],
        "response": state.turns[-1],
        "prompt_id": f"{answer.place.battle}/{state.turn}",
        "thumbs_up": answer.thumbs_up,
        "thumbs_down": answer.thumbs_down,
        "chosen": answer.chosen,
        "regenerated": answer.regenerated,
        "flagged": answer.flagged,
        "turn": state.turn,
        "side": answer.place.side,
        "chat_id": answer.place.battle,
        "user_id": answer.event.user,
        "timestamp": answer.event.at,
        "model": state.model,
    }


def _content(turn: Any) -> Any:
    """Text, which pages with images write as [text, images]; with an image, parts of which one is no text."""
    if not isinstance(turn, list) or len(turn) != _PAIR:
        return turn
    text, images = turn
    return [{"type": "text", "text": text}, {"type": "image"}] if images else text


def _events(raw: RawTable, bad: dict[str, list[int]]) -> Iterator[_Event]:
    names = ("type", "state", "states", "model", "models", "ip", "tstamp", "start", "finish")
    cells = [raw.values(name) if name in raw.columns else [None] * len(raw) for name in names]
    for row, values in enumerate(zip(*cells, strict=True)):
        kind, one, two, model, models, user, at, start, end = values
        if kind in ("chat", *_SINGLE):
            states: tuple[_State, ...] = (_state(one, model),)
        elif kind in (*_BATTLE, _SHARE) and isinstance(two, list) and len(two) == len(_SIDES):
            named = models if isinstance(models, list) and len(models) == len(_SIDES) else [None, None]
            states = tuple(_state(state, name) for state, name in zip(two, named, strict=True))
        elif kind in (*_BATTLE, _SHARE):
            bad["speaks of a battle and has no two states"].append(row)
            continue
        else:
            bad["its type is no chat and no vote"].append(row)
            continue
        yield _Event(row, kind, _text(user), _number(at), _number(start), _number(end), states)


def _state(value: Any, model: Any) -> _State:
    state = value if isinstance(value, dict) else {}
    name, messages, offset = state.get("conv_id"), state.get("messages"), state.get("offset")
    own = messages[max(offset, 0) if isinstance(offset, int) else 0 :] if isinstance(messages, list) else []
    # Roles may have any name, or none; turns alternate.
    turns = tuple(pair[1] if isinstance(pair, list) and len(pair) == _PAIR else None for pair in own)
    fault = None
    if not isinstance(name, str) or not isinstance(messages, list):
        fault = "holds no conversation with a conv_id"
    elif not turns or len(turns) % 2 or not isinstance(turns[-1], str):
        fault = "its conversation does not end with a response"
    elif _FAILED.search(turns[-1]):
        fault = "the response is an error or was not finished"
    elif str(turns[-2][0] if isinstance(turns[-2], list) and turns[-2] else turns[-2]).startswith(_WITHHELD):
        fault = "the user's words were withheld by moderation"
    return _State(_text(name), _text(state.get("model_name")) or _text(model), turns, fault)


def _in_order(events: list[_Event]) -> list[_Event]:
    """Events by time where all have one: several servers write a log each."""
    if all(event.at is not None for event in events):
        return sorted(events, key=lambda event: event.at or 0)  # those of one time stay in their order
    return events


def _places(events: Sequence[_Event]) -> dict[str, _Place]:
    """Which conversations stood beside another, by name."""
    places: dict[str, _Place] = {}
    for event in events:
        if len(event.states) == len(_SIDES):
            battle = next((state.id for state in event.states if state.id is not None), None)
            for state, side in zip(event.states, _SIDES, strict=True):
                if state.id is not None and battle is not None:
                    places[state.id] = _Place(battle, side)
    return places | _unvoted(events, places) if places else places


def _unvoted(events: Sequence[_Event], places: Mapping[str, _Place]) -> dict[str, _Place]:
    """Battles that nobody voted on, of which the log has two conversations that do not name each other.

    A battle writes both answers to one text at once, for one address: the second is begun before the first is complete.
    The left one is begun first.
    """
    voted = {state.id for event in events if event.type in _SINGLE for state in event.states}
    first: dict[str, _Event] = {}
    for event in events:
        name = event.states[0].id
        if event.type == "chat" and name is not None and name not in voted and name not in places:
            first.setdefault(name, event)
    alike: dict[tuple[str | None, str], list[tuple[float, float, str]]] = defaultdict(list)
    for name, event in first.items():
        if event.user is not None and event.start is not None and event.end is not None:
            asked = json.dumps(event.states[0].turns[::2], default=str)
            alike[event.user, asked].append((event.start, event.end, name))
    found: dict[str, _Place] = {}
    for chats in alike.values():
        chats.sort()
        for (_, end, left), (start, _, right) in pairwise(chats):
            if start < end and left not in found:
                found |= {left: _Place(left, "left"), right: _Place(left, "right")}
    return found


def _answers(
    events: Sequence[_Event], places: Mapping[str, _Place], bad: dict[str, list[int]]
) -> list[_Answer]:
    """Every answer once, with what was done with it."""
    answers: dict[tuple[str, int, str], _Answer] = {}
    standing: dict[tuple[str, int], _Answer] = {}  # the last answer to each turn
    logged: set[tuple[Any, ...]] = set()
    for event in events:
        faulty = [state for state in event.states if state.fault is not None]
        for state in faulty:
            bad[str(state.fault)].append(event.row)
        for at, state in enumerate(event.states):
            if state.fault is not None or state.id is None:
                continue
            turn = (state.id, state.turn)
            answer = answers.setdefault(
                (*turn, state.turns[-1]), _new(event, state, places.get(state.id, _Place(state.id, "single")))
            )
            if event.type == "chat":
                line = (*turn, state.turns[-1], event.at)  # a pipeline may deliver a line twice
                if turn in standing and line not in logged:
                    standing[turn].regenerated = 1
                logged.add(line)
            standing[turn] = answer
            _vote(answer, event.type, at)
            if faulty:  # beside an error, an answer cannot be preferred to another
                answer.chosen = None
    return list(answers.values())


def _new(event: _Event, state: _State, place: _Place) -> _Answer:
    single, battle = (0, None) if place.side == "single" else (None, 0)
    return _Answer(event, state, place, thumbs_up=single, thumbs_down=0, flagged=single, chosen=battle)


def _vote(answer: _Answer, kind: str, at: int) -> None:
    """Note a vote, which replaces an earlier one."""
    if kind in ("upvote", "downvote"):
        answer.thumbs_up, answer.thumbs_down = int(kind == "upvote"), int(kind == "downvote")
    elif kind == "flag":
        answer.flagged = 1
    elif kind in _BATTLE:
        answer.chosen = int(kind == f"{_SIDES[at]}vote")
        answer.thumbs_down = int(kind == "bothbad_vote")


def _number(value: Any) -> float | None:
    try:
        return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
    except OverflowError:  # a whole number of hundreds of digits
        return None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


__all__ = ["SIGNALS", "confirm", "detect", "load"]
