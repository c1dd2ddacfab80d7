"""Numbers that a YAML file or a shell hands over as text: YAML reads 1e-3 as text, for want of a point."""

from __future__ import annotations

from typing import Any


def as_number(name: str, value: Any, default: Any) -> Any:
    """A knob's value, text made the number that it says where the knob is one.

    Args:
        name: the knob, for the message.
        value: what was given.
        default: the knob's default; where that is no number, the value comes back as it is.

    Raises:
        ValueError: text that says no number.

    Example:
        >>> as_number("learning_rate", "1e-3", 5e-5), as_number("steps", "1e2", 1), as_number("name", "1e2", "")
        (0.001, 100, '1e2')
    """
    if not isinstance(value, str) or type(default) not in (int, float):
        return value
    try:
        number = float(value)
    except ValueError:
        raise ValueError(f"{name}: found {value!r}, expected a number") from None
    return int(number) if type(default) is int and number.is_integer() else number
