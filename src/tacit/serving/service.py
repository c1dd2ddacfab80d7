"""Between HTTP and the model: reads a body, looks into the cache, queues the rest, waits, gives up in time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from scipy.special import expit
from starlette.requests import ClientDisconnect, Request

from tacit.model import Scorer
from tacit.serving.batcher import Batcher
from tacit.serving.cache import ScoreCache
from tacit.serving.metrics import Metrics
from tacit.serving.reads import reads
from tacit.serving.refusals import Refusal
from tacit.serving.rows import Kind, Row, Score
from tacit.serving.settings import Settings

Model = TypeVar("Model", bound=BaseModel)


class Service:
    """One model behind HTTP.

    Args:
        scorer: the model.
        name: what answers call it.
        settings: limits.

    Attributes:
        reads: what the model can be given.
        lowest: the lowest reward that a policy was paid so far, at most 0; see `get_reward`.
    """

    def __init__(self, scorer: Scorer, name: str, settings: Settings) -> None:
        self.scorer = scorer
        self.name = name
        self.settings = settings
        self.metrics = Metrics()
        self.cache = ScoreCache()
        self.reads = reads(scorer)
        self.lowest = 0.0
        self._batcher: Batcher | None = None

    def start(self) -> None:
        """Start the scorer thread; called on the event loop."""
        self._batcher = Batcher(
            lambda rows: score_rows(self.scorer, rows),
            self.metrics,
            max_batch_tokens=self.settings.max_batch_tokens,
            max_queue=self.settings.max_queue,
        )

    def stop(self) -> None:
        """Refuse what waits and end the thread."""
        if self._batcher is not None:
            self._batcher.close()

    def chance(self, reward: float) -> float | None:
        """P(a user likes the response), or None of a model whose scores only order."""
        return self.probability(reward) if self.scorer.has_probability else None

    def probability(self, reward: float) -> float:
        """The sigmoid of the reward's logit: a number from 0 to 1, a probability where the model has one."""
        return float(expit(self.scorer.logit(reward)))

    async def read(self, request: Request, shape: type[Model]) -> Model:
        """The body of a request, checked.

        Raises:
            Refusal: 400 no JSON, 408 too slow, 413 too large, 422 another shape.
        """
        deadline = asyncio.get_running_loop().time() + self.settings.timeout
        request.state.deadline = deadline  # of the whole request: what the body takes is gone for the score
        try:
            async with asyncio.timeout_at(deadline):
                body = await self._body(request)
        except TimeoutError:
            raise Refusal(
                408, f"the request took longer than --timeout {self.settings.timeout:g} s"
            ) from None
        except ClientDisconnect:
            raise Refusal(400, "the caller went away") from None
        try:
            return shape.model_validate_json(body)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            if first["type"] == "json_invalid":
                raise Refusal(400, f"the body is not JSON: {first['msg']}") from None
            # Pydantic names the branch of a union as well; the caller knows keys and positions only.
            places = [str(part) for part in first["loc"] if isinstance(part, int) or part.islower()]
            where = ".".join(places) or "body"
            raise Refusal(422, f"{where}: {first['msg']}") from None

    async def _body(self, request: Request) -> bytes:
        chunks, size = [], 0
        async for chunk in request.stream():
            size += len(chunk)
            if size > self.settings.max_body:
                raise too_large(self.settings.max_body)
            chunks.append(chunk)
        return b"".join(chunks)

    async def score(self, rows: Sequence[Row], request: Request) -> list[Score]:
        """The scores of rows, from the cache or from the model, by the deadline that `read` set.

        Raises:
            Refusal: 422, 429, 503 or 504.
        """
        found = [self.cache.get(row.key) for row in rows]
        missing = [row for row, score in zip(rows, found, strict=True) if score is None]
        if len(missing) < len(rows):
            self.metrics.cached.inc(len(rows) - len(missing))
        fresh: dict[bytes, Score] = {}
        if missing:
            scores = await self._ask_model(missing, request.receive, request.state.deadline)
            for row, score in zip(missing, scores, strict=True):
                self.cache.put(row.key, score)
                fresh[row.key] = score
        return [
            score if score is not None else fresh[row.key] for row, score in zip(rows, found, strict=True)
        ]

    async def _ask_model(
        self, rows: Sequence[Row], receive: Callable[[], Awaitable[object]], deadline: float
    ) -> list[Score]:
        if self._batcher is None:
            raise Refusal(503, "the server is not up yet; try again in a while", {"Retry-After": "1"})
        most = self.scorer.longest  # a page costs no more than what the model reads of it
        if most is not None:
            rows = [row._replace(cost=min(row.cost, most)) for row in rows]
        batcher, job = self._batcher, self._batcher.submit(rows)
        limit = self.settings.timeout

        async def watch() -> None:
            await receive()  # the body has been read: what comes next is that the caller has gone
            gone()

        def gone() -> None:
            _give_up(job.answer, Refusal(503, "the caller went away"))

        def late() -> None:
            _give_up(job.answer, Refusal(504, f"no score within --timeout {limit:g} s; send less, or later"))

        watching = asyncio.ensure_future(watch())
        timer = asyncio.get_running_loop().call_at(deadline, late)
        try:
            return await job.answer
        finally:
            timer.cancel()
            watching.cancel()
            batcher.drop(job)  # nothing to do where it is finished


def _give_up(answer: asyncio.Future[list[Score]], why: Refusal) -> None:
    if not answer.done():
        answer.set_exception(why)


def too_large(limit: int) -> Refusal:
    """413."""
    return Refusal(413, f"the body is larger than --max-body {limit} bytes; send fewer rows at a time")


def score_rows(scorer: Scorer, rows: Sequence[Row]) -> list[Score]:
    """Score rows of any kinds, each kind in one call of the model; in order."""
    scores: list[Score | None] = [None] * len(rows)
    kinds: dict[Kind, list[int]] = {}
    for i, row in enumerate(rows):
        kinds.setdefault(row.kind, []).append(i)
    for kind, places in kinds.items():
        values = [rows[i].value for i in places]
        if kind == "pair":
            members_MN = scorer.member_scores(values)
        elif kind == "text":
            members_MN = scorer.member_text_scores(values)
        else:
            members_MN = scorer.member_token_scores(values)  # type: ignore[attr-defined]
        means, spreads = members_MN.mean(0).tolist(), members_MN.std(0).tolist()
        for i, mean, spread in zip(places, means, spreads, strict=True):
            scores[i] = Score(mean, spread if len(members_MN) > 1 else None)
    return [score for score in scores if score is not None]
