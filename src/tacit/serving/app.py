"""The application: endpoints, what they may answer, and the OpenAPI document that says so."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from tacit._version import __version__
from tacit.model import Scorer
from tacit.serving import endpoints, schemas
from tacit.serving.gate import Gate
from tacit.serving.refusals import Refusal, problem
from tacit.serving.service import Service
from tacit.serving.settings import Settings

_ERRORS = {
    400: "Not JSON, or not something this model can score",
    401: "The token is missing or wrong",
    408: "The body did not arrive in time",
    413: "The body is too large",
    422: "JSON of another shape, or a row that cannot be scored",
    429: "The queue is full; Retry-After says when to come again",
    503: "The model failed, or the server is going down",
    504: "No score in time",
}
_Answer = Callable[[Service, Request], Awaitable[Response]]


def create_app(scorer: Scorer, name: str, settings: Settings | None = None) -> FastAPI:
    """The ASGI application that serves one model.

    Args:
        scorer: the model.
        name: what answers call it.
        settings: limits and token.

    Example:
        >>> import numpy as np
        >>> class Length(Scorer):
        ...     def member_scores(self, pairs, *, store=None, quiet=True):
        ...         return np.array([[len(response) for _, response in pairs]], dtype=np.float32)
        >>> sorted(create_app(Length(), "length").openapi()["paths"])
        ['/classify', '/get_reward', '/healthz', '/metrics', '/v1/score']
    """
    settings = settings or Settings()
    service = Service(scorer, name, settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.start()
        try:
            yield
        finally:
            service.stop()

    # The interactive pages load scripts from elsewhere; the document itself is served.
    app = FastAPI(title="Tacit", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.service = service
    app.add_middleware(Gate, settings=settings, metrics=service.metrics)
    app.add_exception_handler(Refusal, _refuse)
    app.add_exception_handler(HTTPException, _explain)
    app.add_exception_handler(Exception, _break)
    _post(app, service, "/v1/score", endpoints.score_pairs, schemas.ScoreRequest, schemas.ScoreResponse)
    _post(app, service, "/get_reward", endpoints.get_reward, schemas.RewardRequest, schemas.RewardResponse)
    _post(app, service, "/classify", endpoints.classify, schemas.ClassifyRequest, schemas.ClassifyResponse)
    _add_health(app, service)
    app.openapi = functools.partial(_openapi, app, settings)  # type: ignore[method-assign]
    return app


def _post(
    app: FastAPI,
    service: Service,
    path: str,
    answer: _Answer,
    takes: type[BaseModel],
    gives: type[BaseModel],
) -> None:
    """Declare an endpoint whose body is read and checked once, by the handler itself."""

    async def handler(request: Request) -> Response:
        return await answer(service, request)

    codes = [code for code in _ERRORS if code != 401 or service.settings.token is not None]
    app.add_api_route(
        path,
        handler,
        methods=["POST"],
        name=path.strip("/").replace("/", "_"),
        summary=(answer.__doc__ or "").splitlines()[0],
        response_class=Response,
        responses={
            200: {"model": gives, "description": "Scores, in the order of the request"},
            **{code: {"model": schemas.Problem, "description": _ERRORS[code]} for code in codes},
        },
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {"schema": {"$ref": f"#/components/schemas/{takes.__name__}"}}
                },
            }
        },
    )


def _add_health(app: FastAPI, service: Service) -> None:
    async def healthz() -> Response:
        return Response(
            schemas.Health(status="ok", model=service.name).model_dump_json(), media_type="application/json"
        )

    async def metrics() -> Response:
        return Response(service.metrics.render(), headers={"content-type": service.metrics.content_type})

    denied: dict[int | str, dict[str, Any]] = {}
    if service.settings.token is not None:
        denied[401] = {"model": schemas.Problem, "description": _ERRORS[401]}
    app.add_api_route(
        "/healthz",
        healthz,
        summary="Whether the model is loaded and the server answers; open to everybody.",
        response_class=Response,
        responses={200: {"model": schemas.Health, "description": "Up"}},
    )
    app.add_api_route("/healthz", healthz, methods=["HEAD"], include_in_schema=False)
    app.add_api_route(
        "/metrics",
        metrics,
        summary="Counters for Prometheus.",
        response_class=Response,
        responses={
            200: {
                "content": {"text/plain": {"schema": {"type": "string"}}},
                "description": "Exposition format",
            },
            **denied,
        },
    )


def _openapi(app: FastAPI, settings: Settings) -> dict[str, Any]:
    """The document of the routes, with the bodies that the handlers read themselves."""
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, routes=app.routes)
        takes = (schemas.ScoreRequest, schemas.RewardRequest, schemas.ClassifyRequest)
        _, found = models_json_schema(
            [(model, "validation") for model in takes], ref_template="#/components/schemas/{model}"
        )
        document["components"]["schemas"].update(found["$defs"])
        if settings.token is not None:
            document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
            for path, operations in document["paths"].items():
                for operation in operations.values():
                    operation["security"] = [] if path == "/healthz" else [{"token": []}]
        app.openapi_schema = document
    return app.openapi_schema


async def _refuse(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return Response(error.body, error.status, error.headers, media_type="application/json")


async def _explain(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    body = problem(error.status_code, str(error.detail))
    return Response(body, error.status_code, error.headers, media_type="application/json")


async def _break(_: Request, error: Exception) -> Response:
    return Response(problem(500, "the server failed; its log says why"), 500, media_type="application/json")
