"""`tacit serve`: a model over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tacit.extras import require


def serve(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A model folder.")],
    host: Annotated[
        str, typer.Option(help="Address to listen at; the default is this machine alone.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes any free one.", min=0, max=65535)] = 8000,
    token_env: Annotated[
        str | None, typer.Option(help="Environment variable that holds a bearer token.", metavar="NAME")
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option(help="File that holds a bearer token.", metavar="FILE")
    ] = None,
    max_batch_tokens: Annotated[
        int, typer.Option(help="Estimated tokens the model is given at a time.", metavar="N")
    ] = 32_768,
    max_queue: Annotated[
        int, typer.Option(help="Estimated tokens that may wait; beyond it, 429.", metavar="N")
    ] = 262_144,
    max_body: Annotated[int, typer.Option(help="Bytes of one request; beyond it, 413.", metavar="BYTES")] = 8
    * 1024
    * 1024,
    timeout: Annotated[
        float, typer.Option(help="Seconds for one request; beyond it, 504.", metavar="S")
    ] = 120.0,
) -> None:
    """Serve a model: /v1/score, OpenRLHF's /get_reward, vLLM's /classify, /healthz, /metrics."""
    require("tacit serve", "fastapi", "uvicorn", "prometheus_client")
    from tacit.cli import notes
    from tacit.model import load_model
    from tacit.serving.run import bind, is_loopback, model_name, run
    from tacit.serving.settings import Settings, read_token

    settings = Settings(
        max_batch_tokens=max_batch_tokens,
        max_queue=max_queue,
        max_body=max_body,
        timeout=timeout,
        token=read_token(env=token_env, file=token_file),
    )
    if settings.token is None and not is_loopback(host):
        typer.echo(
            f"tacit: warning: whoever reaches {host} can use this server; guard it with --token-env or --token-file",
            err=True,
        )
    scorer = load_model(model)
    listener = bind(host, port)
    name, bound = model_name(model), listener.getsockname()[1]
    notes.release()
    shown = f"[{host}]" if ":" in host else host
    run(
        scorer,
        name,
        listener,
        settings,
        started=lambda: typer.echo(f"serving {name} at http://{shown}:{bound} (stop with Ctrl-C)", err=True),
    )
