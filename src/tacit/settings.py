"""Configuration files: YAML, checked by name and type before anything is loaded; a mistake is one line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tacit.errors import ConfigError, did_you_mean


class Settings(BaseModel):
    """Base of configurations: frozen, and an option that does not exist is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read and check a YAML file.

        Raises:
            ConfigError: no such file, not YAML, or an option that does not exist or does not fit; one line.
        """
        import yaml

        try:
            loaded = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ConfigError(f"{path}: no such file; expected a YAML file, see recipes/") from None
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise ConfigError(f"{path}: cannot be read as YAML: {' '.join(str(error).split())}") from None
        if not isinstance(loaded, dict):
            raise ConfigError(f"{path}: found {type(loaded).__name__}, expected `option: value` lines")
        try:
            return cls.model_validate(loaded)
        except ValidationError as error:
            raise ConfigError(f"{path}: {told(error, list(cls.model_fields))}") from None


class LoraSettings(Settings):
    """Train an adapter instead of all weights.

    Attributes:
        r: rank.
        alpha: scale is alpha / r.
        dropout: of the adapter's input.
    """

    r: Annotated[int, Field(ge=1)] = 16
    alpha: Annotated[int, Field(ge=1)] = 32
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0

    def peft(self, **others: Any) -> Any:
        """As peft takes it; `others` are its other arguments.

        Raises:
            ImportError: there is no peft here.
        """
        from peft import LoraConfig

        return LoraConfig(r=self.r, lora_alpha=self.alpha, lora_dropout=self.dropout, **others)


def told(error: ValidationError, known: Sequence[str] = ()) -> str:
    """The first complaint of pydantic, in one line; `known` are the options that there are."""
    found = error.errors(include_url=False)
    first = found[0]
    where = ".".join(str(part) for part in first["loc"])
    message = " ".join(str(first["msg"]).removeprefix("Value error, ").split())
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    if first["type"] in ("extra_forbidden", "missing"):
        near = did_you_mean(where, known) if len(first["loc"]) == 1 else ""
        what = f"no such option{near}" if first["type"] == "extra_forbidden" else "is missing"
        return f"{where}: {what}{more}"
    given = "" if first["type"] == "value_error" else f", found {first['input']!r}"
    return f"{where + ': ' if where else ''}{message}{given}{more}"
