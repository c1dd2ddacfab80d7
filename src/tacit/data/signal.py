"""One thing that users do, as a column of a log: its name, what it says, and where it could be recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tacit.errors import ConfigError, did_you_mean, shown

_POLARITIES = {"positive": 1, "negative": -1}
_FIELDS = ("name", "polarity", "kind", "misclick", "exposure")


@dataclass(frozen=True)
class Signal:
    """A column of 1 (it happened), 0 (it could have and did not) and null (it could not be recorded).

    Args:
        name: the column's name.
        polarity: +1 when users do it because they like the response (a copy), -1 when they do it because they
            do not (a thumbs down).
        kind: "implicit" when 0 only says that nothing happened (a copy, a thumb); "explicit" when 0 is an
            answer too (a yes/no rating, null where nobody answered).
        misclick: the known chance that the signal fires by mistake, on a response that the user does not like, in
            [0, 1); None leaves it to the method. Where a method has one gate for all signals (thumbs), the chance given
            that the user acts at all.
        exposure: name of a column that is 1 where the signal could have been recorded. Where it is 0 or null
            the signal counts as null, whatever its own column says.

    Raises:
        ConfigError: a value outside the ones above.

    Example:
        >>> Signal.parse("thumbs_down:negative")
        Signal(name='thumbs_down', polarity=-1, kind='implicit', misclick=None, exposure=None)
    """

    name: str
    polarity: int = 1
    kind: str = "implicit"
    misclick: float | None = None
    exposure: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise ConfigError(f"a signal needs the name of a column, got {self.name!r}")
        if self.polarity not in (1, -1):
            raise ConfigError(f"signal {self.name!r}: polarity is {self.polarity!r}, expected +1 or -1")
        if self.kind not in ("implicit", "explicit"):
            raise ConfigError(
                f"signal {self.name!r}: kind is {self.kind!r}, expected 'implicit' or 'explicit'"
            )
        if self.misclick is not None and not 0 <= self.misclick < 1:
            raise ConfigError(
                f"signal {self.name!r}: misclick is {self.misclick!r}, expected a rate in [0, 1)"
            )

    @classmethod
    def parse(cls, text: str) -> Signal:
        """Read the command line's form: `copied`, `thumbs_down:negative`, or `solved:explicit` for a label whose 0 is
        an answer too (`:positive` says the default).

        Only what follows the last colon is read so; a column `a:b` is written `a:b:positive`.

        Raises:
            ConfigError: no text, nothing before the colon, or an unknown word after it.
        """
        if not isinstance(text, str):
            raise ConfigError(
                f"a signal is {shown(text)}, expected a column's name such as 'copied' or 'down:negative', or a "
                "Signal: Signal('down', polarity=-1)"
            )
        name, colon, polarity = text.rpartition(":")
        if not colon:
            return cls(name=text)
        if polarity == "explicit":
            return cls(name=name, kind="explicit")
        if polarity not in _POLARITIES:
            raise ConfigError(
                f"signal {text!r}: {polarity!r} after the colon is not a polarity; write {name}:positive, "
                f"{name}:negative or {name}:explicit"
            )
        return cls(name=name, polarity=_POLARITIES[polarity])

    @classmethod
    def from_mapping(cls, fields: Mapping[str, Any]) -> Signal:
        """Read a configuration file's form, this class's arguments by name; polarity may be "positive" or "negative".

        Raises:
            ConfigError: no name, an unknown field, or a value that does not fit.

        Example:
            >>> Signal.from_mapping({"name": "down", "polarity": "negative", "exposure": "has_thumbs"})
            Signal(name='down', polarity=-1, kind='implicit', misclick=None, exposure='has_thumbs')
        """
        unknown = [key for key in fields if key not in _FIELDS]
        if unknown or not isinstance(fields.get("name"), str):
            found = (
                f"unknown field {unknown[0]!r}{did_you_mean(unknown[0], _FIELDS)}"
                if unknown
                else f"name is {fields.get('name')!r}"
            )
            raise ConfigError(
                f"signal {shown(dict(fields))}: {found}; expected name: COLUMN and, if need be, "
                f"{', '.join(_FIELDS[1:])}"
            )
        values = {key: value for key, value in fields.items() if value is not None}
        return cls(
            **values
            | {key: read(values["name"], values[key]) for key, read in _READ.items() if key in values}
        )

    def to_json(self) -> dict[str, Any]:
        """The signal as a JSON object; `Signal(**value)` reads it back."""
        return {
            "name": self.name,
            "polarity": self.polarity,
            "kind": self.kind,
            "misclick": self.misclick,
            "exposure": self.exposure,
        }


def _polarity(name: str, value: Any) -> int:
    found = _POLARITIES.get(value, value) if isinstance(value, str) else value
    if isinstance(found, bool) or found not in (1, -1):
        raise ConfigError(f"signal {name!r}: polarity is {value!r}, expected positive or negative (+1 or -1)")
    return int(found)


def _misclick(name: str, value: Any) -> float:
    try:
        if not isinstance(value, bool):
            return float(value)  # YAML reads 1e-2 as text
    except (TypeError, ValueError):
        pass
    raise ConfigError(f"signal {name!r}: misclick is {value!r}, expected a rate in [0, 1)")


def _exposure(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ConfigError(f"signal {name!r}: exposure is {value!r}, expected the name of a column")
    return value


_READ = {"polarity": _polarity, "misclick": _misclick, "exposure": _exposure}
