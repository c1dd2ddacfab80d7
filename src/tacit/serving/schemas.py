"""The shapes of requests and answers. Ours refuses unknown keys; the shapes of other stacks let them pass."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, StringConstraints, Tag

Text = Annotated[str, StringConstraints(min_length=1, pattern=r"\S")]
TokenId = Annotated[int, Field(ge=0, lt=2**31)]


class _Ours(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class _Theirs(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


class Function(_Theirs):
    """What a turn calls."""

    name: str
    arguments: str | dict[str, Any] | None = None


class ToolCall(_Theirs):
    """One call; its id is not read."""

    function: Function


class TextPart(_Theirs):
    """A piece of a turn's text; no model here reads images."""

    type: Literal["text", "input_text", "output_text"]
    text: str


_WHOLE, _PARTS = "text", "parts"
Content = Annotated[
    Annotated[str, Tag(_WHOLE)] | Annotated[list[TextPart], Tag(_PARTS)],
    Discriminator(lambda value: _PARTS if isinstance(value, list) else _WHOLE),
]


class Message(_Theirs):
    """One turn of a chat; what it calls is scored with what it says."""

    role: Text
    content: Content | None = None
    tool_calls: list[ToolCall] | None = None


class PromptPair(_Ours):
    """A prompt and the response to it."""

    prompt: Text | Annotated[list[Message], Field(min_length=1)]
    response: Text


class ChatPair(_Ours):
    """A whole chat; the last message is the assistant's and is what gets scored."""

    messages: Annotated[list[Message], Field(min_length=2)]


_PAIR, _CHAT = "PromptPair", "ChatPair"


def _form(value: Any) -> str:
    return _CHAT if isinstance(value, dict) and "messages" in value else _PAIR


Pair = Annotated[
    Annotated[PromptPair, Tag(_PAIR)] | Annotated[ChatPair, Tag(_CHAT)],
    Discriminator(_form),
]


class ScoreRequest(_Ours):
    """What `/v1/score` takes."""

    pairs: Annotated[list[Pair], Field(min_length=1)]

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"pairs": [{"prompt": "How do I sort a list?", "response": "sorted(xs)"}]}]
        }
    )


class PairScore(BaseModel):
    """The score of one pair."""

    reward: float = Field(description="Logit: compare, rank, use as a reward.")
    probability: float | None = Field(
        description="P(a user likes the response); null of a model whose scores only order."
    )
    uncertainty: float | None = Field(
        description="Standard deviation of the ensemble's logits; null for one member."
    )


class ScoreResponse(BaseModel):
    """What `/v1/score` answers, in the order of the pairs."""

    model: str
    scores: list[PairScore]


class RewardRequest(_Theirs):
    """What OpenRLHF sends to `--reward.remote_url`."""

    query: Annotated[list[Text], Field(min_length=1)] = Field(
        description="Prompt and response as one text, as the policy's tokenizer decodes it; where the response is "
        "empty, its reward is the lowest that the server has given so far, at most 0."
    )
    prompts: list[str] | None = Field(
        default=None,
        description="The beginning of each query. Read by models that read prompt and response apart.",
    )
    labels: list[Any] | None = Field(default=None, description="Not read.")


class RewardResponse(BaseModel):
    """What OpenRLHF reads."""

    rewards: list[float] = Field(description="Logits.")
    scores: list[float] = Field(description="Probabilities, for dynamic filtering.")
    extra_logs: dict[str, list[float]]


class ClassifyRequest(_Theirs):
    """What vLLM's `/classify` takes: either `input` or `messages`."""

    model: str | None = Field(default=None, description="Not read: a server has one model.")
    input: (
        Text
        | Annotated[list[Text], Field(min_length=1)]
        | Annotated[list[TokenId], Field(min_length=1)]
        | Annotated[list[Annotated[list[TokenId], Field(min_length=1)]], Field(min_length=1)]
        | None
    ) = Field(default=None, description="Rendered chats, or their token ids.")
    messages: Annotated[list[Message], Field(min_length=2)] | None = Field(
        default=None, description="One chat; the last message is the assistant's."
    )
    use_activation: bool | None = Field(default=None, description="true: probabilities instead of logits.")


class Classification(BaseModel):
    """The score of one input."""

    index: int
    label: Literal["LABEL_0"]
    probs: list[float] = Field(description="One number: the logit, or the probability with use_activation.")
    num_classes: Literal[1]


class Usage(BaseModel):
    """Tokens read: exact for token ids, otherwise estimated from the length of the text."""

    prompt_tokens: int
    total_tokens: int
    completion_tokens: int = 0


class ClassifyResponse(BaseModel):
    """What vLLM's `/classify` answers."""

    id: str
    object: Literal["list"]
    created: int
    model: str
    data: list[Classification]
    usage: Usage


class Health(BaseModel):
    """What `/healthz` answers."""

    status: Literal["ok"]
    model: str


class ProblemDetail(BaseModel):
    """What went wrong."""

    code: int
    type: str
    message: str


class Problem(BaseModel):
    """The body of every answer that is not 200."""

    error: ProblemDetail
