"""Answers that are not scores: a status, one sentence, and the body in which every endpoint puts them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus


class Refusal(Exception):  # noqa: N818 - an answer, not a failure
    """What the caller is told instead of scores.

    Args:
        status: HTTP status.
        message: one sentence: what was found, what was expected.
        headers: to be sent along, such as Retry-After.
    """

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = dict(headers or {})

    def __reduce__(self) -> tuple[type[Refusal], tuple[int, str, dict[str, str]]]:
        return type(self), (self.status, self.message, self.headers)

    @property
    def body(self) -> bytes:
        """The JSON body."""
        return problem(self.status, self.message)


def problem(status: int, message: str) -> bytes:
    """The body of an error, in the shape of OpenAI's and vLLM's.

    Example:
        >>> problem(413, "too large").decode()
        '{"error": {"code": 413, "type": "Content Too Large", "message": "too large"}}'
    """
    kind = {413: "Content Too Large", 422: "Unprocessable Content"}.get(status) or HTTPStatus(status).phrase
    return json.dumps(
        {"error": {"code": status, "type": kind, "message": " ".join(message.split())}}
    ).encode()
