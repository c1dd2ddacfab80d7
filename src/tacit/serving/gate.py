"""What every request passes: the token, the size it states, and the clock. Plain ASGI, before any routing."""

from __future__ import annotations

import hmac
import time
from typing import TYPE_CHECKING

from tacit.serving.metrics import Metrics
from tacit.serving.refusals import Refusal
from tacit.serving.service import too_large
from tacit.serving.settings import Settings

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

ENDPOINTS = ("/v1/score", "/get_reward", "/classify", "/healthz", "/metrics", "/openapi.json")


class Gate:
    """ASGI middleware.

    Args:
        app: what lies behind.
        settings: the token and the largest body.
        metrics: told of every answer.
    """

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Metrics) -> None:
        self._app = app
        self._expected = None if settings.token is None else settings.token.encode()
        self._max_body = settings.max_body
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse or pass on one request, and count its answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        endpoint = scope["path"] if scope["path"] in ENDPOINTS else "other"
        status = 500

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            refusal = self._refusal(scope)
            if refusal is None:
                await self._app(scope, receive, note)
            else:
                await _send(refusal, note)
        finally:
            self._metrics.requests.labels(endpoint, status).inc()
            self._metrics.seconds.labels(endpoint).observe(time.perf_counter() - began)

    def _refusal(self, scope: Scope) -> Refusal | None:
        authorization = length = b""
        for name, value in scope["headers"]:
            if name == b"authorization":
                authorization = value
            elif name == b"content-length":
                length = value
        # The health check is for those who have no token: containers and load balancers.
        guarded = self._expected is not None and scope["path"] != "/healthz"
        scheme, _, token = authorization.partition(b" ")
        fits = hmac.compare_digest(token.strip(b" "), self._expected or b"") and scheme.lower() == b"bearer"
        if guarded and not fits:
            return Refusal(
                401,
                "the token is missing or wrong; send Authorization: Bearer …",
                {"WWW-Authenticate": "Bearer"},
            )
        if length.isdigit() and int(length) > self._max_body:
            return too_large(self._max_body)
        return None


async def _send(refusal: Refusal, send: Send) -> None:
    headers = {
        "content-type": "application/json",
        "content-length": str(len(refusal.body)),
        **{name.lower(): value for name, value in refusal.headers.items()},
    }
    encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": refusal.status, "headers": encoded})
    await send({"type": "http.response.body", "body": refusal.body})
