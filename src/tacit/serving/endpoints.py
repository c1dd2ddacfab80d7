"""The three ways to ask for a score: ours, OpenRLHF's and vLLM's."""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response

from tacit.data.messages import Fault, read_messages
from tacit.serving.marks import prompt_end, without_ending
from tacit.serving.refusals import Refusal
from tacit.serving.rows import Row, Score, pair_row, text_row, tokens_row
from tacit.serving.schemas import ChatPair, ClassifyRequest, Message, RewardRequest, ScoreRequest
from tacit.serving.service import Service

_TEMPLATE = re.compile(r"<\|[^|<>\s]{1,40}\|>|\[/?INST\]|<(?:start|end)_of_turn>")


async def score_pairs(service: Service, request: Request) -> Response:
    """Score pairs of prompt and response: reward (logit), probability, uncertainty."""
    asked = await service.read(request, ScoreRequest)
    rows = [
        _chat_row(pair.messages, f"pairs.{i}")
        if isinstance(pair, ChatPair)
        else pair_row(
            pair.prompt if isinstance(pair.prompt, str) else _turns(pair.prompt),
            pair.response,
        )
        for i, pair in enumerate(asked.pairs)
    ]
    scores = await service.score(rows, request)
    found = [
        {"reward": s.reward, "probability": service.chance(s.reward), "uncertainty": s.uncertainty}
        for s in scores
    ]
    return _json({"model": service.name, "scores": found})


async def get_reward(service: Service, request: Request) -> Response:
    """What OpenRLHF calls with `--reward.remote_url`.

    A policy may stop at once. Its empty answer earns the lowest reward so far, as `tacit.align.rewards` pays it: to
    refuse it would end the run.
    """
    asked = await service.read(request, RewardRequest)
    if service.reads.apart:
        prompts = asked.prompts or []
        if len(prompts) != len(asked.query):
            raise Refusal(
                400,
                f"{len(asked.query)} queries but {len(prompts)} prompts: this model reads prompt and response apart "
                "and needs one prompt per query",
            )
        rows = [
            _split_row(i, *both, plain=service.reads.renders)
            for i, both in enumerate(zip(asked.query, prompts, strict=True))
        ]
    else:
        rows = [text_row(service.reads.with_opening(query)) for query in asked.query]
    written = iter(await service.score([row for row in rows if row is not None], request))
    found = [None if row is None else next(written) for row in rows]
    service.lowest = min([service.lowest, *(score.reward for score in found if score is not None)])
    scores = [Score(service.lowest, 0.0) if score is None else score for score in found]
    spreads = [score.uncertainty for score in scores]
    return _json(
        {
            "rewards": [s.reward for s in scores],
            "scores": [service.probability(s.reward) for s in scores],
            "extra_logs": {} if None in spreads else {"uncertainty": spreads},
        }
    )


async def classify(service: Service, request: Request) -> Response:
    """vLLM's `/classify`: raw logits, or probabilities with `use_activation`."""
    asked = await service.read(request, ClassifyRequest)
    rows = _classify_rows(service, asked)
    scores = await service.score(rows, request)
    tokens = sum(row.tokens for row in rows)
    return _json(
        {
            "id": f"classify-{uuid.uuid4().hex}",
            "object": "list",
            "created": int(time.time()),
            "model": service.name,
            "data": [
                {"index": i, "label": "LABEL_0", "probs": [_prob(service, asked, s)], "num_classes": 1}
                for i, s in enumerate(scores)
            ],
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens, "completion_tokens": 0},
        }
    )


def _classify_rows(service: Service, asked: ClassifyRequest) -> list[Row]:
    if (asked.input is None) == (asked.messages is None):
        found = "neither" if asked.input is None else "both"
        raise Refusal(400, f"found {found} of input and messages, expected one of them")
    if asked.messages is not None:
        return [_chat_row(asked.messages, "messages")]
    given = [asked.input] if isinstance(asked.input, str) else asked.input
    assert given is not None
    if isinstance(given[0], str):
        if service.reads.apart:
            raise Refusal(
                400,
                "this model reads prompt and response apart: send messages, or POST pairs to /v1/score; a rendered "
                "text does not say where the response begins",
            )
        return [text_row(service.reads.with_opening(text)) for text in given]
    lists: Sequence[Sequence[int]] = [given] if isinstance(given[0], int) else given
    for ids in lists:
        if why := service.reads.refuse_tokens(ids):
            raise Refusal(400, why)
    return [tokens_row(ids) for ids in lists]


def _prob(service: Service, asked: ClassifyRequest, score: Score) -> float:
    return service.probability(score.reward) if asked.use_activation else score.reward


def _chat_row(messages: Sequence[Message], where: str) -> Row:
    last = messages[-1]
    if last.role != "assistant":
        raise Refusal(
            422, f"{where}: the last message is the {last.role}'s; expected the assistant's, which is scored"
        )
    *before, answer = _turns(messages)
    return pair_row(before, answer["content"])


def _turns(messages: Sequence[Message]) -> list[dict[str, str]]:
    """Messages as a log reads them; a turn that says and calls nothing is an empty one."""
    said = [turn.model_dump() for turn in messages]
    turns = read_messages([{**turn, "content": turn["content"] or ""} for turn in said])
    assert not isinstance(turns, Fault)  # the schema has seen to it
    return turns


def _split_row(i: int, query: str, prompt: str, *, plain: bool) -> Row | None:
    """The pair in a decoded sequence; special tokens around it are not part of what a user read. None: empty answer."""
    begin = prompt_end(query, prompt)
    if begin is None:
        raise Refusal(
            400,
            f"query {i} does not begin with prompts[{i}]: where the response begins cannot be told; send both as "
            "the same tokenizer wrote them",
        )
    if plain and (mark := _TEMPLATE.search(prompt)):
        raise Refusal(
            400,
            f"prompts[{i}] is rendered already (found {mark.group()}), and this model would do it again; send plain "
            "prompts, or fit with --reward-features text, which scores a rendered chat as it is",
        )
    response = without_ending(query[begin:])
    if not prompt.strip():
        raise Refusal(400, f"query {i}: its prompt is empty")
    return pair_row(prompt, response) if response.strip() else None


def _json(value: object) -> Response:
    # Without spaces and without escapes of other alphabets: a third less to send.
    content = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return Response(content.encode(), media_type="application/json")
