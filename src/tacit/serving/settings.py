"""What a server may be told, and the token that guards it."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path

from tacit.errors import ConfigError


@dataclass(frozen=True)
class Settings:
    """Limits of a server; every one is an option of `tacit serve`.

    Attributes:
        max_batch_tokens: estimated tokens that the model is given at a time.
        max_queue: estimated tokens that may wait; beyond it a request is answered 429.
        max_body: bytes of one request; beyond it 413.
        timeout: seconds from the first byte of a request to its answer; beyond it 504.
        token: what the caller has to send as `Authorization: Bearer …`; None lets everybody in.

    Example:
        >>> Settings(timeout=5.0).max_body
        8388608
    """

    max_batch_tokens: int = 32_768
    max_queue: int = 262_144
    max_body: int = 8 * 1024 * 1024
    timeout: float = 120.0
    token: str | None = None

    def __post_init__(self) -> None:
        for name in ("max_batch_tokens", "max_queue", "max_body", "timeout"):
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise ConfigError(
                    f"--{name.replace('_', '-')}: found {value}, expected a finite number above 0"
                )


def read_token(*, env: str | None = None, file: Path | None = None) -> str | None:
    """The bearer token from an environment variable or a file; never from the command line, which others can see.

    Raises:
        ConfigError: both are given, or the one given holds no usable token.
    """
    if env is not None and file is not None:
        raise ConfigError("--token-env and --token-file: found both, expected one of them; drop one")
    if env is not None:
        where, found = f"--token-env {env}", os.environ.get(env)
        if found is None:
            raise ConfigError(f"{where}: no such environment variable; export {env}=… first")
    elif file is not None:
        where = f"--token-file {file}"
        try:
            found = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"{where}: cannot be read ({error}); expected a text file with the token"
            ) from None
    else:
        return None
    token = found.strip()
    if not token or not token.isascii() or any(character.isspace() for character in token):
        raise ConfigError(
            f"{where}: expected one word of ASCII characters, such as openssl rand -hex 32 prints"
        )
    return token
