"""`--config run.yaml`: the options of `tacit fit` by name; what stands on the command line wins."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from tacit.cli.options import LARGEST_SEED
from tacit.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from tacit.data import Signal

_LISTS = ("context",)
_INTEGERS = ("members", "epochs", "seed", "max_bad")
_SWITCHES = ("linear",)
_FOLDERS = ("out", "cache")
_LEAST = {"members": 1, "epochs": 1, "seed": 0, "max_bad": 0}
_MOST = {"seed": LARGEST_SEED}  # the command line's own checks are in the options of the verb


def merged(ctx: typer.Context, config: Path | None) -> dict[str, Any]:
    """All options of the verb: from the command line where given there, else from the file, else the defaults.

    Raises:
        ConfigError: a file that is not YAML, an unknown name, or a value of the wrong type.
    """
    values = {name: value for name, value in ctx.params.items() if name not in ("config", "json", "quiet")}
    values["log"] = values.pop("path")
    for name in _FOLDERS:  # which typer leaves here as text or as a path, by version
        values[name] = None if values[name] is None else Path(values[name])
    if config is None:
        return values
    for name, value in _read(config, allowed=set(values)).items():
        parameter = "path" if name == "log" else name
        source = ctx.get_parameter_source(parameter)
        if source is None or source.name == "DEFAULT":
            values[name] = value
    return values


def _read(config: Path, allowed: set[str]) -> dict[str, Any]:
    import yaml

    try:
        loaded = yaml.safe_load(config.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{config}: no such file; --config needs a YAML file") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{config}: cannot be read as YAML: {' '.join(str(error).split())}") from None
    if not isinstance(loaded, dict):
        raise ConfigError(f"{config}: found {type(loaded).__name__}, expected `option: value` lines")
    result = {}
    for key, value in loaded.items():
        name = str(key).replace("-", "_")
        if name not in allowed:
            raise ConfigError(
                f"{config}: unknown option {key!r}{did_you_mean(name, sorted(allowed))}; expected some of "
                f"{', '.join(sorted(allowed))}"
            )
        if value is not None:  # `gold:` and nothing behind it leaves the default
            result[name] = _typed(config, name, value)
    return result


def _typed(config: Path, name: str, value: Any) -> Any:
    if name == "signal":
        return _signals(config, value)
    if name == "nuisance":
        return _nuisances(config, value)
    if name in _LISTS:
        items = [value] if isinstance(value, str) else value
        if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
            raise ConfigError(f"{config}: {name} is {value!r}, expected a list of column names")
        return items
    if name in _INTEGERS:
        if isinstance(value, bool) or not isinstance(value, int):
            raise ConfigError(f"{config}: {name} is {value!r}, expected a whole number")
        if value < _LEAST.get(name, value):
            raise ConfigError(f"{config}: {name} is {value}, expected {_LEAST[name]} or more")
        if value > _MOST.get(name, value):
            raise ConfigError(f"{config}: {name} is {value}, expected {_MOST[name]} or less")
        return value
    if name in _SWITCHES:
        if not isinstance(value, bool):
            raise ConfigError(f"{config}: {name} is {value!r}, expected true or false")
        return value
    if not isinstance(value, str):
        raise ConfigError(f"{config}: {name} is {value!r}, expected text")
    return Path(value) if name in _FOLDERS else value


def _nuisances(config: Path, value: Any) -> list[str]:
    """As `--nuisance` takes them, from a mapping of names."""
    if not isinstance(value, dict) or not all(isinstance(one, str | int | float) for one in value.values()):
        raise ConfigError(
            f"{config}: nuisance is {value!r}, expected a mapping of names to columns or numbers, such as "
            "{e: seen, rho10: 0.05}"
        )
    return [f"{name}={one}" for name, one in value.items()]


def _signals(config: Path, value: Any) -> list[str | Signal]:
    """Signals as `--signal` takes them, or as mappings of their fields."""
    from tacit.data import Signal

    items = value if isinstance(value, list) else [value]
    if not all(isinstance(item, str | dict) for item in items):
        raise ConfigError(
            f"{config}: signal is {value!r}, expected a list of column names, or of mappings such as "
            "{name: COLUMN, polarity: negative}"
        )
    try:
        return [item if isinstance(item, str) else Signal.from_mapping(item) for item in items]
    except ConfigError as error:
        raise ConfigError(f"{config}: {error}") from None
