"""Errors a user can mend. The CLI prints each as one line and exits with status 2.

A message names the file, row or column, what was found, what was expected and how to mend it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class TacitError(Exception):
    """Base of every error that the user, not the program, has to mend."""


class DataError(TacitError, ValueError):
    """A log, a table or a file that cannot be used as it is."""


class DegenerateDataError(DataError):
    """A log that holds no information for the method: no positive, all positive, nothing observed."""


class IdentificationError(TacitError, ValueError):
    """Assumptions under which the quantity asked for has no answer."""


class ConfigError(TacitError, ValueError):
    """An option, a method or an encoder that does not exist or does not fit the others."""


class ModelError(TacitError):
    """A model folder that is missing, damaged or made by an incompatible version."""


class IdentificationWarning(UserWarning):
    """The fit will run, but the data cannot tell part of what is asked."""


def did_you_mean(found: object, known: Iterable[str]) -> str:
    """What follows a name that nobody has: two names at most that are like it, or for which it is short; else nothing.

    Example:
        >>> did_you_mean("implict_rm", ["implicit_rm", "naive"]), did_you_mean("magic", ["implicit_rm", "naive"])
        ("; did you mean 'implicit_rm'?", '')
        >>> did_you_mean("thumb", ["position", "thumbs_down"])
        "; did you mean 'thumbs_down'?"
    """
    name, names = str(found), list(known)
    alike = difflib.get_close_matches(name, names, n=2, cutoff=0.65)
    short = [one for one in names if len(name) >= 3 and name.lower() in one.lower()]
    near = list(dict.fromkeys([*alike, *short]))[:2]
    return f"; did you mean {' or '.join(map(repr, near))}?" if near else ""


def shown(value: object) -> str:
    """What was found, as a short piece of a one-line message: its beginning, and its type.

    Example:
        >>> shown(["a", 1])
        "['a', 1] (list)"
    """
    return f"{' '.join(repr(value)[:80].split())} ({type(value).__name__})"


def one_line(error: object) -> str:
    """First line of an error's text, or its kind where it says nothing: library errors run over many.

    Example:
        >>> one_line(ValueError("no\\nsuch thing")), one_line(EOFError())
        ('no', 'EOFError')
    """
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
