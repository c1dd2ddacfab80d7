"""A server process: opens the model, binds the address, runs until it is told to stop."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import uvicorn

from tacit.errors import ConfigError
from tacit.model import Scorer
from tacit.serving.app import create_app
from tacit.serving.settings import Settings

_BACKLOG = 2048


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address.

    Example:
        >>> [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0")]
        [True, True, True, False]
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def bind(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises:
        ConfigError: the address is not this machine's, or is taken.
    """
    try:
        family, kind, *_, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(
            f"cannot listen at {host} port {port}: {reason}; choose another --host or --port"
        ) from None
    return listener


def run(
    scorer: Scorer, name: str, listener: socket.socket, settings: Settings, *, started: Callable[[], None]
) -> None:
    """Serve until SIGINT or SIGTERM; requests in flight are answered first.

    Args:
        scorer: the model.
        name: what answers call it.
        listener: from `bind`.
        settings: limits and token.
        started: called when the model is loaded, just before the first request can be answered.
    """
    app = create_app(scorer, name, settings)
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        backlog=_BACKLOG,
        timeout_graceful_shutdown=int(settings.timeout) + 1,
    )
    started()
    with suppress(KeyboardInterrupt):  # uvicorn has shut down in order and passes the signal on
        uvicorn.Server(config).run(sockets=[listener])


def model_name(folder: Path) -> str:
    """The folder's own name: short and readable, as it becomes part of other tools' metrics."""
    return folder.resolve().name or "model"
